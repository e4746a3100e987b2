"""CPM's tokenizer: words, then SentencePiece."""

import re

import keras

from nlpgen.text.alignment import Aligned
from nlpgen.text.sentencepiece import SentencePieceTokenizer, model_bytes
from nlpgen.text.spiece_file import USER_DEFINED, Piece, read_pieces, with_pieces
from nlpgen.text.words import word_cutter

# How CPM writes a space and a line break, so that a space can stand between words.
LINE_BREAK = "\u2583"
MARKS = str.maketrans(" \n", f"\u2582{LINE_BREAK}")


@keras.saving.register_keras_serializable("nlpgen")
class CPMTokenizer(SentencePieceTokenizer):
    """Words by jieba, with spaces between them, cut by SentencePiece.

    A space of the text becomes `▂` and a line break `▃`. Nothing is put around a text; `<eod>` ends a generated one.

    Zhang et al., 2020, CPM: a large-scale generative Chinese pre-trained language model,
    https://arxiv.org/abs/2012.00413

    Args:
        model: the bytes of CPM's `chinese_vocab.model`, or of the older file that calls `▃` `<cls>`.
        special: see `SentencePieceTokenizer`.
    """

    hugging_face_class = "CpmTokenizer"

    def __init__(self, model, lowercase=False, **special):
        super().__init__(_with_line_break(model), lowercase, **({"cls": None, "sep": None, "eos": "<eod>"} | special))
        self._marks = {self.vocab.token(id) for id in self.marks()}

    def prepare(self, text, special_tokens=False):
        words, spans = [], []
        for word, start in self._words(text, special_tokens):
            if words and word not in self._marks:
                words.append(" ")
                spans.append((start, start))
            words.append(word if word in self._marks else word.translate(MARKS))
            spans += [(start + i, start + i + 1) for i in range(len(word))]
        return Aligned("".join(words), spans)

    def _words(self, text, special_tokens):
        """Words, and special tokens where they count, with where they start."""
        parts = re.split("(" + "|".join(map(re.escape, self._marks)) + ")", text) if special_tokens else [text]
        start = 0
        for part in parts:
            if special_tokens and part in self._marks:
                yield part, start
            else:
                yield from ((word, start + at) for word, at, _ in word_cutter().tokenize(part))
            start += len(part)

    def decode(self, ids, skip_special_tokens=True):
        text = super().decode(ids, skip_special_tokens)
        return text.replace(" ", "").translate({after: before for before, after in MARKS.items()})

    def bytes_of(self, token):
        text = token.replace("▁", "").translate({after: before for before, after in MARKS.items()})
        return text.encode("utf-8")


def _with_line_break(model):
    model = model_bytes(model)
    pieces = read_pieces(model)
    texts = [piece.text for piece in pieces]
    if LINE_BREAK in texts or "<cls>" not in texts:
        return model
    pieces[texts.index("<cls>")] = Piece(LINE_BREAK, type=USER_DEFINED)
    return with_pieces(model, pieces)
