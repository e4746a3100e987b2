"""Positions: learned, hierarchical, rotary."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("nlpgen")
class PositionEmbedding(keras.layers.Embedding):
    """A vector for each position.

    Args:
        num_positions: rows of the table.
        size: width of a row.
        hierarchical: `None`, or the alpha of Su's hierarchical decomposition (2020, https://kexue.fm/archives/7947):
            with `u_i = (p_i - alpha p_0) / (1 - alpha)`, position `i n + j` is `alpha u_i + (1 - alpha) u_j`. The first
            n positions stay what they are, and n² become possible.
    """

    def __init__(self, num_positions, size, hierarchical=None, **kwargs):
        super().__init__(num_positions, size, **kwargs)
        self.hierarchical = hierarchical

    def call(self, positions):
        if self.hierarchical is None:
            return super().call(positions)
        alpha, n = self.hierarchical, self.input_dim
        first = super().call(ops.zeros_like(positions))
        high, low = (super(PositionEmbedding, self).call(i) for i in (positions // n, positions % n))
        return (alpha * (high - alpha * first) + (1 - alpha) * (low - alpha * first)) / (1 - alpha)

    @property
    def longest(self):
        """The most positions there are."""
        return self.input_dim if self.hierarchical is None else self.input_dim**2

    def get_config(self):
        config = super().get_config()
        return {
            "num_positions": config.pop("input_dim"),
            "size": config.pop("output_dim"),
            "hierarchical": self.hierarchical,
            **config,
        }


@keras.saving.register_keras_serializable("nlpgen")
class RotaryEmbedding(keras.layers.Layer):
    """Turn pairs of features by angles that grow with the position (Su et al., 2021, https://arxiv.org/abs/2104.09864).

    Pair `i` of `size / 2` turns by `position * base^(-2 i / size)`.

    Args:
        base: see the formula.
        interleaved: whether a pair is two neighbours (RoFormer) or feature `i` and `i + size / 2` (LLaMA).

    Call arguments:
        x: `(batch, heads, length, size)`.
        positions: `(length,)` or `(batch, length)`; 0, 1, 2, … by default.
    """

    def __init__(self, base=10000.0, interleaved=True, **kwargs):
        super().__init__(**kwargs)
        self.base = base
        self.interleaved = interleaved

    def call(self, x, positions=None):
        size = x.shape[-1]
        if positions is None:
            positions = ops.arange(ops.shape(x)[2])
        speeds = (self.base ** -(np.arange(0, size, 2) / size)).astype("float32")
        angles = ops.cast(positions, "float32")[..., None] * ops.convert_to_tensor(speeds)
        if len(angles.shape) == 3:
            angles = angles[:, None]  # (batch, 1, length, size / 2)
        sin, cos = ops.sin(angles), ops.cos(angles)
        wide = ops.cast(x, "float32")
        if self.interleaved:
            first, second = wide[..., ::2], wide[..., 1::2]
        else:
            first, second = wide[..., : size // 2], wide[..., size // 2 :]
        turned = [first * cos - second * sin, second * cos + first * sin]
        if self.interleaved:
            turned = ops.reshape(ops.stack(turned, axis=-1), ops.shape(x))
        else:
            turned = ops.concatenate(turned, axis=-1)
        return ops.cast(turned, x.dtype)

    def get_config(self):
        return super().get_config() | {"base": self.base, "interleaved": self.interleaved}
