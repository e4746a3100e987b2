from nlpgen.models.architectures import ARCHITECTURES, architecture_of
from nlpgen.models.bert import Bert, BertConfig
from nlpgen.models.causal_lm import CausalLM
from nlpgen.models.config import Config
from nlpgen.models.decoder import Decoder
from nlpgen.models.gpt2 import GPT2, GPT2Config
from nlpgen.models.llama import Llama, LlamaConfig
from nlpgen.models.masked_lm import FilledMask, MaskedLM
from nlpgen.models.next_sentence import NextSentence, PooledEncoder
from nlpgen.models.pretrained import Backbone, PretrainedModel
from nlpgen.models.qwen2 import Qwen2, Qwen2Config
from nlpgen.models.qwen3 import Qwen3, Qwen3Config
from nlpgen.models.rotary_decoder import RotaryDecoder

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
    "Llama",
    "LlamaConfig",
    "MaskedLM",
    "NextSentence",
    "PooledEncoder",
    "PretrainedModel",
    "Qwen2",
    "Qwen2Config",
    "Qwen3",
    "Qwen3Config",
    "RotaryDecoder",
    "architecture_of",
]
