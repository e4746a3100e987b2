"""Multi-head attention with one plain `Dense` a projection, as checkpoints store it."""

import math

import keras
from keras import ops

from nlpgen.layers.norms import RMSNorm
from nlpgen.layers.positions import RotaryEmbedding

# Large enough that a hidden key gets weight 0, finite so that a row without any visible key is no NaN.
HIDDEN = {"float16": -3e4}
NORMALIZATIONS = ("softmax", "softmax_plus", "squared_relu")


@keras.saving.register_keras_serializable("nlpgen")
class MultiHeadAttention(keras.layers.Layer):
    """Scaled dot-product attention (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762).

    It has two steps, so that keys and values can be kept: `keys_values`, then `attend`. A call is both.

    Args:
        hidden_size: width of inputs and output.
        num_heads: heads of the queries.
        head_size: width of a head; `hidden_size / num_heads` by default.
        key_size: width of a head's queries and keys, where its values have another; `head_size` by default.
        num_key_value_heads: heads of keys and values, each shared by as many query heads (grouped-query attention,
            https://arxiv.org/abs/2305.13245); `num_heads` by default.
        dropout: rate on the attention weights.
        initializer_range: standard deviation of new kernels.
        use_bias: whether query, key and value have biases.
        output_bias: whether the output projection has one.
        scale: factor of the scores; `1 / sqrt(key_size)` by default.
        rotary: options of the `RotaryEmbedding` of queries and keys; `None` for none.
        head_norm: epsilon of an `RMSNorm` over each query and key head; `None` for none.
        normalization: how scores become weights, see `attention_weights`.

    Call arguments:
        query: `(batch, queries, hidden_size)`.
        key_value: `(batch, keys, hidden_size)`.
        attention_mask: bool, broadcastable to `(batch, heads, queries, keys)`, `True` where a key may be seen.
        bias: added to the scores, broadcastable to `(batch, heads, queries, keys)`.
        relative: `(queries, keys, head_size)` or `(batch, queries, keys, head_size)`, a vector for each pair, added to
            its key and to its value (Shaw et al., 2018, https://arxiv.org/abs/1803.02155).
        query_positions, key_positions: `(length,)` or `(batch, length)`, for `rotary`.

    Returns:
        The output `(batch, queries, hidden_size)`, and the scores `(batch, heads, queries, keys)` before the mask.
    """

    def __init__(
        self,
        hidden_size,
        num_heads,
        dropout=0.0,
        initializer_range=0.02,
        head_size=None,
        num_key_value_heads=None,
        use_bias=True,
        output_bias=True,
        scale=None,
        rotary=None,
        head_norm=None,
        key_size=None,
        normalization="softmax",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"`normalization` must be one of {', '.join(NORMALIZATIONS)}. Received: {normalization!r}")
        if head_size is None and hidden_size % num_heads:
            raise ValueError(
                "`hidden_size` must be a multiple of `num_heads`. "
                f"Received: hidden_size={hidden_size}, num_heads={num_heads}"
            )
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.head_size = head_size or hidden_size // num_heads
        self.key_size = key_size or self.head_size
        self.normalization = normalization
        self.num_key_value_heads = num_key_value_heads or num_heads
        if num_heads % self.num_key_value_heads:
            raise ValueError(
                "`num_heads` must be a multiple of `num_key_value_heads`. "
                f"Received: num_heads={num_heads}, num_key_value_heads={num_key_value_heads}"
            )
        self.scale = self.key_size**-0.5 if scale is None else scale
        self.rotary = None
        if rotary is not None:
            self.rotary = RotaryEmbedding(name="rotary", dtype=self.dtype_policy, **rotary)
        options = {
            "kernel_initializer": keras.initializers.TruncatedNormal(stddev=initializer_range),
            "dtype": self.dtype_policy,
        }
        pairs = self.num_key_value_heads
        self.query = keras.layers.Dense(num_heads * self.key_size, use_bias=use_bias, name="query", **options)
        self.key = keras.layers.Dense(pairs * self.key_size, use_bias=use_bias, name="key", **options)
        self.value = keras.layers.Dense(pairs * self.head_size, use_bias=use_bias, name="value", **options)
        self.output_projection = keras.layers.Dense(hidden_size, use_bias=output_bias, name="output", **options)
        self.query_norm = self.key_norm = None
        if head_norm is not None:
            self.query_norm = RMSNorm(head_norm, name="query_norm", dtype=self.dtype_policy)
            self.key_norm = RMSNorm(head_norm, name="key_norm", dtype=self.dtype_policy)
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, query_shape, *_, **__):
        for layer in (self.query, self.key, self.value):
            layer.build(query_shape)
        self.output_projection.build((*query_shape[:-1], self.num_heads * self.head_size))
        if self.query_norm is not None:
            for norm in (self.query_norm, self.key_norm):
                norm.build((None, None, None, self.key_size))

    def call(
        self,
        query,
        key_value,
        attention_mask=None,
        bias=None,
        relative=None,
        query_positions=None,
        key_positions=None,
    ):
        keys_values = self.keys_values(key_value, key_positions)
        return self.attend(query, keys_values, attention_mask, bias, relative, query_positions)

    def keys_values(self, x, positions=None):
        """Keys and values of `x` `(batch, keys, hidden_size)`, each `(batch, key_value_heads, keys, head_size)`."""
        key, value = (self._split(layer(x), self.num_key_value_heads) for layer in (self.key, self.value))
        if self.key_norm is not None:
            key = self.key_norm(key)
        return (key if self.rotary is None else self.rotary(key, positions)), value

    def attend(self, query, keys_values, attention_mask=None, bias=None, relative=None, positions=None, before=None):
        """What the queries find among keys and values; see the call for arguments and result.

        Keys and values may have fewer rows than the queries, which then share them: `rows / width` for a search of
        `width` hypotheses a text, those of a text together.

        Args:
            before: further keys and values, which stand before the others.
        """
        q = self._split(self.query(query), self.num_heads)
        if self.query_norm is not None:
            q = self.query_norm(q)
        if self.rotary is not None:
            q = self.rotary(q, positions)
        q = q * self.scale
        parts = [keys_values] if before is None else [before, keys_values]
        scores = _joined([_matched(q, k) for k, _ in parts])
        if relative is not None:
            relative = ops.cast(relative, q.dtype)
            pairs = "qkd" if len(relative.shape) == 3 else "bqkd"
            scores = scores + ops.einsum(f"bhqd,{pairs}->bhqk", q, relative)
        if bias is not None:
            scores = scores + ops.cast(bias, scores.dtype)
        weights = self.dropout(attention_weights(scores, attention_mask, self.normalization))
        x = _gathered(weights, [v for _, v in parts])
        if relative is not None:
            x = x + ops.einsum(f"bhqk,{pairs}->bhqd", weights, relative)
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, ops.shape(query)[1], self.num_heads * self.head_size))
        return self.output_projection(x), scores

    def _split(self, x, heads):
        x = ops.reshape(x, (-1, ops.shape(x)[1], heads, x.shape[-1] // heads))
        return ops.transpose(x, (0, 2, 1, 3))


def _matched(q, k):
    """Scores `(rows, heads, n, keys)` of queries `(rows, heads, n, size)`; keys may have fewer rows and heads."""
    return _each_alone(ops.matmul(_sharing(q, k), ops.transpose(k, (0, 1, 3, 2))), q, k)


def _gathered(weights, values):
    """Sums of values, each part `(rows or fewer, heads or fewer, keys, size)`, by weights over the keys of all."""
    total, start = None, 0
    for v in values:
        part = weights if len(values) == 1 else weights[..., start : start + v.shape[2]]
        start += v.shape[2] or 0
        x = _each_alone(ops.matmul(_sharing(part, v), v), weights, v)
        total = x if total is None else total + x
    return total


def _sharing(x, keys):
    """`(rows, heads, n, size)` put together by what shares keys: `(their rows, their heads, sharing * n, size)`."""
    width, groups = _shares(x, keys)
    if width == groups == 1:
        return x
    n, size, (rows, heads) = ops.shape(x)[2], ops.shape(x)[3], keys.shape[:2]
    if width > 1:
        x = ops.transpose(ops.reshape(x, (rows, width, heads, groups * n, size)), (0, 2, 1, 3, 4))
    return ops.reshape(x, (-1, heads, width * groups * n, size))


def _each_alone(x, queries, keys):
    """The inverse of `_sharing`, for results `(rows of the keys, their heads, sharing * n, …)`."""
    width, groups = _shares(queries, keys)
    if width == groups == 1:
        return x
    n, (rows, heads) = ops.shape(queries)[2], keys.shape[:2]
    if width > 1:
        x = ops.transpose(ops.reshape(x, (rows, heads, width, groups * n, ops.shape(x)[3])), (0, 2, 1, 3, 4))
    return ops.reshape(x, (-1, heads * groups, n, ops.shape(x)[-1]))


def _shares(x, keys):
    """How many rows and how many heads of `x` share those of `keys`."""
    rows = None in (x.shape[0], keys.shape[0])
    return 1 if rows else x.shape[0] // keys.shape[0], x.shape[1] // keys.shape[1]


def _joined(parts):
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)


def attention_weights(scores, attention_mask=None, normalization="softmax"):
    """Scores to the weights of the keys; a hidden key gets 0, and a query that sees none gets no NaN.

    Args:
        scores: `(…, queries, keys)`.
        attention_mask: bool, broadcastable to the scores, `True` where a key may be seen.
        normalization: with n the number of keys that may be seen, `"softmax"`; `"softmax_plus"`, the softmax of the
            scores times `log(n) / log(512)`, n at least 16 (Su, 2021, https://kexue.fm/archives/8823); or
            `"squared_relu"`, `relu(scores)² / n` (Hua et al., 2022, https://arxiv.org/abs/2202.10447).
    """
    dtype = scores.dtype
    if normalization != "softmax":
        if attention_mask is None:
            seen = ops.full((1,), scores.shape[-1] or ops.shape(scores)[-1], "float32")
        else:
            seen = ops.sum(ops.cast(attention_mask, "float32"), axis=-1, keepdims=True)
    if normalization == "squared_relu":
        weights = ops.square(ops.relu(ops.cast(scores, "float32"))) / ops.maximum(seen, 1.0)
        weights = weights if attention_mask is None else ops.where(attention_mask, weights, 0.0)
        return ops.cast(weights, dtype)
    if normalization == "softmax_plus":
        scores = scores * ops.cast(ops.log(ops.maximum(seen, 16.0)) / math.log(512), dtype)
    if attention_mask is not None:
        hidden = HIDDEN.get(keras.backend.standardize_dtype(dtype), -1e9)
        scores = scores + ops.where(attention_mask, ops.cast(0.0, dtype), ops.cast(hidden, dtype))
    return ops.softmax(scores, axis=-1)


def written_cache(cache, keys_values, index):
    """Keys and values of new positions put into a cache of fixed size, or behind it.

    Args:
        cache: keys and values, each `(batch, heads, length, head_size)`.
        keys_values: the new ones, each `(batch, heads, n, head_size)`.
        index: scalar, the place of the first; `None` for behind the cache, which then grows, and through which
            gradients flow.
    """
    pairs = [(old, ops.cast(new, old.dtype)) for old, new in zip(cache, keys_values, strict=True)]
    if index is None:
        return tuple(ops.concatenate(pair, axis=2) for pair in pairs)
    return tuple(ops.slice_update(old, (0, 0, index, 0), new) for old, new in pairs)
