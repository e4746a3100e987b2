from nlpgen.data.corpus import Corpus, Genre
from nlpgen.data.masking import Masking
from nlpgen.data.packing import pack
from nlpgen.data.pretraining import PackedRows, causal_lm_batch, endless, masked_lm_batch, unilm_batch
from nlpgen.data.token_cache import TokenCache, find_cache, make_cache
from nlpgen.data.vocabulary import corpus_vocab

__all__ = [
    "Corpus",
    "Genre",
    "Masking",
    "PackedRows",
    "TokenCache",
    "causal_lm_batch",
    "corpus_vocab",
    "endless",
    "find_cache",
    "make_cache",
    "masked_lm_batch",
    "pack",
    "unilm_batch",
]
