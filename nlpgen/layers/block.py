"""Transformer blocks: norms after each sum (BERT), or before each part (GPT-2), and with attention to a source (T5)."""

from functools import partial

import keras
from keras import ops

from nlpgen.layers.activations import ACTIVATIONS
from nlpgen.layers.attention import MultiHeadAttention, written_cache
from nlpgen.layers.norms import make_norm


@keras.saving.register_keras_serializable("nlpgen")
class TransformerBlock(keras.layers.Layer):
    """The post-norm block: attention → add → norm → feed-forward → add → norm.

    Args:
        hidden_size, num_heads, intermediate_size: widths.
        activation: a name in `ACTIVATIONS`.
        dropout, attention_dropout: rates.
        initializer_range: standard deviation of new kernels.
        use_bias: whether the feed-forward layers have biases.
        gated: whether the feed-forward layer is `down(activation(gate(x)) * up(x))` (https://arxiv.org/abs/2002.05202)
            rather than `down(activation(up(x)))`.
        norm: options of `make_norm`.
        attention: further options of `MultiHeadAttention`.

    Call arguments:
        x: `(batch, length, hidden_size)`.
        attention_mask, bias, relative: see `MultiHeadAttention`.
        positions: `(batch, n)`; only these positions of the result are computed.
        condition: see `LayerNorm`.
        position_ids: `(length,)` or `(batch, length)`, for rotary attention; 0, 1, 2, … by default.
        cache: keys and values of a fixed number of places, into which those of `x` are written, and perhaps two more,
            the keys and values before them (see `MultiHeadAttention.attend`), which stay what they are;
            `attention_mask`, `bias` and `relative` are then over all these places.
        cache_index: place of the first; `None` for behind the cache, see `written_cache`.

    Returns:
        The output `(batch, length or n, hidden_size)`, the attention scores, and the keys and values.
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
        use_bias=True,
        gated=False,
        norm=None,
        attention=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        dense = {
            "kernel_initializer": keras.initializers.TruncatedNormal(stddev=initializer_range),
            "use_bias": use_bias,
            "dtype": dtype,
        }
        self._new_attention = partial(
            MultiHeadAttention,
            hidden_size,
            num_heads,
            attention_dropout,
            initializer_range,
            dtype=dtype,
            **(attention or {}),
        )
        self._new_norm = partial(make_norm, dtype=dtype, **(norm or {}))
        self.attention = self._new_attention(name="attention")
        self.attention_norm = self._new_norm(name="attention_norm")
        self.gate = keras.layers.Dense(intermediate_size, name="gate", **dense) if gated else None
        self.up = keras.layers.Dense(intermediate_size, name="up", **dense)
        self.activation = ACTIVATIONS[activation] or keras.activations.linear
        self.down = keras.layers.Dense(hidden_size, name="down", **dense)
        self.ffn_norm = self._new_norm(name="ffn_norm")
        self.dropout = keras.layers.Dropout(dropout, dtype=dtype)
        self.intermediate_size = intermediate_size

    def build(self, x_shape, *_, **__):
        for layer in filter(None, (self.attention, self.attention_norm, self.gate, self.up, self.ffn_norm)):
            layer.build(x_shape)
        self.down.build((*x_shape[:-1], self.intermediate_size))

    def call(
        self,
        x,
        attention_mask=None,
        bias=None,
        relative=None,
        positions=None,
        condition=None,
        position_ids=None,
        cache=None,
        cache_index=0,
    ):
        where = attention_mask, bias, relative, positions, position_ids, cache, cache_index
        query, attended, scores, keys_values = self.self_attention(x, x, *where)
        x = self.attention_norm(query + self.dropout(attended), condition)
        x = self.ffn_norm(x + self.dropout(self.feed_forward(x)), condition)
        return x, scores, keys_values

    def feed_forward(self, x):
        """`(…, hidden_size)` to `(…, hidden_size)`."""
        if self.gate is None:
            return self.down(self.activation(self.up(x)))
        return self.down(self.activation(self.gate(x)) * self.up(x))

    def self_attention(
        self,
        x,
        seen,
        attention_mask=None,
        bias=None,
        relative=None,
        positions=None,
        position_ids=None,
        cache=None,
        cache_index=0,
    ):
        """Attention of a sequence to itself, at all positions or some; see the call for the arguments.

        Args:
            x: what is added to the result afterwards.
            seen: what attention reads: `x`, or `x` after a norm.

        Returns:
            `x` at the positions, the attention's output there, the scores, and the keys and values.
        """
        keys_values, before = self.attention.keys_values(seen, position_ids), None
        if cache is not None:
            keys_values, before = written_cache(cache[:2], keys_values, cache_index), cache[2:] or None
        if positions is not None:
            x, seen = (ops.take_along_axis(t, positions[:, :, None], axis=1) for t in (x, seen))
            attention_mask, bias = (_queries_at(t, positions) for t in (attention_mask, bias))
            relative = _pairs_at(relative, positions)
            position_ids = positions if position_ids is None else _ids_at(position_ids, positions)
        attended, scores = self.attention.attend(
            seen, keys_values, attention_mask, bias, relative, position_ids, before
        )
        return x, attended, scores, keys_values


@keras.saving.register_keras_serializable("nlpgen")
class PreNormBlock(TransformerBlock):
    """The pre-norm block: norm → attention → add → norm → feed-forward → add (Xiong et al., 2020,
    https://arxiv.org/abs/2002.04745). Arguments are those of `TransformerBlock`.
    """

    def call(
        self,
        x,
        attention_mask=None,
        bias=None,
        relative=None,
        positions=None,
        condition=None,
        position_ids=None,
        cache=None,
        cache_index=0,
    ):
        where = attention_mask, bias, relative, positions, position_ids, cache, cache_index
        x, attended, scores, keys_values = self.self_attention(x, self.attention_norm(x, condition), *where)
        x = x + self.dropout(attended)
        return x + self.dropout(self.feed_forward(self.ffn_norm(x, condition))), scores, keys_values


@keras.saving.register_keras_serializable("nlpgen")
class CrossAttentionBlock(PreNormBlock):
    """The pre-norm block of a decoder that also reads a source: between its two parts norm → attention to the source →
    add. Arguments are those of `TransformerBlock`; both attentions and all norms have the same options.

    Call arguments:
        x, attention_mask, bias, positions, cache, cache_index: see `TransformerBlock`.
        source: keys and values of the source, from `source_keys_values`.
        source_mask, source_bias: as `attention_mask` and `bias`, over the places of the source.
    """

    def __init__(self, hidden_size, num_heads, intermediate_size, **options):
        super().__init__(hidden_size, num_heads, intermediate_size, **options)
        self.source_attention = self._new_attention(name="source_attention")
        self.source_norm = self._new_norm(name="source_norm")

    def build(self, x_shape, *_, **__):
        super().build(x_shape)
        self.source_attention.build(x_shape)
        self.source_norm.build(x_shape)

    def source_keys_values(self, source):
        """Keys and values of the source `(batch, places, hidden_size)`, to be made once for all that is decoded."""
        return self.source_attention.keys_values(source)

    def call(
        self,
        x,
        source,
        attention_mask=None,
        source_mask=None,
        bias=None,
        source_bias=None,
        positions=None,
        cache=None,
        cache_index=0,
    ):
        where = attention_mask, bias, None, positions, None, cache, cache_index
        x, attended, scores, keys_values = self.self_attention(x, self.attention_norm(x), *where)
        x = x + self.dropout(attended)
        if positions is not None:
            source_bias = _queries_at(source_bias, positions)
        attended, _ = self.source_attention.attend(self.source_norm(x), source, source_mask, source_bias)
        x = x + self.dropout(attended)
        return x + self.dropout(self.feed_forward(self.ffn_norm(x))), scores, keys_values


def _queries_at(x, positions):
    """Rows `(batch, heads, n, keys)` of the queries at `positions`; a tensor that is one for all queries stays."""
    if x is None or x.shape[2] == 1:
        return x
    if x.shape[0] == 1:
        x = ops.broadcast_to(x, (ops.shape(positions)[0], *ops.shape(x)[1:]))
    return ops.take_along_axis(x, positions[:, None, :, None], axis=2)


def _pairs_at(relative, positions):
    """Rows `(batch, n, keys, size)` of the queries at `positions`."""
    if relative is None:
        return None
    if len(relative.shape) == 3:
        return ops.take(relative, positions, axis=0)
    return ops.take_along_axis(relative, positions[:, :, None, None], axis=1)


def _ids_at(position_ids, positions):
    if len(position_ids.shape) == 1:
        return ops.take(position_ids, positions)
    return ops.take_along_axis(position_ids, positions, axis=1)
