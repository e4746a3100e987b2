"""BERT's tokenizer, on the Rust library `tokenizers`."""

import keras
import tokenizers
from tokenizers import normalizers, pre_tokenizers
from tokenizers.models import WordPiece

from nlpgen.text.tokenizer import Tokenizer
from nlpgen.text.vocab import Vocab


@keras.saving.register_keras_serializable("nlpgen")
class WordPieceTokenizer(Tokenizer):
    """Clean, lower-case, cut at spaces, punctuation and CJK ideographs, then take the longest known pieces.

    Ids equal those of Hugging Face's `BertTokenizer`; `docs/tokenizer.md` lists where bert4keras differs.

    Args:
        vocab: a `Vocab`.
        lowercase: lower-case the text and strip its accents, as the Chinese BERTs want it.
        special: names of the special tokens, see `Tokenizer`.

    Example:
        >>> tokenizer = WordPieceTokenizer(Vocab(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "好", "ok"]))
        >>> tokenizer.encode("好OK").offsets
        [(0, 0), (0, 1), (1, 3), (0, 0)]
    """

    def __init__(self, vocab, lowercase=True, **special):
        super().__init__(vocab, **special)
        self.lowercase = lowercase
        self._plain = self._rust()
        self._marked = None

    def pieces(self, texts, special_tokens=False):
        return [(e.ids, e.offsets) for e in self._library(special_tokens).encode_batch(texts)]

    def get_config(self):
        return {"vocab": self.vocab.tokens, "lowercase": self.lowercase, **self.special_tokens}

    @classmethod
    def from_config(cls, config):
        return cls(Vocab(config.pop("vocab")), **config)

    def _library(self, special_tokens):
        if not special_tokens:
            return self._plain
        if self._marked is None:
            self._marked = self._rust()
            self._marked.add_special_tokens([t for t in self.special_tokens.values() if t in self.vocab])
        return self._marked

    def _rust(self):
        unk = self.special_tokens["unk"]
        rust = tokenizers.Tokenizer(WordPiece(self.vocab.ids, unk_token=unk, max_input_chars_per_word=100))
        rust.normalizer = normalizers.BertNormalizer(
            clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=self.lowercase
        )
        rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return rust
