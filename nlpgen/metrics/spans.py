"""Precision, recall and F1 of labelled spans."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SpanScores:
    """How well spans were found; a span counts only with the right start, end and label.

    Attributes:
        right, found, expected: numbers of spans.
        labels: the same for each label, `{label: SpanScores}`.
    """

    right: int
    found: int
    expected: int
    labels: dict = field(default_factory=dict)

    @property
    def precision(self):
        """Share of the found spans that are right; 0 where none was found."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self):
        """Share of the expected spans that were found; 0 where none was expected."""
        return self.right / self.expected if self.expected else 0.0

    @property
    def f1(self):
        """Harmonic mean of both; 1 where none was expected and none found."""
        total = self.found + self.expected
        return 2 * self.right / total if total else 1.0

    def __str__(self):
        return f"F1 {self.f1:.4f}, precision {self.precision:.4f}, recall {self.recall:.4f} of {self.expected} spans"


def span_scores(expected, found):
    """Micro-averaged scores over texts: all spans count alike.

    Args:
        expected, found: for each text an iterable of `(start, end, label)`; the same span twice counts once.

    Example:
        >>> scores = span_scores([{(0, 2, "人"), (5, 7, "地")}], [{(0, 2, "人"), (5, 8, "地")}])
        >>> scores.precision, scores.recall, scores.labels["人"].f1
        (0.5, 0.5, 1.0)
    """
    pairs = [(set(a), set(b)) for a, b in zip(expected, found, strict=True)]
    labels = sorted({label for a, b in pairs for *_, label in a | b})
    by_label = {
        label: _counted([({s for s in a if s[2] == label}, {s for s in b if s[2] == label}) for a, b in pairs])
        for label in labels
    }
    return _counted(pairs, by_label)


def _counted(pairs, labels=None):
    right = sum(len(a & b) for a, b in pairs)
    return SpanScores(right, sum(len(b) for _, b in pairs), sum(len(a) for a, _ in pairs), labels or {})
