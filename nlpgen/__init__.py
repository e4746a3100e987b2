"""Chinese language models on Keras 3: fill masks, classify with few labels or none."""

from nlpgen.checkpoints import embedded_models
from nlpgen.models import GPT2, Bert, BertConfig, CausalLM, GPT2Config, MaskedLM, NextSentence, PooledEncoder
from nlpgen.prompts import Pattern, PETClassifier, Verbalizer
from nlpgen.text import (
    CPMTokenizer,
    FastTokenizer,
    JiebaWordPieceTokenizer,
    SentencePieceTokenizer,
    Vocab,
    WordPieceTokenizer,
    read_tokenizer,
)
from nlpgen.version import __version__

__all__ = [
    "GPT2",
    "Bert",
    "BertConfig",
    "CPMTokenizer",
    "CausalLM",
    "FastTokenizer",
    "GPT2Config",
    "JiebaWordPieceTokenizer",
    "MaskedLM",
    "NextSentence",
    "PETClassifier",
    "Pattern",
    "PooledEncoder",
    "SentencePieceTokenizer",
    "Verbalizer",
    "Vocab",
    "WordPieceTokenizer",
    "__version__",
    "embedded_models",
    "read_tokenizer",
]
