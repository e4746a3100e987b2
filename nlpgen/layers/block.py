"""The post-norm Transformer block of BERT."""

import keras
from keras import ops

from nlpgen.layers.activations import ACTIVATIONS
from nlpgen.layers.attention import MultiHeadAttention
from nlpgen.layers.norms import LayerNorm


@keras.saving.register_keras_serializable("nlpgen")
class TransformerBlock(keras.layers.Layer):
    """attention → add → norm → feed-forward → add → norm.

    Args:
        hidden_size, num_heads, intermediate_size: widths.
        activation: a name in `ACTIVATIONS`.
        dropout, attention_dropout: rates.
        initializer_range: standard deviation of new kernels.
        norm: options of `LayerNorm`.

    Call arguments:
        x: `(batch, length, hidden_size)`.
        attention_mask, previous_scores: see `MultiHeadAttention`.
        positions: `(batch, n)`; only these positions of the result are computed.
        condition: see `LayerNorm`.

    Returns:
        The output `(batch, length or n, hidden_size)`, and the attention scores.
    """

    def __init__(
        self,
        hidden_size,
        num_heads,
        intermediate_size,
        activation="gelu",
        dropout=0.0,
        attention_dropout=0.0,
        initializer_range=0.02,
        norm=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        kernel = {"kernel_initializer": keras.initializers.TruncatedNormal(stddev=initializer_range), "dtype": dtype}
        self.attention = MultiHeadAttention(
            hidden_size, num_heads, attention_dropout, initializer_range, name="attention", dtype=dtype
        )
        self.attention_norm = LayerNorm(name="attention_norm", dtype=dtype, **(norm or {}))
        self.up = keras.layers.Dense(intermediate_size, ACTIVATIONS[activation], name="up", **kernel)
        self.down = keras.layers.Dense(hidden_size, name="down", **kernel)
        self.ffn_norm = LayerNorm(name="ffn_norm", dtype=dtype, **(norm or {}))
        self.dropout = keras.layers.Dropout(dropout, dtype=dtype)
        self.intermediate_size = intermediate_size

    def build(self, x_shape, *_, **__):
        for layer in (self.attention, self.attention_norm, self.up, self.ffn_norm):
            layer.build(x_shape)
        self.down.build((*x_shape[:-1], self.intermediate_size))

    def call(self, x, attention_mask=None, previous_scores=None, positions=None, condition=None):
        query = x
        if positions is not None:
            query = ops.take_along_axis(x, positions[:, :, None], axis=1)
            attention_mask, previous_scores = (_queries_at(t, positions) for t in (attention_mask, previous_scores))
        attended, scores = self.attention(query, x, attention_mask, previous_scores)
        x = self.attention_norm(query + self.dropout(attended), condition)
        return self.ffn_norm(x + self.dropout(self.down(self.up(x))), condition), scores


def _queries_at(x, positions):
    """Rows `(batch, heads, n, keys)` of the queries at `positions`; a tensor that is one for all queries stays."""
    if x is None or x.shape[2] == 1:
        return x
    return ops.take_along_axis(x, positions[:, None, :, None], axis=2)
