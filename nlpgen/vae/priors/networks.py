"""The networks of the priors."""

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.layers import PositionEmbedding, causal_mask, make_norm
from nlpgen.vae.encoders import new_blocks

ROWS = 512  # vectors that are computed at a time


def check_training(counts, learning_rate):
    """Raise `InputError` unless `{name: count}` are whole numbers above 0 and the rate is above 0."""
    options = counts | {"learning_rate": learning_rate}
    wrong = [name for name, value in counts.items() if not isinstance(value, int) or value < 1]
    wrong += [] if isinstance(learning_rate, int | float) and learning_rate > 0 else ["learning_rate"]
    if wrong:
        received = ", ".join(f"{name}={options[name]!r}" for name in wrong)
        raise InputError(f"Expected whole numbers of 1 or more and `learning_rate` above 0. Received: {received}")


def network_arrays(network):
    """The weights of a network, `{name: array}`."""
    return {f"network_{i:02}": weight for i, weight in enumerate(network.get_weights())}


def set_network(network, arrays):
    """Take over what `network_arrays` gave."""
    network.set_weights([arrays[name] for name in sorted(arrays) if name.startswith("network_")])


def draw_kernels(network, generator):
    """Draw the kernels anew, with the deviation that they have: the same on every backend; other weights become 0 or,
    for scales, 1.
    """
    for weight in network.trainable_weights:
        if len(weight.shape) > 1:
            weight.assign(generator.normal(0, float(np.std(weight.numpy())), weight.shape))
        else:
            weight.assign(np.full(weight.shape, float(weight.path.endswith(("gamma", "own_noise")))))


class NoiseNetwork(keras.Model):
    """A residual network that says which noise of a known level is in a vector.

    Call arguments:
        inputs: `y` `(batch, size)` and `sigma` `(batch, 1)`.

    Returns:
        `(batch, size)`.
    """

    def __init__(self, size, hidden_size, num_blocks=3):
        super().__init__(name="noise_network")
        self.first = keras.layers.Dense(hidden_size, name="first")
        self.blocks = [
            (keras.layers.Dense(hidden_size, name=f"up_{i}"), keras.layers.Dense(hidden_size, name=f"down_{i}"))
            for i in range(num_blocks)
        ]
        self.last = keras.layers.Dense(size, name="last")
        # What is told of the level: its logarithm, and waves of it.
        self.frequencies = np.array([1.0, 2.0, 4.0], "float32")
        self.first.build((None, size + 7))
        for layer in (layer for pair in self.blocks for layer in pair):
            layer.build((None, hidden_size))
        self.last.build((None, hidden_size))
        self.built = True

    def call(self, inputs, training=False):
        return self.noise(inputs)

    def noise(self, inputs):
        y, sigma = inputs["y"], inputs["sigma"]
        level = ops.log(sigma)
        waves = level * ops.convert_to_tensor(self.frequencies)
        about = ops.concatenate([level, ops.sin(waves), ops.cos(waves)], axis=-1)
        total = ops.sqrt(1 + ops.square(sigma))
        x = self.first(ops.concatenate([y / total, about], axis=-1))
        for up, down in self.blocks:
            x = x + down(ops.silu(up(ops.silu(x))))
        # For a standard normal the answer would be y sigma / (1 + sigma²); the network says what differs.
        return y * sigma / ops.square(total) + self.last(ops.silu(x)) / total


class DensityNetwork(keras.Model):
    """A scalar E(y) of two hidden layers beside a parabola, and its slope written out.

    `E = a · φ(W₂ φ(W₁ y)) - c y²/2`, φ the softplus, c learned.

    Call arguments:
        inputs: `y` `(batch, size)`; `sigma` is that of the constructor.

    Returns:
        `-∇E / sigma`, which the noise in y is the best value of: `(batch, size)`.
    """

    def __init__(self, size, hidden_size, sigma):
        super().__init__(name="density_network")
        self.sigma = sigma
        self.first = keras.layers.Dense(hidden_size, name="first")
        self.second = keras.layers.Dense(hidden_size, name="second")
        self.last = keras.layers.Dense(1, use_bias=False, name="last")
        self.curve = self.add_weight(shape=(), initializer="ones", name="own_noise")
        self.first.build((None, size))
        self.second.build((None, hidden_size))
        self.last.build((None, hidden_size))
        self.built = True

    def call(self, inputs, training=False):
        return self.noise(inputs)

    def energy(self, y):
        """E(y), `(batch,)`."""
        top = self.last(ops.softplus(self.second(ops.softplus(self.first(y)))))[:, 0]
        return top - 0.5 * self._curve() * ops.sum(ops.square(y), axis=-1)

    def noise(self, inputs):
        y = inputs["y"]
        first = self.first(y)
        second = self.second(ops.softplus(first))
        back = ops.sigmoid(second) * ops.convert_to_tensor(self.last.kernel)[:, 0]
        back = ops.sigmoid(first) * ops.matmul(back, ops.transpose(self.second.kernel))
        slope = ops.matmul(back, ops.transpose(self.first.kernel)) - self._curve() * y
        return -slope / self.sigma

    def _curve(self):
        # At 1, that of a standard normal.
        return ops.convert_to_tensor(self.curve) * (self.sigma**2 / (1 + self.sigma**2))


class CodeNetwork(keras.Model):
    """A causal Transformer over the codes of a text.

    Call arguments:
        inputs: codes so far, `(batch, num_slots)`, what stands at a place being the code before it, `num_codes` at the
            first.

    Returns:
        Logits of the code of every place, `(batch, num_slots, num_codes)`.
    """

    def __init__(self, num_codes, num_slots, hidden_size, num_layers):
        super().__init__(name="code_network")
        self.code = keras.layers.Embedding(num_codes + 1, hidden_size, name="code")
        self.position = PositionEmbedding(num_slots, hidden_size, name="position")
        self.blocks = new_blocks(hidden_size, num_layers, 0.0)
        self.norm = make_norm(name="norm", epsilon=1e-5)
        self.last = keras.layers.Dense(num_codes, name="last")
        shape = None, num_slots, hidden_size
        for layer in (self.code, self.position):
            layer.build(shape[:2])
        for layer in (*self.blocks, self.norm, self.last):
            layer.build(shape)
        self.built = True

    def call(self, inputs, training=False):
        length = inputs.shape[1]
        x = self.code(inputs) + self.position(ops.arange(length))
        for block in self.blocks:
            x, *_ = block(x, attention_mask=causal_mask(length))
        return self.last(self.norm(x))
