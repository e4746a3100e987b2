"""Calibration: what a pattern says of every text is taken out of what it says of one.

A language model prefers some label words whatever the text. The probabilities of the labels are divided by a prior,
what the model gives without a text (Zhao et al., 2021, https://arxiv.org/abs/2102.09690) or on average over texts
(Zhou et al., 2023, https://arxiv.org/abs/2309.17249), and normalized.
"""

import numpy as np

from nlpgen.errors import InputError
from nlpgen.tasks import softmax

CALIBRATIONS = (None, "context", "unlabeled")


def calibrated(probabilities, prior):
    """Probabilities over a prior.

    Args:
        probabilities: `(texts, labels)`.
        prior: `(labels,)` or `(texts, labels)`.

    Returns:
        `(texts, labels)`; rows sum to 1.

    Example:
        >>> calibrated(np.array([[0.6, 0.4]]), np.array([0.75, 0.25])).round(3).tolist()
        [[0.333, 0.667]]
    """
    divided = probabilities / np.maximum(prior, 1e-12)
    return divided / divided.sum(axis=-1, keepdims=True)


def mean_prior(probabilities, domains=None):
    """The mean of probabilities, and that of each domain.

    Args:
        probabilities: `(texts, labels)`.
        domains: of each text; `None` for one domain.

    Returns:
        `{domain: (labels,)}`; `None` is the key of the mean over all.

    Raises:
        InputError: if there is no text.
    """
    if not len(probabilities):
        raise InputError("Calibration needs texts. Received: none.")
    priors = {None: probabilities.mean(axis=0)}
    for domain in sorted(set(domains or ())):
        here = np.array([each == domain for each in domains])
        priors[domain] = probabilities[here].mean(axis=0)
    return priors


def label_probabilities(scorer, columns, by_context=False, priors=None, domain=None):
    """Probabilities of the labels, calibrated by what the pattern says without a text, or by priors.

    Args:
        scorer: a `Scorer`.
        columns: the inputs.
        by_context: whether to calibrate without a text, where there are no priors.
        priors: of `mean_prior`, or `None`.
        domain: name of the column of the domains, or `None`.

    Returns:
        `(inputs, labels)`; rows sum to 1.
    """
    probabilities = softmax(scorer.label_scores(columns))
    if priors is not None:
        domains = columns.get(domain, [None] * len(probabilities))
        return calibrated(probabilities, np.stack([priors.get(each, priors[None]) for each in domains]))
    if not by_context or not len(probabilities):
        return probabilities
    n = len(probabilities) if scorer.by_input else 1
    blank = {name: [""] * n for name in scorer.pattern.fields}
    blank |= {name: columns[name] for name in scorer.further_columns}
    return calibrated(probabilities, softmax(scorer.label_scores(blank)))


def prior_of(scorer, columns, domain=None):
    """The mean of what a pattern says of inputs, see `mean_prior`; `domain` is the column of their domains."""
    return mean_prior(softmax(scorer.label_scores(columns)), columns.get(domain))
