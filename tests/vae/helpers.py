"""Derivatives on whatever backend is in use, and latents of every kind."""

import keras
import numpy as np

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
    "vmf-learned": lambda: VonMisesFisher(4, concentration=1.0, learned=True, seed=1),
    "power-spherical": lambda: PowerSpherical(4, concentration=5.0, seed=1),
    "entropic": lambda: Entropic(4, noise=0.3, seed=1),
    "vq": lambda: VectorQuantized(4, num_codes=8, num_slots=2, seed=1),
    "fsq": lambda: FiniteScalarQuantized((3, 2), num_slots=2, seed=1),
}
DENSITIES = ("gaussian", "batch-norm", "symmetric", "delta", "vmf", "vmf-learned", "power-spherical", "entropic")


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
