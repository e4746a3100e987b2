"""The gated attention unit, attention and feed-forward layer in one."""

import keras
from keras import ops

from nlpgen.layers.activations import ACTIVATIONS
from nlpgen.layers.attention import NORMALIZATIONS, attention_weights
from nlpgen.layers.positions import RotaryEmbedding


@keras.saving.register_keras_serializable("nlpgen")
class GatedAttentionUnit(keras.layers.Layer):
    """`output(u * attention(v))` with one head (GAU; Hua et al., 2022, https://arxiv.org/abs/2202.10447).

    u, v and a vector z come of one projection; queries and keys are z, each with a scale and perhaps an offset of its
    own. GAU-α has `normalization="softmax_plus"`, no biases, and rotary positions.

    Args:
        intermediate_size: width of u and v.
        key_size: width of queries and keys.
        activation: a name in `ACTIVATIONS`, of the projection.
        use_bias: whether projections have biases, and queries and keys an offset.
        normalization: see `attention_weights`.
        rotary: options of the `RotaryEmbedding` of queries and keys; `None` for none.
        dropout: rate on the attention weights.
        initializer_range: standard deviation of new kernels.

    Call arguments:
        x: `(batch, length, hidden_size)`.
        attention_mask: bool, broadcastable to `(batch, length, length)`, queries before keys, `True` where a key may be
            seen.
        positions: `(length,)` or `(batch, length)`, for `rotary`; 0, 1, 2, … by default.

    Returns:
        `(batch, length, hidden_size)`.
    """

    def __init__(
        self,
        intermediate_size,
        key_size=128,
        activation="swish",
        use_bias=True,
        normalization="squared_relu",
        rotary=None,
        dropout=0.0,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"`normalization` must be one of {', '.join(NORMALIZATIONS)}. Received: {normalization!r}")
        self.intermediate_size, self.key_size, self.use_bias = intermediate_size, key_size, use_bias
        self.normalization = normalization
        self.dense_options = {
            "use_bias": use_bias,
            "kernel_initializer": keras.initializers.TruncatedNormal(stddev=initializer_range),
            "dtype": self.dtype_policy,
        }
        self.projection = keras.layers.Dense(
            2 * intermediate_size + key_size, ACTIVATIONS[activation], name="projection", **self.dense_options
        )
        self.rotary = None
        if rotary is not None:
            self.rotary = RotaryEmbedding(name="rotary", dtype=self.dtype_policy, **rotary)
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, x_shape, *_, **__):
        self.projection.build(x_shape)
        shape = (2, self.key_size)  # of queries, of keys
        self.scale = self.add_weight(shape=shape, initializer="ones", name="scale")
        self.offset = self.add_weight(shape=shape, initializer="zeros", name="offset") if self.use_bias else None
        self.output_projection = keras.layers.Dense(x_shape[-1], name="output", **self.dense_options)
        self.output_projection.build((*x_shape[:-1], self.intermediate_size))

    def call(self, x, attention_mask=None, positions=None):
        size = self.intermediate_size
        u, v, z = ops.split(self.projection(x), [size, 2 * size], axis=-1)
        pairs = z[:, None] * self.scale[:, None]  # (batch, 2, length, key_size)
        if self.offset is not None:
            pairs = pairs + self.offset[:, None]
        if self.rotary is not None:
            pairs = self.rotary(pairs, positions)
        scores = ops.matmul(pairs[:, 0] * self.key_size**-0.5, ops.transpose(pairs[:, 1], (0, 2, 1)))
        weights = self.dropout(attention_weights(scores, attention_mask, self.normalization))
        return self.output_projection(u * ops.matmul(weights, v))
