from nlpgen.text.batches import bucket, length_batches, pad, shuffled_batches
from nlpgen.text.tokenizer import Encoding, Tokenizer, check_texts, check_truncation, fit_lengths, shorten
from nlpgen.text.vocab import Vocab
from nlpgen.text.wordpiece import WordPieceTokenizer

__all__ = [
    "Encoding",
    "Tokenizer",
    "Vocab",
    "WordPieceTokenizer",
    "bucket",
    "check_texts",
    "check_truncation",
    "fit_lengths",
    "length_batches",
    "pad",
    "shorten",
    "shuffled_batches",
]
