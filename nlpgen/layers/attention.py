"""Multi-head attention with one plain `Dense` a projection, as checkpoints store it."""

import math

import keras
from keras import ops

# Large enough that a hidden key gets weight 0, finite so that a row without any visible key is no NaN.
HIDDEN = {"float16": -3e4}


@keras.saving.register_keras_serializable("nlpgen")
class MultiHeadAttention(keras.layers.Layer):
    """Scaled dot-product attention (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762).

    Args:
        hidden_size: width of inputs, projections and output.
        num_heads: divides `hidden_size`.
        dropout: rate on the attention weights.
        initializer_range: standard deviation of new kernels.

    Call arguments:
        query: `(batch, queries, hidden_size)`.
        key_value: `(batch, keys, hidden_size)`.
        attention_mask: bool, broadcastable to `(batch, heads, queries, keys)`, `True` where a key may be seen.
        previous_scores: scores of another layer, which are added (RealFormer, https://arxiv.org/abs/2012.11747).

    Returns:
        The output `(batch, queries, hidden_size)`, and the scores `(batch, heads, queries, keys)` before the mask.
    """

    def __init__(self, hidden_size, num_heads, dropout=0.0, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        if hidden_size % num_heads:
            raise ValueError(
                "`hidden_size` must be a multiple of `num_heads`. "
                f"Received: hidden_size={hidden_size}, num_heads={num_heads}"
            )
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        options = {
            "kernel_initializer": keras.initializers.TruncatedNormal(stddev=initializer_range),
            "dtype": self.dtype_policy,
        }
        self.query = keras.layers.Dense(hidden_size, name="query", **options)
        self.key = keras.layers.Dense(hidden_size, name="key", **options)
        self.value = keras.layers.Dense(hidden_size, name="value", **options)
        self.output_projection = keras.layers.Dense(hidden_size, name="output", **options)
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, query_shape, *_, **__):
        for layer in (self.query, self.key, self.value, self.output_projection):
            layer.build(query_shape)

    def call(self, query, key_value, attention_mask=None, previous_scores=None):
        head_size = self.hidden_size // self.num_heads
        q = self._split(self.query(query) * (1 / math.sqrt(head_size)))  # (batch, heads, queries, head_size)
        k, v = self._split(self.key(key_value)), self._split(self.value(key_value))
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2)))
        if previous_scores is not None:
            scores = scores + previous_scores
        visible = scores
        if attention_mask is not None:
            hidden = HIDDEN.get(self.compute_dtype, -1e9)
            visible = scores + ops.where(attention_mask, ops.cast(0.0, scores.dtype), ops.cast(hidden, scores.dtype))
        x = ops.matmul(self.dropout(ops.softmax(visible, axis=-1)), v)
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (*ops.shape(query)[:2], self.hidden_size))
        return self.output_projection(x), scores

    def _split(self, x):
        x = ops.reshape(x, (*ops.shape(x)[:2], self.num_heads, self.hidden_size // self.num_heads))
        return ops.transpose(x, (0, 2, 1, 3))
