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
        scaling: see `rotary_speeds`.

    Call arguments:
        x: `(batch, heads, length, size)`.
        positions: `(length,)` or `(batch, length)`; 0, 1, 2, … by default.
    """

    def __init__(self, base=10000.0, interleaved=True, scaling=None, **kwargs):
        super().__init__(**kwargs)
        self.base = base
        self.interleaved = interleaved
        self.scaling = scaling

    def call(self, x, positions=None):
        size = x.shape[-1]
        if positions is None:
            positions = ops.arange(ops.shape(x)[2])
        speeds = ops.convert_to_tensor(rotary_speeds(size, self.base, self.scaling), dtype="float32")
        angles = ops.cast(positions, "float32")[..., None] * speeds
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
        return super().get_config() | {"base": self.base, "interleaved": self.interleaved, "scaling": self.scaling}


def rotary_speeds(size, base, scaling=None):
    """Radians a position by which rotary embedding turns each pair of features.

    Args:
        size: number of features.
        base: see `RotaryEmbedding`.
        scaling: `None`, or how the speeds are slowed down for texts longer than those of pretraining, under the names
            of released configs. `{"rope_type": "linear", "factor": f}` divides all by f (Chen et al., 2023,
            https://arxiv.org/abs/2306.15595). "llama3" leaves pairs that turn `high_freq_factor` times or more within
            `original_max_position_embeddings`, divides by `factor` where they turn `low_freq_factor` times or less,
            and goes linearly from one to the other between (Llama 3.1, https://arxiv.org/abs/2407.21783).

    Returns:
        float64 `(size / 2,)`.
    """
    speeds = base ** -(np.arange(0, size, 2) / size)
    if scaling is None:
        return speeds
    slow = speeds / scaling["factor"]
    if scaling["rope_type"] == "linear":
        return slow
    turns = scaling["original_max_position_embeddings"] * speeds / (2 * np.pi)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    kept = np.clip((turns - low) / (high - low), 0, 1)
    return kept * speeds + (1 - kept) * slow
