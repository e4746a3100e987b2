"""Whether a score is a probability, and what makes it one."""

import numpy as np

from nlpgen.metrics import question_scores
from nlpgen.reading.decoding import confidence, tempered
from nlpgen.reading.windows import matchable


def calibrated(pools, examples, threshold, metric):
    """What `Reader.calibrate` gives.

    Args:
        pools: a `Pool` of each example, of `pooled`.
        examples: `QAExample`s.
        threshold: a given one, `None` to fit it.
        metric: a name in `nlpgen.metrics.READING_METRICS`.
    """
    best = [pool.spans[0].text if pool.spans else "" for pool in pools]
    answered = [question_scores(text, each.answers, metric) for text, each in zip(best, examples, strict=True)]
    temperature = fit_temperature(pools, [_target(*pair) for pair in zip(pools, examples, strict=True)])
    probabilities = [tempered(pool, temperature) for pool in pools]
    if threshold is None:
        sure = [confidence(each) for each in probabilities]
        silent = [question_scores("", each.answers, metric)[1] for each in examples]
        threshold = fit_threshold(sure, [f1 for _, f1 in answered], silent)
    right = [exact >= 1 for exact, _ in answered]
    return {
        "temperature": temperature,
        "threshold": threshold,
        "ece_before": expected_calibration_error([tempered(pool, 1.0)[0] for pool in pools], right),
        "ece_after": expected_calibration_error([p[0] for p in probabilities], right),
    }


def _target(pool, example):
    """Which of `tempered(pool, …)` is right."""
    if not example.targets:
        return -2
    right = {matchable(answer.strip()) for answer in example.targets}
    return next((i for i, span in enumerate(pool.spans) if span.key in right), -1)


def expected_calibration_error(confidences, right, bins=15):
    """The mean distance of confidence and accuracy, over bins of equal width, weighted by their size (Guo et al., 2017,
    https://arxiv.org/abs/1706.04599).

    Args:
        confidences: `(n,)`, from 0 to 1.
        right: `(n,)`, 1 or true where what was predicted is right.
        bins: how many, each of width 1 / bins; a confidence of 1 is in the last. 15, as there.

    Returns:
        From 0, calibrated, to 1.

    Example:
        >>> round(expected_calibration_error([0.9, 0.9, 0.3], [1, 0, 0]), 6)
        0.366667
    """
    confidences, right = np.asarray(confidences, "float64"), np.asarray(right, "float64")
    places = np.minimum((confidences * bins).astype(int), bins - 1)
    gaps = np.bincount(places, weights=confidences - right, minlength=bins)
    return float(np.abs(gaps).sum() / max(len(confidences), 1))


def fit_temperature(pools, targets):
    """The temperature under which the right answers are likeliest, by golden-section search over its log.

    Args:
        pools: a `Pool` of each question, of `pooled`.
        targets: the index of the right one of `tempered(pool, …)`: an answer, -2 for none, -1 for the rest.

    Returns:
        A number from 0.05 to 20, to a precision of 1 %; 1 where no other is better.
    """

    def loss(log_temperature):
        return -sum(
            np.log(max(tempered(pool, np.exp(log_temperature))[target], 1e-30))
            for pool, target in zip(pools, targets, strict=True)
        )

    low, high, golden = np.log(0.05), np.log(20.0), (np.sqrt(5) - 1) / 2
    a, b = high - golden * (high - low), low + golden * (high - low)
    loss_a, loss_b = loss(a), loss(b)
    while high - low > 0.01:
        if loss_a < loss_b:
            high, b, loss_b = b, a, loss_a
            a = high - golden * (high - low)
            loss_a = loss(a)
        else:
            low, a, loss_a = a, b, loss_b
            b = low + golden * (high - low)
            loss_b = loss(b)
    best = (low + high) / 2
    return float(np.exp(best)) if loss(0.0) - loss(best) > 1e-9 * len(pools) else 1.0


def fit_threshold(confidences, gain_answered, gain_silent):
    """The threshold with the highest mean gain; of equally good ones the lowest.

    Args:
        confidences: of each question, p(best) / (p(best) + p(none)).
        gain_answered, gain_silent: of each question, its F1 if it is answered, and if it is not.

    Returns:
        0 to always answer, or a number halfway between two confidences, or just over the highest.
    """
    order = np.argsort(confidences, kind="stable")
    ranked = np.asarray(confidences, "float64")[order]
    differences = np.asarray(gain_silent, "float64")[order] - np.asarray(gain_answered, "float64")[order]
    totals = np.concatenate([[0.0], np.cumsum(differences)])  # of staying silent on the n least sure
    cuts = np.concatenate([[0.0], (ranked[:-1] + ranked[1:]) / 2, [np.nextafter(ranked[-1], 2)]])
    possible = np.concatenate([[True], ranked[:-1] < ranked[1:], [True]])
    return float(cuts[np.where(possible, totals, -np.inf).argmax()])
