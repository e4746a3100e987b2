"""GlobalPointer: a score for every span of a sequence and every type."""

import keras
from keras import ops

from nlpgen.layers.attention import HIDDEN
from nlpgen.layers.positions import RotaryEmbedding


class SpanScores(keras.layers.Layer):
    """What both forms share: queries times keys, rotated by position, and masks.

    Args:
        num_types: types of spans.
        head_size: size of queries and keys; even.
        rotary: whether positions enter by rotation (Su et al., 2021, https://arxiv.org/abs/2104.09864).
        use_bias: whether the dense layers have biases.
        causal: whether a span may only end where it starts or later.

    Call arguments:
        hidden: `(batch, length, size)`.
        padding_mask: bool `(batch, length)`, `True` where there is a token; all by default.

    Returns:
        Scores `(batch, num_types, length, length)` of (type, first token, last token); large, negative and finite where
        there is no span.
    """

    def __init__(self, num_types, head_size=64, rotary=True, use_bias=True, causal=True, **kwargs):
        super().__init__(**kwargs)
        if head_size % 2:
            raise ValueError(f"`head_size` must be even. Received: {head_size}")
        self.num_types, self.head_size = num_types, head_size
        self.rotary, self.use_bias, self.causal = rotary, use_bias, causal
        self.positions = RotaryEmbedding(dtype=self.dtype_policy)

    def build(self, hidden_shape, *_, **__):
        self.dense.build(hidden_shape)
        self.positions.build(None)

    def compute_output_shape(self, hidden_shape, *_, **__):
        batch, length, _ = hidden_shape
        return (batch, self.num_types, length, length)

    def _dense(self, units, name):
        return keras.layers.Dense(units, use_bias=self.use_bias, name=name, dtype=self.dtype_policy)

    def _products(self, query, key):
        """`(batch, heads, length, head_size)` twice to `(batch, heads, length, length)`."""
        if self.rotary:
            query, key = self.positions(query), self.positions(key)
        return ops.matmul(query * self.head_size**-0.5, ops.transpose(key, (0, 1, 3, 2)))

    def _masked(self, scores, padding_mask):
        length = ops.shape(scores)[-1]
        position = ops.arange(length)
        if self.causal:
            allowed = (position[:, None] <= position[None, :])[None, None]
        else:
            allowed = ops.ones((1, 1, length, length), dtype="bool")
        if padding_mask is not None:
            padding_mask = ops.cast(padding_mask, "bool")
            allowed = allowed & padding_mask[:, None, :, None] & padding_mask[:, None, None, :]
        return ops.where(allowed, scores, ops.cast(HIDDEN.get(self.compute_dtype, -1e9), scores.dtype))


@keras.saving.register_keras_serializable("nlpgen")
class GlobalPointer(SpanScores):
    """GlobalPointer (Su et al., 2022, https://arxiv.org/abs/2208.03054): a query and a key for every type.

    Arguments and results are those of `SpanScores`.
    """

    def __init__(self, num_types, head_size=64, **kwargs):
        super().__init__(num_types, head_size, **kwargs)
        self.dense = self._dense(2 * num_types * head_size, "dense")

    def call(self, hidden, padding_mask=None):
        x = self.dense(hidden)
        x = ops.reshape(x, (*ops.shape(x)[:2], self.num_types, 2, self.head_size))
        query, key = (ops.transpose(x[:, :, :, i], (0, 2, 1, 3)) for i in (0, 1))
        return self._masked(self._products(query, key), padding_mask)


@keras.saving.register_keras_serializable("nlpgen")
class EfficientGlobalPointer(SpanScores):
    """The efficient form: one query and one key find spans, two numbers a type and token say which type.

    `s(type, i, j) = q_i k_j / √head_size + (start(type, i) + end(type, j)) / 2`: a new type costs two columns
    (Su, 2022, https://kexue.fm/archives/8877). Arguments and results are those of `SpanScores`.
    """

    def __init__(self, num_types, head_size=64, **kwargs):
        super().__init__(num_types, head_size, **kwargs)
        self.dense = self._dense(2 * head_size, "dense")
        self.types = self._dense(2 * num_types, "types")

    def build(self, hidden_shape, *_, **__):
        super().build(hidden_shape)
        self.types.build((*hidden_shape[:-1], 2 * self.head_size))

    def call(self, hidden, padding_mask=None):
        x = self.dense(hidden)
        batch, length = ops.shape(x)[:2]
        # As in bert4keras, queries have the even columns and keys the odd ones, the end comes before the start.
        query, key = x[:, None, :, ::2], x[:, None, :, 1::2]  # (batch, 1, length, head_size)
        bounds = ops.transpose(ops.reshape(self.types(x) / 2, (batch, length, self.num_types, 2)), (0, 2, 1, 3))
        end, start = bounds[..., 0], bounds[..., 1]  # (batch, num_types, length)
        scores = self._products(query, key) + start[..., :, None] + end[..., None, :]
        return self._masked(scores, padding_mask)
