"""A convolution over time with a gate and a residual."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("nlpgen")
class GatedConvolution(keras.layers.Layer):
    """`x + a * sigmoid(b)`, with a and b convolutions of x (Dauphin et al., 2017, https://arxiv.org/abs/1612.08083).

    Args:
        size: width of inputs and outputs.
        kernel_size: places that a result is made from, odd: as many before as after.
        dilation: distance of these places.

    Call arguments:
        x: `(batch, length, size)`.
        padding_mask: bool `(batch, length)`, `True` where there is a token; others count as zeros.

    Returns:
        `(batch, length, size)`.
    """

    def __init__(self, size, kernel_size=3, dilation=1, **kwargs):
        super().__init__(**kwargs)
        self.convolution = keras.layers.Conv1D(
            2 * size, kernel_size, padding="same", dilation_rate=dilation, name="convolution", dtype=self.dtype_policy
        )

    def build(self, x_shape, *_, **__):
        self.convolution.build(x_shape)

    def call(self, x, padding_mask=None):
        seen = x if padding_mask is None else x * ops.cast(padding_mask, x.dtype)[:, :, None]
        linear, gate = ops.split(self.convolution(seen), 2, axis=-1)
        return x + linear * ops.sigmoid(gate)
