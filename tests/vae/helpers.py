"""Derivatives on whatever backend is in use, and latents of every kind."""

import keras
import numpy as np

from nlpgen import Vocab, WordPieceTokenizer
from nlpgen.vae import (
    BatchNormGaussian,
    DeltaGaussian,
    Entropic,
    FiniteScalarQuantized,
    Gaussian,
    PowerSpherical,
    VectorQuantized,
    VonMisesFisher,
)

LATENTS = {
    "gaussian": lambda: Gaussian(4, seed=1),
    "batch-norm": lambda: BatchNormGaussian(4, gamma=0.6, seed=1),
    "symmetric": lambda: BatchNormGaussian(4, tau=0.5, seed=1),
    "delta": lambda: DeltaGaussian(4, delta=0.15, seed=1),
    "vmf": lambda: VonMisesFisher(4, target_kl=1.5, seed=1),
    "vmf-plain": lambda: VonMisesFisher(4, target_kl=1.5, batch_norm=False, seed=1),
    "vmf-learned": lambda: VonMisesFisher(4, concentration=1.0, learned=True, seed=1),
    "power-spherical": lambda: PowerSpherical(4, concentration=5.0, seed=1),
    "entropic": lambda: Entropic(4, noise=0.3, seed=1),
    "vq": lambda: VectorQuantized(4, num_codes=8, num_slots=2, seed=1),
    "fsq": lambda: FiniteScalarQuantized((3, 2), num_slots=2),
}
DENSITIES = tuple(name for name in LATENTS if name not in ("vq", "fsq"))


def derivative(function, x):
    """The gradient of a scalar function at an array."""
    x = np.asarray(x, "float32")
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, x).numpy()
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(function)(x))
    import torch

    x = torch.tensor(x, requires_grad=True)
    function(x).backward()
    return x.grad.numpy()


LINES = [f"{a}{b}依{c}，{d}河{e}{f}流" for a, b, c, d, e, f in zip(
    "白红青黄黑绿紫金白红青黄黑绿紫金", "日月山水风花雪夜云雨春夏秋冬人心",
    "尽来去归生开落长深高远近东西南北",
    "黄清大小长江白天地明暗寒暖古今新", "入出上下过到在向从自由为无有多少",
    "海江湖山天地门城楼台寺桥路舟酒诗", strict=True,
)]  # fmt: skip
LINES += [line[::-1] for line in LINES] + [f"{line}归" for line in LINES[:8]]


def tokenizer():
    """Of the characters of `LINES`."""
    characters = sorted(set("".join(LINES)))
    return WordPieceTokenizer(Vocab(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters]))
