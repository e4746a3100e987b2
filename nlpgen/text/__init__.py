from nlpgen.text.batches import bucket, length_batches, pad, shuffled_batches
from nlpgen.text.cpm import CPMTokenizer
from nlpgen.text.fast import FastTokenizer
from nlpgen.text.folder import read_tokenizer, vocabulary_file
from nlpgen.text.jieba_wordpiece import JiebaWordPieceTokenizer
from nlpgen.text.sentencepiece import SentencePieceTokenizer
from nlpgen.text.tokenizer import Encoding, Tokenizer, check_texts, check_truncation, fit_lengths, shorten
from nlpgen.text.vocab import Vocab
from nlpgen.text.wordpiece import WordPieceTokenizer

__all__ = [
    "CPMTokenizer",
    "Encoding",
    "FastTokenizer",
    "JiebaWordPieceTokenizer",
    "SentencePieceTokenizer",
    "Tokenizer",
    "Vocab",
    "WordPieceTokenizer",
    "bucket",
    "check_texts",
    "check_truncation",
    "fit_lengths",
    "length_batches",
    "pad",
    "read_tokenizer",
    "shorten",
    "shuffled_batches",
    "vocabulary_file",
]
