"""Layer normalization, plain and conditional, and root-mean-square normalization."""

import keras
from keras import ops

from nlpgen.errors import InputError
from nlpgen.layers.activations import ACTIVATIONS


@keras.saving.register_keras_serializable("nlpgen")
class LayerNorm(keras.layers.LayerNormalization):
    """Layer normalization whose scale and shift may depend on a vector.

    `gamma + W_gamma h` and `beta + W_beta h`, with `h = activation(W condition)` or the condition itself. `W_gamma` and
    `W_beta` start at zero, so a pretrained model is unchanged at first (Su, 2020, https://kexue.fm/archives/7124).

    Args:
        epsilon: added to the variance.
        condition_size: size of the condition; `None` for plain layer normalization.
        condition_hidden_size: size of `h`; `None` to use the condition itself.
        condition_hidden_act: activation of `h`.
        condition_stddev: standard deviation of new `W_gamma` and `W_beta`, for a condition that must count from the
            start.

    Call arguments:
        x: `(batch, length, size)`.
        condition: `(batch, condition_size)`, where the layer is conditional.
    """

    def __init__(
        self,
        epsilon=1e-12,
        condition_size=None,
        condition_hidden_size=None,
        condition_hidden_act="linear",
        condition_stddev=0.0,
        **kwargs,
    ):
        super().__init__(epsilon=epsilon, **kwargs)
        self.condition_size = condition_size
        self.condition_hidden_size = condition_hidden_size
        self.condition_hidden_act = condition_hidden_act
        self.condition_stddev = condition_stddev
        self.condition_hidden = self.condition_gamma = self.condition_beta = None

    def build(self, input_shape):
        super().build(input_shape)
        if self.condition_size is None:
            return
        size, inner = input_shape[-1], self.condition_size
        options = {"use_bias": False, "dtype": self.dtype_policy}
        if self.condition_hidden_size:
            activation = ACTIVATIONS[self.condition_hidden_act]
            self.condition_hidden = keras.layers.Dense(
                self.condition_hidden_size, activation, name="condition_hidden", **options
            )
            self.condition_hidden.build((None, inner))
            inner = self.condition_hidden_size
        for name in ("condition_gamma", "condition_beta"):
            initializer = keras.initializers.RandomNormal(stddev=self.condition_stddev)
            dense = keras.layers.Dense(size, kernel_initializer=initializer, name=name, **options)
            dense.build((None, inner))
            setattr(self, name, dense)

    def call(self, x, condition=None):
        if self.condition_size is None:
            return super().call(x)
        if condition is None:
            raise InputError(f"`{self.name}` is conditional: give `condition` of {self.condition_size} values a row.")
        if self.condition_hidden is not None:
            condition = self.condition_hidden(condition)
        gamma = self.gamma + self.condition_gamma(condition)[:, None, :]
        beta = self.beta + self.condition_beta(condition)[:, None, :]
        wide = ops.cast(x, gamma.dtype)  # float32 in mixed precision, as Keras has its own scale and shift
        return ops.cast(ops.layer_normalization(wide, axis=-1, epsilon=self.epsilon) * gamma + beta, self.compute_dtype)

    def get_config(self):
        names = ("condition_size", "condition_hidden_size", "condition_hidden_act", "condition_stddev")
        return super().get_config() | {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("nlpgen")
class RMSNorm(keras.layers.Layer):
    """`x / sqrt(mean(x²) + epsilon)`, times a scale (Zhang & Sennrich, 2019, https://arxiv.org/abs/1910.07467).

    The mean is taken in float32, or in float64 where `x` has it.

    Args:
        epsilon: added to the mean square.
        scale: whether there is a learned scale `gamma`, one at first.

    Call arguments:
        x: `(…, size)`.
        condition: must be `None`.
    """

    def __init__(self, epsilon=1e-6, scale=True, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.scale = scale
        self.gamma = None

    def build(self, input_shape):
        if self.scale:
            self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")

    def call(self, x, condition=None):
        if condition is not None:
            raise InputError(f"`{self.name}` is not conditional: leave `condition` away.")
        wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        wide = wide * ops.rsqrt(ops.mean(ops.square(wide), axis=-1, keepdims=True) + self.epsilon)
        if self.gamma is not None:
            wide = wide * ops.cast(self.gamma, wide.dtype)
        return ops.cast(wide, self.compute_dtype)

    def get_config(self):
        return super().get_config() | {"epsilon": self.epsilon, "scale": self.scale}


NORMS = {"layer": LayerNorm, "rms": RMSNorm}


def make_norm(kind="layer", **options):
    """A norm by the name of its kind, `"layer"` or `"rms"`, with the options of that layer."""
    return NORMS[kind](**options)
