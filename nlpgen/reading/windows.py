"""Passages → overlapping windows of tokens, and where answers stand in them."""

import bisect
import functools
import unicodedata
from dataclasses import dataclass

from nlpgen.text import check_texts

# What Su's article reads as one mark, so that a list is one span; each for one, so that offsets stay.
AS_COMMA = str.maketrans(" 、；，", ",,,,")


@dataclass(frozen=True)
class Passage:
    """The tokens of a passage.

    Attributes:
        text: the passage.
        token_ids: without special tokens.
        offsets: `(start, end)` of each in `text`.
    """

    text: str
    token_ids: list
    offsets: list

    def stretch(self, first, last):
        """`(start, end)` in `text` of the tokens from `first` to `last`, without white space at the ends."""
        start, end = self.offsets[first][0], self.offsets[last][1]
        text = self.text[start:end]
        return start + len(text) - len(text.lstrip()), end - len(text) + len(text.rstrip())

    def windows(self, room, stride):
        """Stretches `(begin, end)` of at most `room` tokens, each `stride` tokens after the one before.

        Args:
            room: most tokens.
            stride: how far the next begins; `None` for the first window alone.
        """
        count, begin, found = len(self.token_ids), 0, []
        while begin < count:
            end = min(begin + room, count)
            found.append((begin, end))
            if stride is None or end == count:
                break
            begin += stride
        return found

    def spans_of(self, answers):
        """`(first, last)` tokens of every occurrence of the answers."""
        found = self.places({matchable(answer.strip()) for answer in answers} - {""})
        return sorted({span for spans in found.values() for span in spans})

    def places(self, texts):
        """`{text: [(first, last), …]}`: the tokens of every occurrence; a token that one cuts is part of it.

        Args:
            texts: strings that are not empty, as `matchable` gives them.
        """
        found = {text: [] for text in texts}
        if not found:
            return found
        whole = matchable(self.text)
        starts, ends = [start for start, _ in self.offsets], [end for _, end in self.offsets]
        for text, spans in found.items():
            at = whole.find(text)
            while at >= 0:
                first, last = bisect.bisect_right(ends, at), bisect.bisect_left(starts, at + len(text)) - 1
                if first <= last:
                    spans.append((first, last))
                at = whole.find(text, at + 1)
        return found


def read_passages(tokenizer, texts, with_commas=True):
    """The `Passage` of each text; of white space alone it has no tokens. `with_commas`: spaces and marks of lists are
    read as commas.
    """
    table = AS_COMMA if with_commas else {}
    pieces = tokenizer.pieces(check_texts([text.translate(table) if text.strip() else "" for text in texts]))
    pairs = zip(texts, pieces, strict=True)
    return [Passage(text, list(ids), list(map(tuple, offsets))) for text, (ids, offsets) in pairs]


def matchable(text):
    """A text of the same length that is equal for what counts as the same answer: width, case, and commas.

    Example:
        >>> matchable("ＡＢＣ、de f")
        'abc,de,f'
    """
    return "".join(map(_folded, text.translate(AS_COMMA)))


@functools.lru_cache(maxsize=65536)
def _folded(character):
    if character.isascii():
        return character.lower()
    folded = unicodedata.normalize("NFKC", character).lower()
    return folded if len(folded) == 1 else character
