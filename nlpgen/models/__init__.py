from nlpgen.models.albert import Albert, AlbertConfig
from nlpgen.models.architectures import ARCHITECTURES, architecture_of
from nlpgen.models.bert import Bert, BertConfig
from nlpgen.models.causal_lm import CausalLM
from nlpgen.models.config import Config
from nlpgen.models.decoder import Decoder
from nlpgen.models.electra import Electra, ElectraConfig, ElectraGenerator
from nlpgen.models.ernie import Ernie, ErnieConfig
from nlpgen.models.gpt2 import GPT2, GPT2Config
from nlpgen.models.masked_lm import FilledMask, MaskedLM
from nlpgen.models.next_sentence import NextSentence, PooledEncoder
from nlpgen.models.pretrained import Backbone, PretrainedModel
from nlpgen.models.replaced_tokens import ReplacedTokenDetector
from nlpgen.models.roberta import Roberta, RobertaConfig

__all__ = [
    "ARCHITECTURES",
    "GPT2",
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
    "Ernie",
    "ErnieConfig",
    "FilledMask",
    "GPT2Config",
    "MaskedLM",
    "NextSentence",
    "PooledEncoder",
    "PretrainedModel",
    "ReplacedTokenDetector",
    "Roberta",
    "RobertaConfig",
    "architecture_of",
]
