"""The loss for any number of right classes among many: Su's multilabel cross-entropy."""

from keras import ops

# A log of less than this is not taken: float32 ends near 1e-38, and bert4keras stops at Keras' epsilon.
EPSILON = 1e-7


def multilabel_categorical_crossentropy(y_true, y_pred):
    """`log(1 + Σ exp(s_neg)) + log(1 + Σ exp(-s_pos))` (Su et al., 2022, https://arxiv.org/abs/2208.02955).

    It is small when the scores of all right classes are above 0 and those of all others below. Labels between 0 and 1
    are allowed, as in the article's soft form. A masked class has a large negative score and label 0.

    Args:
        y_true: `(..., classes)`, 1 for the right ones, 0 for the others.
        y_pred: scores `(..., classes)`, without any activation; infinity where a class is masked is fine too.

    Returns:
        float32 `(...)`.
    """
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    y_pred = ops.clip(y_pred, -1e9, 1e9)
    # log(share) is added, so that a share of 0 leaves the sum; a share of 1 is the hard loss.
    negative = _log_one_plus_sum(y_pred + _log_share(1 - y_true))
    return negative + _log_one_plus_sum(_log_share(y_true) - y_pred)


def sparse_multilabel_categorical_crossentropy(y_true, y_pred, mask_zero=False):
    """The same loss with the right classes given by number, for very many classes.

    Args:
        y_true: numbers of the right classes `(..., n)`, all different; with `mask_zero` filled up with 0.
        y_pred: scores `(..., classes)`.
        mask_zero: whether class 0 means that there is no further right class; its score then does not count.

    Returns:
        float32 `(...)`.
    """
    y_true, y_pred = ops.cast(y_true, "int32"), ops.clip(ops.cast(y_pred, "float32"), -1e9, 1e9)
    # Without the score 0, `negative` below could be the log of nothing.
    y_pred = ops.concatenate([y_pred, ops.zeros_like(y_pred[..., :1])], axis=-1)
    right = ops.take_along_axis(y_pred, y_true, axis=-1)
    others = right
    if mask_zero:
        given = ops.not_equal(y_true, 0)
        right, others = ops.where(given, right, 1e9), ops.where(given, right, -1e9)
        y_pred = ops.concatenate([ops.full_like(y_pred[..., :1], -1e9), y_pred[..., 1:]], axis=-1)
    every = ops.logsumexp(y_pred, axis=-1)
    rest = -ops.expm1(ops.logsumexp(others, axis=-1) - every)  # the share of what is not right
    return every + ops.log(ops.clip(rest, EPSILON, 1.0)) + _log_one_plus_sum(-right)


def _log_one_plus_sum(x):
    return ops.logsumexp(ops.concatenate([ops.zeros_like(x[..., :1]), x], axis=-1), axis=-1)


def _log_share(share):
    return ops.where(share > EPSILON, ops.log(ops.maximum(share, EPSILON)), -2e9)
