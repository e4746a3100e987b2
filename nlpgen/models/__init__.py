from nlpgen.models.architectures import ARCHITECTURES, architecture_of
from nlpgen.models.bert import Bert, BertConfig
from nlpgen.models.causal_lm import CausalLM
from nlpgen.models.config import Config
from nlpgen.models.decoder import Decoder
from nlpgen.models.gpt2 import GPT2, GPT2Config
from nlpgen.models.masked_lm import FilledMask, MaskedLM
from nlpgen.models.next_sentence import NextSentence, PooledEncoder
from nlpgen.models.pretrained import Backbone, PretrainedModel
from nlpgen.models.seq2seq_lm import Seq2SeqLM
from nlpgen.models.t5 import MT5, T5, MT5Encoder, T5Config, T5Encoder

__all__ = [
    "ARCHITECTURES",
    "GPT2",
    "MT5",
    "T5",
    "Backbone",
    "Bert",
    "BertConfig",
    "CausalLM",
    "Config",
    "Decoder",
    "FilledMask",
    "GPT2Config",
    "MT5Encoder",
    "MaskedLM",
    "NextSentence",
    "PooledEncoder",
    "PretrainedModel",
    "Seq2SeqLM",
    "T5Config",
    "T5Encoder",
    "architecture_of",
]
