"""Accuracy, its spread over runs, and whether two classifiers differ by more than chance on the same test rows."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from nlpgen.errors import InputError

FEW_DISCORDANT = 25  # the usual bound: below, the chi-square approximation is coarse


def accuracy(expected, predicted):
    """Share of equal labels.

    Args:
        expected: `(rows,)` labels.
        predicted: `(rows,)`, or `(runs, rows)`: then of all runs.
    """
    return float(np.mean(_right(expected, predicted)))


def macro_f1(expected, predicted):
    """Mean of the F1 scores of all labels that are expected or predicted; a label that is never right scores 0.

    Args:
        expected, predicted: `(rows,)` labels.

    Example:
        >>> macro_f1(["a", "a", "b"], ["a", "b", "b"])
        0.6666666666666666
    """
    right = Counter(a for a, b in zip(expected, predicted, strict=True) if a == b)
    either = Counter(expected) + Counter(predicted)
    return float(np.mean([2 * right[label] / count for label, count in either.items()]))


def mean_sd(values):
    """Mean and standard deviation of a sample (divisor n - 1; `None` for one value).

    Example:
        >>> mean_sd([1, 3]), mean_sd([0.5])
        ((2.0, 1.4142135623730951), (0.5, None))
    """
    values = np.asarray(values, dtype="float64")
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None


@dataclass(frozen=True)
class Difference:
    """How much more accurate one classifier is than another.

    Attributes:
        difference: of the accuracies, from -1 to 1.
        low, high: ends of the confidence interval.
        p: how often chance alone would make a difference as large, in either direction.
    """

    difference: float
    low: float
    high: float
    p: float


def paired_bootstrap(expected, first, second, samples=10_000, seed=0, confidence=0.95):
    """Bootstrap over the rows of a test set for the difference of two accuracies.

    Both classifiers are judged on the same resampled rows. Of several runs of a classifier the mean counts, row by row:
    what is asked is whether the difference holds on other test rows, for runs like these. The interval is the
    percentile interval; p is the share of resamples that lie as far from the observed difference as that lies from
    zero (Berg-Kirkpatrick et al., 2012, https://aclanthology.org/D12-1091), with one added to both counts, so that it
    is never zero.

    Args:
        expected: `(rows,)` labels.
        first, second: `(rows,)` or `(runs, rows)` predictions; each may have runs of its own number.
        samples: number of resamples.
        seed: of the resampling.
        confidence: of the interval.

    Returns:
        `Difference`, positive where the first is better.
    """
    differences = _row_accuracy(expected, first) - _row_accuracy(expected, second)
    # Rows with the same difference are alike, so it is enough to draw how many of each kind a resample has.
    values, counts = np.unique(differences.round(12), return_counts=True)
    rows, generator = len(differences), np.random.default_rng(seed)
    means = generator.multinomial(rows, counts / rows, size=samples) @ values / rows  # (samples,)
    observed = float(differences.mean())
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    extreme = int((np.abs(means - observed) >= abs(observed) - 1e-12).sum())
    return Difference(observed, float(low), float(high), (extreme + 1) / (samples + 1))


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two classifiers on the same rows.

    Attributes:
        only_first, only_second: rows that only the one, only the other got right.
        p: two-sided.
        exact: whether it is the binomial test, or the chi-square approximation with continuity correction.
    """

    only_first: int
    only_second: int
    p: float
    exact: bool


def mcnemar(expected, first, second):
    """Test whether two classifiers err equally often (McNemar, 1947; with the correction of Edwards, 1948).

    Below 25 rows on which they differ the test is exact, from there on it is the chi-square approximation.

    Args:
        expected: `(rows,)` labels.
        first, second: `(rows,)` predictions.

    Example:
        >>> mcnemar(list("aaaaa"), list("aaaaa"), list("baaab"))
        McNemar(only_first=2, only_second=0, p=0.5, exact=True)
    """
    a, b = _right(expected, first), _right(expected, second)
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    exact = only_first + only_second < FEW_DISCORDANT
    p = (mcnemar_exact if exact else mcnemar_corrected)(only_first, only_second)
    return McNemar(only_first, only_second, p, exact)


def mcnemar_exact(only_first, only_second):
    """The two-sided binomial p of two counts that are equally likely; 1 if both are 0."""
    n, fewer = only_first + only_second, min(only_first, only_second)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n)


def mcnemar_corrected(only_first, only_second):
    """The p of the chi-square approximation with continuity correction; 1 if both counts are 0."""
    n = only_first + only_second
    statistic = max(0, abs(only_first - only_second) - 1) ** 2 / n if n else 0.0
    return math.erfc(math.sqrt(statistic / 2))  # the chi-square distribution's upper tail, one degree of freedom


def combined_p(p_values):
    """One p for several tests of the same hypothesis that depend on each other in any way (Rüger, 1978).

    The median of n p-values, times n over its rank: about twice the median, and the value itself for one test.

    Example:
        >>> combined_p([0.02]), round(combined_p([0.01, 0.5, 0.02]), 6)
        (0.02, 0.03)
    """
    ordered = sorted(p_values)
    rank = (len(ordered) + 1) // 2
    return min(1.0, ordered[rank - 1] * len(ordered) / rank)


def holm(p_values):
    """Correct p-values for their number (Holm, 1979), in their own order.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[i] * (len(p_values) - rank)))
        corrected[i] = largest
    return corrected


def _right(expected, predicted):
    """Whether each prediction is right, in the shape of `predicted`."""
    expected, predicted = np.asarray(expected), np.asarray(predicted)
    if expected.ndim != 1 or not len(expected) or predicted.shape[-1:] != expected.shape:
        raise InputError(
            f"Give a label and a prediction for each row, one at least. Received: labels of shape {expected.shape}, "
            f"predictions of shape {predicted.shape}"
        )
    return predicted == expected


def _row_accuracy(expected, predicted):
    """`(rows,)` share of the runs that are right."""
    right = _right(expected, predicted)
    return right.mean(axis=0) if right.ndim == 2 else right.astype("float64")
