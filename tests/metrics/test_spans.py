"""F1 by the definition, one span at a time."""

import numpy as np
import pytest

from nlpgen.metrics import span_scores


def test_by_definition():
    generator = np.random.default_rng(0)

    def draw():
        numbers, labels = generator.integers(0, 3, (20, 4, 2)), generator.choice(["a", "b"], (20, 4))
        return [
            [(int(a), int(b), str(label)) for (a, b), label in zip(row, names, strict=True)]
            for row, names in zip(numbers, labels, strict=True)
        ]

    expected, found = draw(), draw()
    scores = span_scores(expected, found)
    for label in (None, "a", "b"):
        part = scores if label is None else scores.labels[label]
        truth = {(i, s) for i, row in enumerate(expected) for s in row if label in (None, s[2])}
        guess = {(i, s) for i, row in enumerate(found) for s in row if label in (None, s[2])}
        precision, recall = len(truth & guess) / len(guess), len(truth & guess) / len(truth)
        assert (part.precision, part.recall) == pytest.approx((precision, recall))
        assert part.f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_nothing_to_find():
    assert span_scores([[]], [[]]).f1 == 1
    assert span_scores([[]], [[(0, 1, "a")]]).f1 == 0
    assert span_scores([[(0, 1, "a")]], [[]]).f1 == 0
