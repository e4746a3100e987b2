"""Scores of all spans of a passage at once, and the losses on them.

A row of span scores is `[no answer, spans of 1 token by their first, spans of 2 tokens, …]`, `1 + longest * length` in
all; `span_index` says where.
"""

import keras
import numpy as np
from keras import ops

HIDDEN = -1e9  # log probability of what cannot be
ANCHOR = 0.1  # weight of the plain log likelihood in `SlotSpanLoss`


def span_index(first, last, length):
    """Where the span of the tokens from `first` to `last` stands, in a passage padded to `length` tokens."""
    return 1 + (last - first) * length + first


def span_at(index, length):
    """The inverse of `span_index`: `(first, last)`."""
    tokens, first = divmod(index - 1, length)
    return first, first + tokens


def slot_span_scores(log_probs):
    """Log probabilities of all spans under slots that are independent of each other.

    The span of n tokens from s on has Σᵢ log pᵢ(tₛ₊ᵢ), i < n, and log pₙ of the end: running sums along the diagonals
    give all of them. Exact, where decoding slot by slot is greedy.

    Args:
        log_probs: `(batch, slots, 1 + length)`: at each slot of the end, then of the token at each place of the
            passage; `HIDDEN` for padding.

    Returns:
        `(batch, 1 + (slots - 1) * length)`, see the module.
    """
    xp = np if isinstance(log_probs, np.ndarray) else ops  # decoding is quicker without a backend
    slots, length = log_probs.shape[1], xp.shape(log_probs)[2] - 1
    # In rows of `width` the token one place on and one row down stands `width + 1` further in memory.
    width = 1 + length + slots
    padded = xp.pad(log_probs, ((0, 0), (0, 0), (0, slots)), constant_values=HIDDEN)
    flat = xp.reshape(padded, (-1, slots * width))[:, : (slots - 1) * (width + 1)]
    diagonals = xp.reshape(flat, (-1, slots - 1, width + 1))[:, :, 1 : 1 + length]
    spans = xp.cumsum(diagonals, axis=1) + log_probs[:, 1:, :1]
    return xp.concatenate([log_probs[:, 0, :1], xp.reshape(spans, (-1, (slots - 1) * length))], axis=1)


def pointer_span_scores(scores, longest):
    """Scores of all spans that are those of their first and their last token.

    Args:
        scores: `(batch, 2, 1 + length)`: as the first and as the last token, of the place that stands for no answer,
            then of each token; `HIDDEN` for padding.
        longest: most tokens of a span.

    Returns:
        `(batch, 1 + longest * length)`, see the module.
    """
    scores = ops.convert_to_tensor(scores)
    none, first, last = ops.sum(scores[:, :, 0], axis=1), scores[:, 0, 1:], scores[:, 1, 1:]
    length = ops.shape(first)[1]
    last = ops.pad(last, ((0, 0), (0, longest)), constant_values=HIDDEN)
    spans = ops.stack([first + last[:, n : n + length] for n in range(longest)], axis=1)
    return ops.concatenate([none[:, None], ops.reshape(spans, (-1, longest * length))], axis=1)


def marginal_loss(scores, gold):
    """-log of the share of the right ones: `logsumexp(all) - logsumexp(right)`.

    Args:
        scores: `(batch, n)`.
        gold: `(batch, g)`, indices of the right ones, -1 for padding.

    Returns:
        `(batch,)`.
    """
    return ops.logsumexp(scores, axis=1) - log_sum_of(scores, gold)


def log_sum_of(scores, gold):
    """`logsumexp(right)`, see `marginal_loss`."""
    right = ops.take_along_axis(scores, ops.maximum(gold, 0), axis=1)
    return ops.logsumexp(ops.where(gold >= 0, right, HIDDEN), axis=1)


@keras.saving.register_keras_serializable("nlpgen")
class SlotSpanLoss(keras.losses.Loss):
    """The marginal loss over all spans and a tenth of -log p(right), with log probabilities of slots as predictions and
    span indices as targets.

    Each score has log p(end) in it once, so the shares alone say nothing of it: in a long training it drifts far below
    what any span has, and the slots are no distributions any more. The second term holds it.
    """

    def call(self, y_true, y_pred):
        scores, gold = slot_span_scores(y_pred), ops.cast(y_true, "int32")
        return marginal_loss(scores, gold) - ANCHOR * log_sum_of(scores, gold)


@keras.saving.register_keras_serializable("nlpgen")
class PointerLoss(keras.losses.Loss):
    """The mean of the marginal losses over first and over last tokens: predictions `(batch, 2, 1 + length)`, targets
    `(batch, 2, g)`, places with 0 for no answer.
    """

    def call(self, y_true, y_pred):
        gold = ops.cast(y_true, "int32")
        return (marginal_loss(y_pred[:, 0], gold[:, 0]) + marginal_loss(y_pred[:, 1], gold[:, 1])) / 2
