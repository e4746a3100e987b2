"""Chinese language models on Keras 3: fill masks, classify with few labels or none."""

from nlpgen.checkpoints import embedded_models
from nlpgen.models import (
    GPT2,
    Bert,
    BertConfig,
    CausalLM,
    GPT2Config,
    Llama,
    LlamaConfig,
    MaskedLM,
    NextSentence,
    PooledEncoder,
    Qwen2,
    Qwen2Config,
    Qwen3,
    Qwen3Config,
)
from nlpgen.prompts import Pattern, PETClassifier, Verbalizer
from nlpgen.text import Vocab, WordPieceTokenizer
from nlpgen.version import __version__

__all__ = [
    "GPT2",
    "Bert",
    "BertConfig",
    "CausalLM",
    "GPT2Config",
    "Llama",
    "LlamaConfig",
    "MaskedLM",
    "NextSentence",
    "PETClassifier",
    "Pattern",
    "PooledEncoder",
    "Qwen2",
    "Qwen2Config",
    "Qwen3",
    "Qwen3Config",
    "Verbalizer",
    "Vocab",
    "WordPieceTokenizer",
    "__version__",
    "embedded_models",
]
