"""Positions: learned, hierarchical, sinusoidal, relative, rotary."""

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
class SinusoidalEmbedding(keras.layers.Layer):
    """A fixed vector for each position (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762).

    Feature `2i` of position p is `sin(p / base^(2i / size))`, and feature `2i + 1` the cosine of the same.

    Args:
        size: width of a vector, even.
        base: see the formula.

    Call arguments:
        positions: any shape, whole numbers or not.

    Returns:
        `(…, size)`.
    """

    def __init__(self, size, base=10000.0, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.base = base

    def call(self, positions):
        speeds = ops.convert_to_tensor(self.base ** -(np.arange(0, self.size, 2) / self.size), "float32")
        angles = ops.cast(positions, "float32")[..., None] * speeds
        pairs = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)
        return ops.cast(ops.reshape(pairs, (*ops.shape(angles)[:-1], self.size)), self.compute_dtype)

    def get_config(self):
        return super().get_config() | {"size": self.size, "base": self.base}


@keras.saving.register_keras_serializable("nlpgen")
class RelativeSinusoids(keras.layers.Layer):
    """A fixed vector for each distance between two positions (NEZHA; Wei et al., 2019, https://arxiv.org/abs/1909.00204).

    With `p` the distance from query to key, cut to ±`furthest`, plus `furthest`, feature `2i` is
    `sin(p / 10000^(2i / size))` and feature `2i + 1` the cosine of the same.

    Args:
        size: width of a vector, even.
        furthest: the largest distance that is told from others.

    Call arguments:
        positions: `(length,)` or `(batch, length)`.
        key_positions: likewise, where those of the keys are others.

    Returns:
        `(length, keys, size)` or `(batch, length, keys, size)`.
    """

    def __init__(self, size, furthest=64, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.furthest = furthest
        angles = np.arange(2 * furthest + 1)[:, None] * 10000.0 ** -(np.arange(0, size, 2) / size)
        self.table = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(-1, size).astype("float32")

    def call(self, positions, key_positions=None):
        key_positions = positions if key_positions is None else key_positions
        distances = ops.expand_dims(key_positions, -2) - ops.expand_dims(positions, -1)
        return ops.take(self.table, ops.clip(distances, -self.furthest, self.furthest) + self.furthest, axis=0)

    def get_config(self):
        return super().get_config() | {"size": self.size, "furthest": self.furthest}


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
        scale = rotary_scale(self.scaling)
        sin, cos = scale * ops.sin(angles), scale * ops.cos(angles)
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
            and goes linearly from one to the other between (Llama 3.1, https://arxiv.org/abs/2407.21783). "yarn" does
            so between the pairs that turn 32 times and once, linearly by their number (Peng et al., 2023,
            https://arxiv.org/abs/2309.00071).

    Returns:
        float64 `(size / 2,)`.
    """
    speeds = base ** -(np.arange(0, size, 2) / size)
    if scaling is None:
        return speeds
    slow = speeds / scaling["factor"]
    if scaling["rope_type"] == "linear":
        return slow
    if scaling["rope_type"] == "yarn":
        longest = scaling["original_max_position_embeddings"]
        fast, once = (size * np.log(longest / (2 * np.pi * turns)) / (2 * np.log(base)) for turns in (32, 1))
        first, last = max(np.floor(fast), 0), min(np.ceil(once), size - 1)
        kept = 1 - np.clip((np.arange(size // 2) - first) / max(last - first, 1e-3), 0, 1)
        return kept * speeds + (1 - kept) * slow
    turns = scaling["original_max_position_embeddings"] * speeds / (2 * np.pi)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    kept = np.clip((turns - low) / (high - low), 0, 1)
    return kept * speeds + (1 - kept) * slow


def rotary_scale(scaling=None):
    """What queries and keys are multiplied by besides: `0.1 log(factor) + 1` with "yarn", 1 otherwise."""
    yarn = scaling is not None and scaling["rope_type"] == "yarn"
    return 0.1 * np.log(max(scaling["factor"], 1)) + 1 if yarn else 1.0


def relative_position_buckets(num_buckets, max_distance, bidirectional):
    """T5's bucket of every distance (Raffel et al., 2019, https://arxiv.org/abs/1910.10683).

    On each side the near half of the buckets holds one distance each; the others grow with the logarithm up to
    `max_distance`, and the last holds all beyond.

    Args:
        num_buckets: how many there are, on both sides together.
        max_distance: see above; more than the distances that have a bucket of their own.
        bidirectional: whether a key after its query has buckets of its own, half of them; otherwise its distance is 0.

    Returns:
        `(2 * max_distance + 1,)`: at `i` the bucket of a key that stands `i - max_distance` places after its query.
    """
    relative = np.arange(-max_distance, max_distance + 1)
    side = num_buckets // 2 if bidirectional else num_buckets
    distance = np.abs(relative) if bidirectional else np.maximum(-relative, 0)
    near = side // 2
    growth = np.log(np.maximum(distance, 1) / near) / np.log(max_distance / near)
    # The small number keeps a distance at the edge of a bucket from falling into the one before by rounding.
    far = np.minimum(near + np.floor(growth * (side - near) + 1e-9), side - 1)
    buckets = np.where(distance < near, distance, far)
    return (buckets + (side * (relative > 0) if bidirectional else 0)).astype("int32")


@keras.saving.register_keras_serializable("nlpgen")
class RelativePositionBias(keras.layers.Embedding):
    """What T5 adds to the attention scores: a number for each head and bucket of distances.

    Args:
        num_buckets: rows of the table.
        num_heads: width of a row.
        max_distance, bidirectional: see `relative_position_buckets`.

    Call arguments:
        query_positions, key_positions: `(queries,)` and `(keys,)`.

    Returns:
        `(1, num_heads, queries, keys)`.
    """

    def __init__(self, num_buckets, num_heads, max_distance=128, bidirectional=True, **kwargs):
        super().__init__(num_buckets, num_heads, **kwargs)
        self.max_distance = max_distance
        self.bidirectional = bidirectional

    def call(self, query_positions, key_positions):
        farthest = self.max_distance
        buckets = relative_position_buckets(self.input_dim, farthest, self.bidirectional)
        distances = ops.clip(key_positions[None, :] - query_positions[:, None], -farthest, farthest)
        bias = super().call(ops.take(buckets, distances + farthest))  # (queries, keys, heads)
        return ops.transpose(bias, (2, 0, 1))[None]

    def get_config(self):
        config = super().get_config()
        return {
            "num_buckets": config.pop("input_dim"),
            "num_heads": config.pop("output_dim"),
            "max_distance": self.max_distance,
            "bidirectional": self.bidirectional,
            **config,
        }
