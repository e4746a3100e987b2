"""BERT's tokenizer, on the Rust library `tokenizers`."""

import keras
import numpy as np
import tokenizers
from tokenizers import normalizers, pre_tokenizers
from tokenizers.models import WordPiece

from nlpgen.text.tokenizer import Tokenizer, json_bytes
from nlpgen.text.vocab import Vocab, is_cjk


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

    hugging_face_class = "BertTokenizer"

    def __init__(self, vocab, lowercase=True, **special):
        super().__init__(vocab, **special)
        self.lowercase = lowercase
        self._plain = self._rust()
        self._marked = None

    def pieces(self, texts, special_tokens=False):
        return [(e.ids, e.offsets) for e in self._library(special_tokens).encode_batch(texts)]

    def decode(self, ids, skip_special_tokens=True):
        """Ids back to a string.

        `##` pieces are joined to what stands before. A space is put only where two words of letters or digits
        would otherwise run together, and after an ASCII comma, stop or the like before a letter.

        Args:
            ids: token ids, an iterable or a one-dimensional array.
            skip_special_tokens: whether `[CLS]`, `[SEP]`, `[MASK]`, `[PAD]` and `[UNK]` are left out.

        Example:
            >>> from nlpgen import Vocab, WordPieceTokenizer
            >>> tokenizer = WordPieceTokenizer(Vocab(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "我", "play", "##ing", "ok"]))
            >>> tokenizer.decode([2, 4, 5, 6, 7, 3])
            '我playing ok'
        """
        words = []
        for i in np.asarray(ids).ravel().tolist():
            token = self.vocab.token(i)
            if i in self.special_ids:
                if not skip_special_tokens:
                    words.append(token)
            elif token.startswith("##") and len(token) > 2 and words:
                words[-1] += token[2:]
            elif token:
                words.append(token)
        return "".join(
            word if i == 0 or not _needs_space(words[i - 1][-1], word[0]) else f" {word}"
            for i, word in enumerate(words)
        )

    def bytes_of(self, token):
        return (token[2:] if token.startswith("##") and len(token) > 2 else token).encode("utf-8")

    def files(self):
        special = {f"{role}_token": token for role, token in self.special_tokens.items() if token is not None}
        settings = {"tokenizer_class": self.hugging_face_class, "do_lower_case": self.lowercase, **special}
        return {"vocab.txt": self.vocab.encoded(), "tokenizer_config.json": json_bytes(settings)}

    def with_tokens(self, keep_tokens=None, further=()):
        kept = self.vocab if keep_tokens is None else self.vocab.subset(keep_tokens)
        return type(self).from_config(self.get_config() | {"vocab": [*kept.tokens, *further]})

    def get_config(self):
        return {"vocab": self.vocab.tokens, "lowercase": self.lowercase, **self.special_tokens}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
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


def _needs_space(before, after):
    if is_cjk(after) or not after.isalnum():
        return False
    if before in ",;:!?.":
        return after.isalpha()
    return before.isalnum() and not is_cjk(before)
