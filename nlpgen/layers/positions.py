"""Learned positions, and their continuation beyond the length they were trained for."""

import keras
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
