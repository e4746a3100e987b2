"""Chinese language models on Keras 3: fill masks, classify with few labels or none."""

from nlpgen.checkpoints import embedded_models
from nlpgen.models import (
    GPT2,
    Bert,
    BertConfig,
    CausalLM,
    GPT2Config,
    MaskedLM,
    NextSentence,
    PooledEncoder,
    SequenceClassifier,
    SequenceTagger,
    SpanTagger,
)
from nlpgen.prompts import Pattern, PETClassifier, Verbalizer
from nlpgen.tasks import Entity, TextClassifier, TokenClassifier
from nlpgen.text import Vocab, WordPieceTokenizer
from nlpgen.version import __version__

__all__ = [
    "GPT2",
    "Bert",
    "BertConfig",
    "CausalLM",
    "Entity",
    "GPT2Config",
    "MaskedLM",
    "NextSentence",
    "PETClassifier",
    "Pattern",
    "PooledEncoder",
    "SequenceClassifier",
    "SequenceTagger",
    "SpanTagger",
    "TextClassifier",
    "TokenClassifier",
    "Verbalizer",
    "Vocab",
    "WordPieceTokenizer",
    "__version__",
    "embedded_models",
]
