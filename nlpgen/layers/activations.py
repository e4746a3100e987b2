"""The activations that released configs name."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("nlpgen")
def gelu(x):
    """GELU by the error function, Google BERT's (Hendrycks & Gimpel, 2016, https://arxiv.org/abs/1606.08415)."""
    return ops.gelu(x, approximate=False)


@keras.saving.register_keras_serializable("nlpgen")
def gelu_tanh(x):
    """GELU by the tanh formula of the same paper; differs from `gelu` by up to 5e-4."""
    return ops.gelu(x, approximate=True)


ACTIVATIONS = {
    "gelu": gelu,
    "gelu_erf": gelu,
    "gelu_python": gelu,
    "gelu_tanh": gelu_tanh,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": ops.relu,
    "silu": ops.silu,
    "swish": ops.silu,
    "tanh": ops.tanh,
    "linear": None,
}
