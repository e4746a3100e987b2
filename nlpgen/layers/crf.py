"""Linear-chain conditional random fields, and the best path through any chain of scores."""

import functools

import keras
from keras import ops


@keras.saving.register_keras_serializable("nlpgen")
class CRF(keras.layers.Layer):
    """A linear-chain conditional random field (Lafferty, McCallum & Pereira, 2001).

    The labels `y_1 … y_n` of the n positions that count have the log probability `score - log_norm`, with
    `score = start[y_1] + Σ emissions_t[y_t] + Σ transitions[y_t, y_t+1] + end[y_n]`, and `log_norm` the log of the sum
    of `exp(score)` over all labels. Positions that do not count are no part of the chain, wherever they stand. All is
    computed in float32, whatever the policy of the model.

    Args:
        num_labels: how many labels there are.
        boundaries: whether `start` and `end` are learned too; bert4keras has transitions only.
        lr_multiplier: how many times faster than the rest of the model the layer learns with Adam and its like, whose
            steps do not depend on the size of gradients: its weights are stored divided by this.

    Call arguments:
        emissions: `(batch, length, num_labels)`.
        labels: integers `(batch, length)`; of positions that do not count, any.
        padding_mask: bool `(batch, length)`, `True` where a position counts.

    Returns:
        Log probabilities of the labels, float32 `(batch,)`; 0 for a row without any position.
    """

    def __init__(self, num_labels, boundaries=False, lr_multiplier=1.0, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        if num_labels < 1 or lr_multiplier <= 0:
            raise ValueError(
                "`num_labels` must be 1 or more, and `lr_multiplier` above 0. "
                f"Received: num_labels={num_labels}, lr_multiplier={lr_multiplier}"
            )
        self.num_labels, self.boundaries, self.lr_multiplier = num_labels, boundaries, lr_multiplier
        self._start = self._end = None

    def build(self, *_, **__):
        n = self.num_labels
        self.kernel = self.add_weight(shape=(n, n), initializer="zeros", name="transitions")
        if self.boundaries:
            self._start = self.add_weight(shape=(n,), initializer="zeros", name="start")
            self._end = self.add_weight(shape=(n,), initializer="zeros", name="end")

    @property
    def transitions(self):
        """Score of each label after each other, `(from, to)`."""
        return self.lr_multiplier * ops.convert_to_tensor(self.kernel)

    @property
    def start(self):
        """Score of each label as the first, `(num_labels,)`."""
        return self._boundary(self._start)

    @property
    def end(self):
        """Score of each label as the last, `(num_labels,)`."""
        return self._boundary(self._end)

    def call(self, emissions, labels, padding_mask):
        difference = self.score(emissions, labels, padding_mask) - self.log_norm(emissions, padding_mask)
        return ops.where(ops.any(padding_mask, axis=1), difference, 0.0)

    def compute_output_shape(self, emissions_shape, *_, **__):
        return (emissions_shape[0],)

    def score(self, emissions, labels, padding_mask):
        """The score of given labels, `(batch,)`; the arguments are those of the layer."""
        emissions, counts, order = _compact(emissions, padding_mask)
        labels = ops.take_along_axis(ops.where(padding_mask, ops.cast(labels, "int32"), 0), order, axis=1)
        chosen = ops.one_hot(labels, self.num_labels, dtype="float32") * ops.cast(counts, "float32")[..., None]
        after = ops.concatenate([chosen[:, 1:], ops.zeros_like(chosen[:, :1])], axis=1)
        is_last = ops.sum(chosen, axis=-1, keepdims=True) - ops.sum(after, axis=-1, keepdims=True)
        table = emissions + ops.matmul(after, ops.transpose(self.transitions)) + is_last * self.end
        return ops.sum(chosen * table, axis=(1, 2)) + ops.sum(chosen[:, 0] * self.start, axis=-1)

    def log_norm(self, emissions, padding_mask):
        """Log of the sum of `exp(score)` over all labels, `(batch,)`."""
        emissions, counts, _ = _compact(emissions, padding_mask)
        states = _forward(emissions, counts, self.transitions, self.start, functools.partial(ops.logsumexp, axis=1))
        return ops.logsumexp(states[-1] + self.end, axis=-1)

    def decode(self, emissions, padding_mask, penalties=None):
        """The likeliest labels.

        Args:
            emissions, padding_mask: see the layer.
            penalties: `(transitions, start, end)`, arrays that are added to those of the layer; large negative numbers
                forbid.

        Returns:
            int32 `(batch, length)`; 0 where a position does not count.
        """
        own = (self.transitions, self.start, self.end)
        parts = own if penalties is None else [a + ops.cast(b, "float32") for a, b in zip(own, penalties, strict=True)]
        return viterbi(emissions, padding_mask, *parts)

    def _boundary(self, weight):
        return ops.zeros((self.num_labels,)) if weight is None else self.lr_multiplier * ops.convert_to_tensor(weight)


def viterbi(emissions, padding_mask, transitions, start, end):
    """The labels of the highest score; see `CRF` (Viterbi, 1967).

    Args:
        emissions: `(batch, length, labels)`.
        padding_mask: bool `(batch, length)`.
        transitions: `(labels, labels)`.
        start, end: `(labels,)`.

    Returns:
        int32 `(batch, length)`; of equally good labels those with the smallest numbers at the end; 0 where a position
        does not count.
    """
    emissions, counts, order = _compact(emissions, padding_mask)
    transitions, start, end = (ops.cast(x, "float32") for x in (transitions, start, end))
    states = _forward(emissions, counts, transitions, start, functools.partial(ops.max, axis=1))
    into = ops.transpose(transitions)

    def step(label, now):
        state, moves = now[:, :-1], now[:, -1] > 0
        before = ops.cast(ops.argmax(state + ops.take(into, label, axis=0), axis=-1), "int32")
        return ops.where(moves, before, label), label

    last = ops.cast(ops.argmax(states[-1] + end, axis=-1), "int32")
    before = ops.concatenate([states[:1], states[:-1]], axis=0)  # what step t comes from
    _, path = ops.scan(step, last, _with_moves(before, counts), reverse=True)
    path = ops.take_along_axis(ops.transpose(path), ops.argsort(order, axis=-1), axis=1)
    return ops.where(padding_mask, path, 0)


def _compact(emissions, padding_mask):
    """Bring the positions that count to the front: the chain, which of it counts, and where each came from."""
    padding_mask = ops.cast(padding_mask, "bool")
    length = ops.shape(padding_mask)[1]
    order = ops.argsort(ops.arange(length) + length * ops.cast(~padding_mask, "int32"), axis=-1)
    emissions = ops.take_along_axis(ops.cast(emissions, "float32"), order[..., None], axis=1)
    return emissions, ops.take_along_axis(padding_mask, order, axis=1), order


def _forward(emissions, counts, transitions, start, reduce):
    """Sum or maximum over all that came before, for each position and label: `(length, batch, labels)`."""

    def step(before, now):
        emission, moves = now[:, :-1], now[:, -1:] > 0
        after = reduce(before[:, :, None] + transitions) + emission
        after = ops.where(moves, after, before)
        return after, after

    table = _with_moves(ops.transpose(emissions, (1, 0, 2)), counts)
    return ops.scan(step, emissions[:, 0] + start, table)[1]


def _with_moves(table, counts):
    """A last column that is 1 where the chain moves on to a position: `(length, batch, labels + 1)`.

    It does not move on to the first, so that a length of 1 is no special case. One tensor, because Keras 3.15 cannot
    scan several of unknown length on TensorFlow.
    """
    moves = ops.transpose(ops.cast(counts, "float32"))[..., None]
    moves = ops.concatenate([ops.zeros_like(moves[:1]), moves[1:]], axis=0)
    return ops.concatenate([table, moves], axis=-1)
