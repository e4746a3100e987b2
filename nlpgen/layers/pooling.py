"""One vector for a sequence of hidden states."""

import keras
from keras import ops

from nlpgen.layers.attention import HIDDEN

POOLINGS = ("cls", "last", "mean", "max", "attention")


@keras.saving.register_keras_serializable("nlpgen")
class Pooling(keras.layers.Layer):
    """Hidden states to one vector a row; padding has no part in it.

    Args:
        kind: `"cls"`, the first position (BERT's); `"last"`, the last that is no padding (GPT's); `"mean"`; `"max"`;
            `"attention"`, a mean with learned weights, the softmax of a dense layer (Lin et al., 2017,
            https://arxiv.org/abs/1703.03130, with one head), which starts as the plain mean.

    Call arguments:
        hidden: `(batch, length, size)`.
        padding_mask: bool `(batch, length)`, `True` where there is a token.

    Returns:
        `(batch, size)`, finite also where all is padding: zeros for "mean" and "max".
    """

    def __init__(self, kind="cls", **kwargs):
        super().__init__(**kwargs)
        if kind not in POOLINGS:
            raise ValueError(f"`kind` must be one of {', '.join(map(repr, POOLINGS))}. Received: {kind!r}")
        self.kind = kind
        self.score = None
        if kind == "attention":
            # A bias would be the same for all positions.
            self.score = keras.layers.Dense(
                1, use_bias=False, kernel_initializer="zeros", name="score", dtype=self.dtype_policy
            )

    def build(self, hidden_shape, *_, **__):
        if self.score is not None:
            self.score.build(hidden_shape)

    def call(self, hidden, padding_mask):
        return getattr(self, f"_{self.kind}")(hidden, padding_mask)

    def compute_output_shape(self, hidden_shape, *_, **__):
        return (hidden_shape[0], hidden_shape[-1])

    def _cls(self, hidden, padding_mask):
        return hidden[:, 0]

    def _last(self, hidden, padding_mask):
        order = ops.arange(1, ops.shape(padding_mask)[1] + 1)
        last = ops.argmax(order * ops.cast(padding_mask, order.dtype), axis=-1)
        return ops.take_along_axis(hidden, last[:, None, None], axis=1)[:, 0]

    def _mean(self, hidden, padding_mask):
        # A sum over a few hundred positions can leave float16.
        weights = ops.cast(padding_mask, "float32")[..., None]
        total = ops.sum(ops.cast(hidden, "float32") * weights, axis=1)
        return ops.cast(total / ops.maximum(ops.sum(weights, axis=1), 1.0), self.compute_dtype)

    def _max(self, hidden, padding_mask):
        lowest = ops.cast(HIDDEN.get(self.compute_dtype, -1e9), self.compute_dtype)
        highest = ops.max(ops.where(padding_mask[..., None], hidden, lowest), axis=1)
        return ops.where(ops.any(padding_mask, axis=1)[:, None], highest, ops.zeros_like(highest))

    def _attention(self, hidden, padding_mask):
        scores = ops.cast(self.score(hidden)[..., 0], "float32")
        weights = ops.softmax(ops.where(padding_mask, scores, -1e9), axis=-1)
        return ops.cast(ops.sum(ops.cast(hidden, "float32") * weights[..., None], axis=1), self.compute_dtype)


@keras.saving.register_keras_serializable("nlpgen")
class QueryPooling(keras.layers.Layer):
    """Hidden states to several vectors a row: means of the states whose weights are the softmax of their products with
    learned queries (Lin et al., 2017, https://arxiv.org/abs/1703.03130, with linear scores). Padding has no part in
    them.

    Args:
        num_queries: how many.

    Call arguments:
        hidden: `(batch, length, size)`.
        padding_mask: bool `(batch, length)`, `True` where there is a token, one a row at least.

    Returns:
        `(batch, num_queries, size)`.
    """

    def __init__(self, num_queries, **kwargs):
        super().__init__(**kwargs)
        self.num_queries = num_queries

    def build(self, hidden_shape, *_, **__):
        # Not small: queries that all take the mean would stay alike for long.
        self.queries = self.add_weight(
            shape=(self.num_queries, hidden_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="queries",
        )

    def call(self, hidden, padding_mask):
        queries = ops.cast(self.queries, hidden.dtype)
        scores = ops.cast(ops.einsum("qs,bls->bql", queries, hidden), "float32")
        weights = ops.softmax(ops.where(padding_mask[:, None], scores, -1e9), axis=-1)
        return ops.matmul(ops.cast(weights, hidden.dtype), hidden)

    def compute_output_shape(self, hidden_shape, *_, **__):
        return (hidden_shape[0], self.num_queries, hidden_shape[-1])
