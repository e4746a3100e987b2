from nlpgen.models.albert import Albert, AlbertConfig
from nlpgen.models.architectures import ARCHITECTURES, architecture_of
from nlpgen.models.backbone import Backbone
from nlpgen.models.bert import Bert, BertConfig
from nlpgen.models.causal_lm import CausalLM
from nlpgen.models.classifier import SequenceClassifier
from nlpgen.models.config import Config
from nlpgen.models.decoder import Decoder
from nlpgen.models.electra import Electra, ElectraConfig, ElectraGenerator
from nlpgen.models.encoder import Encoder, EncoderConfig
from nlpgen.models.ernie import Ernie, ErnieConfig
from nlpgen.models.generating import Generated
from nlpgen.models.gpt import GPT, GPTConfig
from nlpgen.models.gpt2 import GPT2, GPT2Config
from nlpgen.models.gpt2_ml import GPT2ML, GPT2MLConfig
from nlpgen.models.inspect import describe
from nlpgen.models.llama import Llama, LlamaConfig
from nlpgen.models.loading import backbone_of
from nlpgen.models.masked_lm import FilledMask, MaskedLM
from nlpgen.models.next_sentence import NextSentence, PooledEncoder
from nlpgen.models.nezha import Nezha, NezhaConfig
from nlpgen.models.pretrained import PretrainedModel
from nlpgen.models.qwen2 import Qwen2, Qwen2Config
from nlpgen.models.qwen3 import Qwen3, Qwen3Config
from nlpgen.models.replaced_tokens import ReplacedTokenDetector
from nlpgen.models.roberta import Roberta, RobertaConfig
from nlpgen.models.roformer import RoFormer, RoFormerConfig
from nlpgen.models.roformer_v2 import RoFormerV2, RoFormerV2Config
from nlpgen.models.rotary_decoder import RotaryDecoder
from nlpgen.models.sentence_encoder import SENTENCE_POOLINGS, SentenceEncoder
from nlpgen.models.seq2seq_lm import Seq2SeqLM
from nlpgen.models.t5 import MT5, T5, MT5Encoder, T5Encoder
from nlpgen.models.t5_config import T5Config
from nlpgen.models.tagger import POINTERS, TAG_DECODERS, SequenceTagger, SpanTagger, load_tagger
from nlpgen.models.unilm import UniLM

__all__ = [
    "ARCHITECTURES",
    "GPT",
    "GPT2",
    "GPT2ML",
    "MT5",
    "POINTERS",
    "SENTENCE_POOLINGS",
    "T5",
    "TAG_DECODERS",
    "Albert",
    "AlbertConfig",
    "Backbone",
    "Bert",
    "BertConfig",
    "CausalLM",
    "Config",
    "Decoder",
    "Electra",
    "ElectraConfig",
    "ElectraGenerator",
    "Encoder",
    "EncoderConfig",
    "Ernie",
    "ErnieConfig",
    "FilledMask",
    "GPT2Config",
    "GPT2MLConfig",
    "GPTConfig",
    "Generated",
    "Llama",
    "LlamaConfig",
    "MT5Encoder",
    "MaskedLM",
    "NextSentence",
    "Nezha",
    "NezhaConfig",
    "PooledEncoder",
    "PretrainedModel",
    "Qwen2",
    "Qwen2Config",
    "Qwen3",
    "Qwen3Config",
    "ReplacedTokenDetector",
    "RoFormer",
    "RoFormerConfig",
    "RoFormerV2",
    "RoFormerV2Config",
    "Roberta",
    "RobertaConfig",
    "RotaryDecoder",
    "SentenceEncoder",
    "Seq2SeqLM",
    "SequenceClassifier",
    "SequenceTagger",
    "SpanTagger",
    "T5Config",
    "T5Encoder",
    "UniLM",
    "architecture_of",
    "backbone_of",
    "describe",
    "load_tagger",
]
