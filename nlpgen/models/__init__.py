from nlpgen.models.architectures import ARCHITECTURES, architecture_of
from nlpgen.models.bert import Bert, BertConfig
from nlpgen.models.causal_lm import CausalLM
from nlpgen.models.classifier import SequenceClassifier
from nlpgen.models.config import Config
from nlpgen.models.decoder import Decoder
from nlpgen.models.gpt2 import GPT2, GPT2Config
from nlpgen.models.masked_lm import FilledMask, MaskedLM
from nlpgen.models.next_sentence import NextSentence, PooledEncoder
from nlpgen.models.pretrained import Backbone, PretrainedModel, backbone_of
from nlpgen.models.tagger import POINTERS, TAG_DECODERS, SequenceTagger, SpanTagger, load_tagger

__all__ = [
    "ARCHITECTURES",
    "GPT2",
    "POINTERS",
    "TAG_DECODERS",
    "Backbone",
    "Bert",
    "BertConfig",
    "CausalLM",
    "Config",
    "Decoder",
    "FilledMask",
    "GPT2Config",
    "MaskedLM",
    "NextSentence",
    "PooledEncoder",
    "PretrainedModel",
    "SequenceClassifier",
    "SequenceTagger",
    "SpanTagger",
    "architecture_of",
    "backbone_of",
    "load_tagger",
]
