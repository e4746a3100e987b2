from nlpgen.models.architectures import ARCHITECTURES, architecture_of
from nlpgen.models.bert import Bert, BertConfig
from nlpgen.models.causal_lm import CausalLM
from nlpgen.models.config import Config
from nlpgen.models.decoder import Decoder
from nlpgen.models.gpt2 import GPT2, GPT2Config
from nlpgen.models.masked_lm import FilledMask, MaskedLM
from nlpgen.models.next_sentence import NextSentence, PooledEncoder
from nlpgen.models.pretrained import Backbone, PretrainedModel

__all__ = [
    "ARCHITECTURES",
    "GPT2",
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
    "architecture_of",
]
