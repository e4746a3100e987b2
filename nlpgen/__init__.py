"""Chinese language models on Keras 3: fill masks, classify with few labels or none."""

from nlpgen.checkpoints import embedded_models
from nlpgen.models import (
    ARCHITECTURES,
    GPT,
    GPT2,
    GPT2ML,
    Bert,
    BertConfig,
    CausalLM,
    GPT2Config,
    GPT2MLConfig,
    GPTConfig,
    MaskedLM,
    NextSentence,
    Nezha,
    NezhaConfig,
    PooledEncoder,
    RoFormer,
    RoFormerConfig,
    RoFormerV2,
    RoFormerV2Config,
)
from nlpgen.prompts import Pattern, PETClassifier, Verbalizer
from nlpgen.text import Vocab, WordPieceTokenizer
from nlpgen.version import __version__

__all__ = [
    "ARCHITECTURES",
    "GPT",
    "GPT2",
    "GPT2ML",
    "Bert",
    "BertConfig",
    "CausalLM",
    "GPT2Config",
    "GPT2MLConfig",
    "GPTConfig",
    "MaskedLM",
    "NextSentence",
    "Nezha",
    "NezhaConfig",
    "PETClassifier",
    "Pattern",
    "PooledEncoder",
    "RoFormer",
    "RoFormerConfig",
    "RoFormerV2",
    "RoFormerV2Config",
    "Verbalizer",
    "Vocab",
    "WordPieceTokenizer",
    "__version__",
    "embedded_models",
]
