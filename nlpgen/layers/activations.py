"""The activations that released configs name."""

import math

import keras
from keras import ops

# In bfloat16 both GELUs are computed in float32: nearer the truth, and on TensorFlow's CPU twice as fast.


@keras.saving.register_keras_serializable("nlpgen")
def gelu(x):
    """GELU by the error function, Google BERT's (Hendrycks & Gimpel, 2016, https://arxiv.org/abs/1606.08415)."""
    wide = _wide(x)
    # Not `ops.gelu`, which needs `erfc` on TensorFlow: ONNX has no such operation.
    return ops.cast(0.5 * wide * (1 + ops.erf(wide * math.sqrt(0.5))), x.dtype)


@keras.saving.register_keras_serializable("nlpgen")
def gelu_tanh(x):
    """GELU by the tanh formula of the same paper; differs from `gelu` by up to 5e-4."""
    return ops.cast(ops.gelu(_wide(x), approximate=True), x.dtype)


def _wide(x):
    return ops.cast(x, keras.backend.result_type(x.dtype, "float32"))


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
