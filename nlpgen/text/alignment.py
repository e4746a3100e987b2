"""A string made of another one, and where each of its characters comes from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Aligned:
    """A string and the origin of its characters.

    Attributes:
        text: the string.
        spans: for each of its characters `(start, end)` in the original string; empty where it has no origin.
    """

    text: str
    spans: list

    @classmethod
    def map(cls, text, function):
        """Every character replaced by what `function` makes of it, which may be none or several.

        Example:
            >>> Aligned.map("aß", str.upper)
            Aligned(text='ASS', spans=[(0, 1), (1, 2), (1, 2)])
        """
        made = {character: function(character) for character in set(text)}
        parts = [made[character] for character in text]
        return cls("".join(parts), [(i, i + 1) for i, part in enumerate(parts) for _ in part])

    def origin(self, start, end):
        """`(start, end)` in the original of a stretch of `text`."""
        if start < end:
            return self.spans[start][0], self.spans[end - 1][1]
        point = self.spans[start][0] if start < len(self.spans) else self.spans[-1][1] if self.spans else 0
        return point, point
