"""Against scipy and scikit-learn, every possible resample of a small case, and the definitions."""

import itertools
import math
import statistics

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from nlpgen.errors import InputError
from nlpgen.metrics import accuracy, combined_p, holm, macro_f1, mcnemar, mean_sd, paired_bootstrap
from nlpgen.metrics.significance import mcnemar_corrected, mcnemar_exact


def predictions(right):
    """Labels that agree with a row of `"a"` where `right` is true."""
    return np.where(np.asarray(right), "a", "b").tolist()


def test_accuracy_and_macro_f1():
    generator = np.random.default_rng(0)
    for labels in ("ab", "abcdefg"):
        expected, predicted = generator.choice(list(labels), (2, 40)).tolist()
        assert accuracy(expected, predicted) == sum(a == b for a, b in zip(expected, predicted, strict=True)) / 40
        assert macro_f1(expected, predicted) == pytest.approx(f1_score(expected, predicted, average="macro"))
    assert macro_f1(["a", "a"], ["b", "a"]) == pytest.approx(f1_score(["a", "a"], ["b", "a"], average="macro"))


def test_mean_sd():
    values = [0.81, 0.84, 0.79, 0.9]
    assert mean_sd(values) == pytest.approx((statistics.mean(values), statistics.stdev(values)))
    assert mean_sd([0.8]) == (0.8, None)


@pytest.mark.parametrize("n", range(1, 11))
def test_exact_mcnemar_by_all_outcomes(n):
    """If both are as good, each row on which they differ is a toss of a coin: count all sequences of tosses."""
    heads = np.array([sum(tosses) for tosses in itertools.product((0, 1), repeat=n)])
    for only_first in range(n + 1):
        expected = np.mean(abs(2 * heads - n) >= abs(2 * only_first - n))
        assert mcnemar_exact(only_first, n - only_first) == pytest.approx(expected, rel=1e-12)


def test_exact_mcnemar_equals_scipy():
    for a, b in itertools.product(range(0, 40, 3), range(1, 40, 3)):
        assert mcnemar_exact(a, b) == pytest.approx(stats.binomtest(a, a + b).pvalue, rel=1e-9)
    assert mcnemar_exact(0, 0) == 1


def test_corrected_mcnemar_equals_scipy():
    for a, b in itertools.product(range(0, 300, 17), range(1, 300, 23)):
        statistic = max(0, abs(a - b) - 1) ** 2 / (a + b)
        assert mcnemar_corrected(a, b) == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-9)
    assert mcnemar_corrected(0, 0) == 1


@pytest.mark.parametrize(("only_first", "only_second", "exact"), [(3, 21, True), (4, 21, False), (0, 0, True)])
def test_mcnemar_counts_and_chooses(only_first, only_second, exact):
    first = [True] * only_first + [False] * only_second + [True] * 5 + [False] * 7
    second = [False] * only_first + [True] * only_second + [True] * 5 + [False] * 7
    found = mcnemar(["a"] * len(first), predictions(first), predictions(second))
    assert (found.only_first, found.only_second, found.exact) == (only_first, only_second, exact)
    assert found.p == (mcnemar_exact if exact else mcnemar_corrected)(only_first, only_second)


def test_bootstrap_by_all_resamples():
    """Of six rows there are 6^6 resamples; the drawn ones must come as near as their number lets them."""
    first, second = predictions([1, 1, 1, 0, 1, 1]), predictions([1, 0, 0, 0, 1, 0])
    differences = np.array([0, 1, 1, 0, 0, 1])
    means = np.array([np.mean(rows) for rows in itertools.product(differences, repeat=6)])
    expected = np.mean(abs(means - 0.5) >= 0.5 - 1e-12)
    samples = 200_000
    found = paired_bootstrap(["a"] * 6, first, second, samples=samples)
    assert found.difference == pytest.approx(0.5)
    assert abs(found.p - expected) < 4 * math.sqrt(expected * (1 - expected) / samples) + 1 / samples
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975]))


def test_bootstrap_of_many_rows_is_normal():
    """With 3000 rows the mean is normal within what 50,000 resamples show: 2 % of the interval, 0.01 of p."""
    generator = np.random.default_rng(1)
    right = generator.random((2, 3000)) < [[0.82], [0.81]]
    differences = right[0].astype(float) - right[1]
    error = differences.std() / math.sqrt(3000)
    found = paired_bootstrap(["a"] * 3000, *map(predictions, right), samples=50_000)
    middle = differences.mean()
    assert (found.low, found.high) == pytest.approx((middle - 1.96 * error, middle + 1.96 * error), abs=0.08 * error)
    assert found.p == pytest.approx(math.erfc(abs(middle) / error / math.sqrt(2)), abs=0.01)
    assert 0.01 < found.p < 0.99


def test_bootstrap_of_several_runs_equals_scipy():
    """Of runs the mean counts, row by row; a classifier of one run against one of three."""
    generator = np.random.default_rng(2)
    first, second = generator.random((3, 200)) < 0.8, generator.random((1, 200)) < 0.75
    differences = first.mean(axis=0) - second.mean(axis=0)
    peer = stats.bootstrap(
        (differences,), np.mean, n_resamples=50_000, method="percentile", rng=np.random.default_rng(0), batch=1000
    )
    found = paired_bootstrap(
        ["a"] * 200, [predictions(run) for run in first], [predictions(run) for run in second], samples=50_000
    )
    assert found.difference == pytest.approx(differences.mean())
    bound = 0.08 * peer.standard_error  # of a quantile of 50,000 values, 4 standard errors are 0.05 of theirs
    assert (found.low, found.high) == pytest.approx(peer.confidence_interval, abs=bound)


def test_bootstrap_of_equals_and_of_seeds():
    labels = predictions([1, 0, 1, 1])
    found = paired_bootstrap(["a"] * 4, labels, labels)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)
    first, second = predictions([1] * 9 + [0]), predictions([1] * 5 + [0] * 5)
    a, b, c = (paired_bootstrap(["a"] * 10, first, second, samples=999, seed=seed) for seed in (0, 0, 1))
    assert a == b != c
    turned = paired_bootstrap(["a"] * 10, second, first)
    assert turned.difference == -a.difference


@pytest.mark.parametrize("test", [lambda *x: paired_bootstrap(*x, samples=500).p, lambda *x: mcnemar(*x).p])
def test_equally_good_classifiers_are_seldom_told_apart(test):
    """At the level of 0.1, 500 pairs of classifiers that are as good; at most 10 % and 4 standard errors differ."""
    generator = np.random.default_rng(3)
    draws = generator.random((500, 2, 100)) < 0.7
    found = np.mean([test(["a"] * 100, *map(predictions, draw)) < 0.1 for draw in draws])
    assert found < 0.1 + 4 * math.sqrt(0.09 / 500)
    assert found > 0.02


def test_holm_is_the_closed_bonferroni_test():
    """By its definition: the largest of what Bonferroni gives for all sets of hypotheses that hold this one."""
    generator = np.random.default_rng(4)
    for _ in range(20):
        p = generator.random(5) ** 3
        sets = [s for size in range(1, 6) for s in itertools.combinations(range(5), size)]
        expected = [max(min(1, len(s) * p[list(s)].min()) for s in sets if i in s) for i in range(5)]
        assert holm(p.tolist()) == pytest.approx(expected)
    assert holm([]) == []


@pytest.mark.parametrize("n", [1, 2, 3, 15])
def test_combined_p_is_a_p_value(n):
    """Equal tests and independent ones: at most a share of alpha below alpha, up to 4 standard errors."""
    draws = np.random.default_rng(5).random((4000, n))
    for p_values in (draws, draws[:, :1].repeat(n, axis=1)):
        combined = np.array([combined_p(row) for row in p_values.tolist()])
        for alpha in (0.05, 0.3):
            assert np.mean(combined < alpha) < alpha + 4 * math.sqrt(alpha * (1 - alpha) / 4000)
    assert combined_p([0.4] * n) == pytest.approx(min(1, 0.4 * n / ((n + 1) // 2)))


@pytest.mark.parametrize(("expected", "predicted"), [([], []), (["a"], ["a", "b"]), (["a", "b"], ["a"])])
def test_rows_that_do_not_fit(expected, predicted):
    with pytest.raises(InputError, match="a prediction for each row"):
        accuracy(expected, predicted)
