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

    @functools.cached_property
    def matched(self):
        """The `matchable` text."""
        return matchable(self.text)

    def key(self, first, last):
        """What is equal for equal answers, of the tokens from `first` to `last`."""
        return self.matched[slice(*self.stretch(first, last))]

    def spans_of(self, answers):
        """`(first, last)` tokens of every occurrence of the answers; of those that cut a token, with all of it, only
        where there are no others.
        """
        found = self.places(by_head({matchable(answer.strip()) for answer in answers} - {""}))
        exact = {span for spans in found.values() for span, is_exact in spans.items() if is_exact}
        return sorted(exact or {span for spans in found.values() for span in spans})

    def places(self, heads):
        """The tokens of every occurrence; a token that one cuts is part of it.

        Args:
            heads: the texts, see `by_head`.

        Returns:
            `{text: {(first, last): whether no token is cut}}`.
        """
        found, whole = {}, self.matched
        starts, ends = [start for start, _ in self.offsets], [end for _, end in self.offsets]
        for at in range(len(whole) if heads else 0):
            for head in (whole[at : at + 2], whole[at]):
                for text in heads.get(head, ()):
                    if whole.startswith(text, at):
                        first, last = bisect.bisect_right(ends, at), bisect.bisect_left(starts, at + len(text)) - 1
                        if first <= last:
                            whole_tokens = starts[first] == at and ends[last] == at + len(text)
                            exact = whole_tokens or self.key(first, last) == text  # white space may be part of tokens
                            found.setdefault(text, {})[first, last] = exact
        return found


def by_head(texts):
    """`{head: texts}` by their first two characters, so that many are found in one walk through a passage.

    Args:
        texts: strings that are not empty, as `matchable` gives them.
    """
    heads = {}
    for text in texts:
        heads.setdefault(text[:2], []).append(text)
    return heads


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
    return "".join(map(_folded, text))


@functools.lru_cache(maxsize=65536)
def _folded(character):
    folded = unicodedata.normalize("NFKC", character.translate(AS_COMMA)).lower()
    return (folded if len(folded) == 1 else character).translate(AS_COMMA)
