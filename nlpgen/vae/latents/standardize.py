"""Batch normalization as latents need it: exact, in float32, without scale and shift."""

import keras
from keras import ops

MOMENTUM = 0.9  # a running average over ten batches; `calibrate` replaces it by the average over many texts
# Keras' own default of 1e-3 takes away half of the variance where the inputs have a deviation of 0.03.
EPSILON = 1e-8


@keras.saving.register_keras_serializable("nlpgen")
class Standardize(keras.layers.Layer):
    """Every dimension less its mean, over its deviation: those of the batch in training, else running averages.

    Keras' layer takes the variance as the difference of two large numbers on some backends, which is no good where the
    mean is large.

    Call arguments:
        x: `(batch, size)`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})

    def build(self, x_shape):
        options = {"shape": (x_shape[-1],), "trainable": False}
        self.moving_mean = self.add_weight(initializer="zeros", name="moving_mean", **options)
        self.moving_variance = self.add_weight(initializer="ones", name="moving_variance", **options)

    def call(self, x, training=False):
        mean, variance = self.moving_mean.value, self.moving_variance.value
        if training:
            mean, variance = moments(x)
            for kept, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
                kept.assign(MOMENTUM * kept.value + (1 - MOMENTUM) * ops.stop_gradient(new))
        return (x - mean) * ops.rsqrt(variance + EPSILON)

    def calibrate(self, x):
        """Take the averages over the rows of `x` in place of the running ones."""
        mean, variance = moments(x)
        self.moving_mean.assign(mean)
        self.moving_variance.assign(variance)


def moments(x):
    """Mean and variance over the rows."""
    mean = ops.mean(x, axis=0)
    return mean, ops.mean(ops.square(x - mean), axis=0)
