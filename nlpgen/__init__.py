"""Chinese language models on Keras 3: fill masks, classify with few labels or none."""

from nlpgen.checkpoints import embedded_models
from nlpgen.models import (
    GPT2,
    Albert,
    AlbertConfig,
    Bert,
    BertConfig,
    CausalLM,
    Electra,
    ElectraConfig,
    ElectraGenerator,
    Ernie,
    ErnieConfig,
    GPT2Config,
    MaskedLM,
    NextSentence,
    PooledEncoder,
    ReplacedTokenDetector,
    Roberta,
    RobertaConfig,
)
from nlpgen.prompts import Pattern, PETClassifier, Verbalizer
from nlpgen.text import Vocab, WordPieceTokenizer
from nlpgen.version import __version__

__all__ = [
    "GPT2",
    "Albert",
    "AlbertConfig",
    "Bert",
    "BertConfig",
    "CausalLM",
    "Electra",
    "ElectraConfig",
    "ElectraGenerator",
    "Ernie",
    "ErnieConfig",
    "GPT2Config",
    "MaskedLM",
    "NextSentence",
    "PETClassifier",
    "Pattern",
    "PooledEncoder",
    "ReplacedTokenDetector",
    "Roberta",
    "RobertaConfig",
    "Verbalizer",
    "Vocab",
    "WordPieceTokenizer",
    "__version__",
    "embedded_models",
]
