"""CPM's tokenizer: words, then SentencePiece."""

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

    def prepare(self, text):
        words, spans = [], []
        for word, start, end in word_cutter().tokenize(text):
            words.append(word.translate(MARKS))
            spans += [(start, start)] * bool(spans) + [(i, i + 1) for i in range(start, end)]
        return Aligned(" ".join(words), spans)

    def decode(self, ids, skip_special_tokens=True):
        text = super().decode(ids, skip_special_tokens)
        return text.replace(" ", "").translate({after: before for before, after in MARKS.items()})


def _with_line_break(model):
    model = model_bytes(model)
    pieces = read_pieces(model)
    texts = [piece.text for piece in pieces]
    if LINE_BREAK in texts or "<cls>" not in texts:
        return model
    pieces[texts.index("<cls>")] = Piece(LINE_BREAK, type=USER_DEFINED)
    return with_pieces(model, pieces)
