from nlpgen.models.architectures import ARCHITECTURES, architecture_of
from nlpgen.models.bert import Bert, BertConfig
from nlpgen.models.config import Config
from nlpgen.models.masked_lm import FilledMask, MaskedLM
from nlpgen.models.next_sentence import NextSentence, PooledEncoder
from nlpgen.models.pretrained import Backbone, PretrainedModel

__all__ = [
    "ARCHITECTURES",
    "Backbone",
    "Bert",
    "BertConfig",
    "Config",
    "FilledMask",
    "MaskedLM",
    "NextSentence",
    "PooledEncoder",
    "PretrainedModel",
    "architecture_of",
]
