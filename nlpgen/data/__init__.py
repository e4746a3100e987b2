from nlpgen.data.corpus import Corpus, Genre
from nlpgen.data.few_shot import Leaks, class_balance, few_shot_splits, find_leaks
from nlpgen.data.labelled import LabelledTexts, as_rows, read_labelled
from nlpgen.data.masking import Masking
from nlpgen.data.packing import pack
from nlpgen.data.pretraining import PackedRows, causal_lm_batch, endless, masked_lm_batch, unilm_batch
from nlpgen.data.public_sets import FEWCLUE, read_fewclue, read_sentiment
from nlpgen.data.token_cache import TokenCache, find_cache, make_cache
from nlpgen.data.vocabulary import corpus_vocab

__all__ = [
    "FEWCLUE",
    "Corpus",
    "Genre",
    "LabelledTexts",
    "Leaks",
    "Masking",
    "PackedRows",
    "TokenCache",
    "as_rows",
    "causal_lm_batch",
    "class_balance",
    "corpus_vocab",
    "endless",
    "few_shot_splits",
    "find_cache",
    "find_leaks",
    "make_cache",
    "masked_lm_batch",
    "pack",
    "read_fewclue",
    "read_labelled",
    "read_sentiment",
    "unilm_batch",
]
