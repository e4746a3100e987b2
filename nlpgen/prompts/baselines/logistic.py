"""Logistic regression by scikit-learn, of which two arrays remain."""

import importlib
import math

import numpy as np

from nlpgen.errors import InputError, NlpgenError

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
FOLDS = 5


def scikit_learn(module):
    """A module of scikit-learn, or of the SciPy that comes with it.

    Raises:
        NlpgenError: if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise NlpgenError("This classifier needs scikit-learn: pip install 'nlpgen[sklearn]'") from None


def fit_logistic(features, targets, c=None, seed=0):
    """Multinomial logistic regression with a squared penalty, `features @ kernel + bias` its logits.

    Args:
        features: `(rows, features)`, an array or a SciPy sparse matrix.
        targets: `(rows,)`, index of each row's class; every class has a row.
        c: scikit-learn's `C`, the inverse strength of the penalty. `None` for that of `STRENGTHS` with the best
            likelihood in a five-fold cross-validation of these rows, or 1 where a class has fewer than five of them.
        seed: of the folds.

    Returns:
        `kernel` `(features, classes)`, `bias` `(classes,)`, and the `c` that was used.

    Raises:
        InputError: if `c` is no number above 0.
        NlpgenError: if scikit-learn is not installed.
    """
    if c is not None and (not isinstance(c, int | float) or isinstance(c, bool) or not 0 < c < math.inf):
        raise InputError(f"`c` must be a number above 0, or None. Received: {c!r}")
    new_model = scikit_learn("sklearn.linear_model").LogisticRegression
    if c is None:
        c = 1.0
        if np.bincount(targets).min() >= FOLDS:
            selection = scikit_learn("sklearn.model_selection")
            folds = selection.StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
            likelihoods = [
                selection.cross_val_score(
                    new_model(C=each, max_iter=5000), features, targets, cv=folds, scoring="neg_log_loss"
                ).mean()
                for each in STRENGTHS
            ]
            c = STRENGTHS[int(np.argmax(likelihoods))]
    model = new_model(C=c, max_iter=5000).fit(features, targets)
    kernel, bias = model.coef_.T, model.intercept_
    if kernel.shape[1] == 1:  # of two classes scikit-learn keeps the second's logit against the first
        kernel, bias = np.pad(kernel, ((0, 0), (1, 0))), np.pad(bias, (1, 0))
    return kernel, bias, c


def fit_standardized(features, targets, c=None, seed=0):
    """`fit_logistic` on features of mean 0 and deviation 1; kernel and bias are for the features as they came.

    Args:
        features: an array `(rows, features)`. One that is constant up to rounding is left as it is.
        targets, c, seed: see `fit_logistic`.
    """
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale <= 1e-5 * scale.max()] = 1.0
    kernel, bias, c = fit_logistic((features - mean) / scale, targets, c, seed)
    kernel = kernel / scale[:, None]
    return kernel, bias - mean @ kernel, c
