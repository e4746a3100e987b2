"""What P-tuning trains while the model stays as it is: vectors of virtual tokens, keys and values for its blocks."""

import keras
import numpy as np
from keras import ops

PROMPT_ENCODERS = ("embedding", "lstm", "mlp")


@keras.saving.register_keras_serializable("nlpgen")
class PromptEncoder(keras.layers.Layer):
    """Vectors of virtual tokens (Liu et al., 2021, https://arxiv.org/abs/2103.10385).

    Args:
        num_tokens: how many.
        size: width of the model's token embedding.
        kind: `"embedding"`, the vectors are what is trained; `"lstm"`, they come of a two-layer bidirectional LSTM over
            trained ones, and a perceptron; `"mlp"`, of a perceptron alone.
        hidden_size: width of the LSTM (of both directions together) and of the perceptron; `size` by default.
        initializer_range: standard deviation of new vectors.

    Call arguments:
        index: whole numbers below `num_tokens`, of any shape.

    Returns:
        The vectors, `(…, size)`.
    """

    def __init__(self, num_tokens, size, kind="embedding", hidden_size=None, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        if kind not in PROMPT_ENCODERS:
            raise ValueError(f"`kind` must be one of {', '.join(PROMPT_ENCODERS)}. Received: {kind!r}")
        self.num_tokens, self.size, self.kind = num_tokens, size, kind
        self.hidden_size = hidden_size or size
        self.initializer_range = initializer_range
        self.recurrent = []
        if kind == "lstm":
            half = -(-self.hidden_size // 2)
            self.recurrent = [
                keras.layers.Bidirectional(
                    keras.layers.LSTM(half, return_sequences=True, dtype=self.dtype_policy),
                    name=f"lstm_{i}",
                    dtype=self.dtype_policy,
                )
                for i in range(2)
            ]
        self.dense = []
        if kind != "embedding":
            self.dense = [
                keras.layers.Dense(self.hidden_size, "relu", name="dense_0", dtype=self.dtype_policy),
                keras.layers.Dense(size, name="dense_1", dtype=self.dtype_policy),
            ]

    @classmethod
    def of(cls, vectors):
        """A built layer of kind `"embedding"` with given vectors `(num_tokens, size)`."""
        layer = cls(*vectors.shape, name="virtual_tokens", dtype="float32")
        layer.build()
        layer.embeddings.assign(vectors)
        return layer

    def build(self, input_shape=None):
        initializer = keras.initializers.RandomNormal(stddev=self.initializer_range)
        self.embeddings = self.add_weight(
            shape=(self.num_tokens, self.size), initializer=initializer, name="embeddings"
        )
        shape = 1, self.num_tokens, self.size
        for layer in (*self.recurrent, *self.dense):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, index):
        return ops.take(self.vectors(), index, axis=0)

    def vectors(self):
        """The vectors of all virtual tokens, `(num_tokens, size)`."""
        x = ops.convert_to_tensor(self.embeddings)[None]
        for layer in (*self.recurrent, *self.dense):
            x = layer(x)
        return x[0]


@keras.saving.register_keras_serializable("nlpgen")
class PrefixEncoder(keras.layers.Layer):
    """Keys and values that stand before the text in every block (P-tuning v2, Liu et al., 2021,
    https://arxiv.org/abs/2110.07602; prefix-tuning, Li & Liang, 2021, https://arxiv.org/abs/2101.00190).

    Args:
        length: places of a prefix.
        num_layers, num_heads, head_size: of the model's blocks; the heads are those of keys and values.
        num_prefixes: how many prefixes there are.
        hidden_size: width of a perceptron between trained vectors and the result; `None` for none.
        initializer_range: standard deviation of what is trained.

    Call arguments:
        index: `(batch,)`, which prefix.

    Returns:
        `(batch, num_layers, 2, num_heads, length, head_size)`.
    """

    def __init__(
        self,
        length,
        num_layers,
        num_heads,
        head_size,
        num_prefixes=1,
        hidden_size=None,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.length, self.num_layers, self.num_heads, self.head_size = length, num_layers, num_heads, head_size
        self.num_prefixes, self.hidden_size, self.initializer_range = num_prefixes, hidden_size, initializer_range
        self.dense = []
        if hidden_size:
            self.dense = [
                keras.layers.Dense(hidden_size, "tanh", name="dense_0", dtype=self.dtype_policy),
                keras.layers.Dense(self.width, name="dense_1", dtype=self.dtype_policy),
            ]

    @classmethod
    def of(cls, vectors):
        """A built layer without a perceptron, with given prefixes as `vectors` gives them."""
        prefixes, layers, _, heads, length, size = vectors.shape
        layer = cls(length, layers, heads, size, prefixes, name="prefix", dtype="float32")
        layer.build()
        layer.embeddings.assign(np.transpose(vectors, (0, 4, 1, 2, 3, 5)).reshape(prefixes, length, -1))
        return layer

    @property
    def width(self):
        """Numbers at one place of a prefix."""
        return self.num_layers * 2 * self.num_heads * self.head_size

    def build(self, input_shape=None):
        width = self.hidden_size or self.width
        initializer = keras.initializers.RandomNormal(stddev=self.initializer_range)
        shape = self.num_prefixes, self.length, width
        self.embeddings = self.add_weight(shape=shape, initializer=initializer, name="embeddings")
        for layer in self.dense:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, index):
        return ops.take(self.vectors(), index, axis=0)

    def vectors(self):
        """All prefixes, `(num_prefixes, num_layers, 2, num_heads, length, head_size)`."""
        x = ops.convert_to_tensor(self.embeddings)
        for layer in self.dense:
            x = layer(x)
        x = ops.reshape(x, (-1, self.length, self.num_layers, 2, self.num_heads, self.head_size))
        return ops.transpose(x, (0, 2, 3, 4, 1, 5))
