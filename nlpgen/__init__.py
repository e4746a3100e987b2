"""Chinese language models on Keras 3: fill masks, classify with few labels or none."""

from nlpgen.checkpoints import embedded_models
from nlpgen.models import (
    GPT2,
    MT5,
    T5,
    Bert,
    BertConfig,
    CausalLM,
    GPT2Config,
    MaskedLM,
    MT5Encoder,
    NextSentence,
    PooledEncoder,
    Seq2SeqLM,
    T5Config,
    T5Encoder,
)
from nlpgen.prompts import Pattern, PETClassifier, Verbalizer
from nlpgen.text import Vocab, WordPieceTokenizer
from nlpgen.version import __version__

__all__ = [
    "GPT2",
    "MT5",
    "T5",
    "Bert",
    "BertConfig",
    "CausalLM",
    "GPT2Config",
    "MT5Encoder",
    "MaskedLM",
    "NextSentence",
    "PETClassifier",
    "Pattern",
    "PooledEncoder",
    "Seq2SeqLM",
    "T5Config",
    "T5Encoder",
    "Verbalizer",
    "Vocab",
    "WordPieceTokenizer",
    "__version__",
    "embedded_models",
]
