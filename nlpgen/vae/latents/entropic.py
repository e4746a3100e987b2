"""A deterministic code whose aggregate is driven to the prior by its entropy."""

import math

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.vae.latents.latent import Latent, gaussian_log_density, standard_normal_log_density
from nlpgen.vae.latents.standardize import Standardize


@keras.saving.register_keras_serializable("nlpgen")
class Entropic(Latent):
    """The entropic auto-encoder (Ghose, Rashwan & Poupart, 2020, https://proceedings.mlr.press/v124/ghose20a.html): the
    encoder is a function, not a distribution, and each dimension of its output has mean 0 and variance 1 over a batch.
    Of all densities with these moments N(0, I) has the highest entropy, so training maximises an estimate of it,
    `knn_entropy`, and z can be drawn from N(0, I).

    Noise of `noise` deviations is added, without which decoders of texts memorise single points. With it, q(z|x) is a
    narrow Gaussian, so KL and importance-weighted likelihood have their usual meaning, though the KL is not trained.

    A posterior holds `mean` `(batch, size)`.

    Args:
        size, seed: see `Latent`.
        weight: of the entropy in the loss, which is reconstruction - weight * entropy.
        neighbours: which neighbour the estimate takes, 1 for the nearest.
        noise: standard deviation; 0 for none, and then `kl` and `log_q` are not defined.
    """

    kl_in_loss = False
    unit_note = "batch normalization fixes the variance of the codes, so all units count as active"

    def __init__(self, size, weight=1.0, neighbours=1, noise=0.1, seed=None, **kwargs):
        super().__init__(size, seed, **kwargs)
        if not (weight >= 0 and noise >= 0 and isinstance(neighbours, int) and neighbours >= 1):
            raise InputError(
                "Expected `weight` and `noise` of 0 or more and `neighbours` of 1 or more. "
                f"Received: weight={weight!r}, noise={noise!r}, neighbours={neighbours!r}"
            )
        self.weight = weight
        self.neighbours = neighbours
        self.noise = noise
        self.head = self.dense(size, "mean")
        self.norm = Standardize(name="norm")

    def build(self, features_shape):
        self.head.build(features_shape)
        self.norm.build((None, self.size))

    def posterior(self, features, training=False):
        return {"mean": self.norm(self.head(features), training=training)}

    def sample(self, posterior, training=False):
        mean = posterior["mean"]
        return mean + self.noise * self.normal(ops.shape(mean)) if self.noise else mean

    def spread(self, posterior):
        return ops.full_like(posterior["mean"], self.noise)

    def kl_terms(self, posterior):
        if not self.noise:
            return ops.full_like(posterior["mean"], math.inf)
        variance = self.noise**2
        return 0.5 * (ops.square(posterior["mean"]) + variance - math.log(variance) - 1)

    def penalty(self, posterior):
        return -self.weight * knn_entropy(posterior["mean"], self.neighbours)

    def log_q(self, z, posterior):
        if not self.noise:
            raise InputError("An Entropic latent without `noise` has no density q(z|x). Train it with noise=0.1, say.")
        return gaussian_log_density(z, posterior["mean"], ops.full_like(posterior["mean"], 2 * math.log(self.noise)))

    def log_p(self, z):
        return standard_normal_log_density(z)

    def sample_prior(self, n, seed=0):
        return np.random.default_rng(seed).normal(size=(n, self.size)).astype("float32")

    def calibrate(self, features):
        self.norm.calibrate(self.head(features))


def knn_entropy(z, neighbours=1):
    """The Kozachenko-Leonenko estimate of the differential entropy of points, nats.

    `(d / n) Σ log distance_k + log B_d + ψ(n) - ψ(k)`, with B_d the volume of the unit ball and distance_k that to the
    k-th nearest other point. It is too high where d is large and n small: compare it with that of as many draws of
    N(0, I).

    Args:
        z: `(n, d)`; n above `neighbours`.
        neighbours: k.

    Returns:
        A scalar.

    Raises:
        InputError: if there are no more points than `neighbours`.
    """
    size = z.shape[-1]
    if z.shape[0] is not None and z.shape[0] <= neighbours:
        raise InputError(f"`neighbours` must be below the number of points. Received: {neighbours} of {z.shape[0]}")
    n = ops.cast(ops.shape(z)[0], "float32")
    square = ops.sum(ops.square(z), axis=-1)
    distances = square[:, None] + square[None, :] - 2 * ops.matmul(z, ops.transpose(z))
    distances = distances + 1e12 * ops.eye(ops.shape(z)[0], dtype="float32")
    nearest = ops.argsort(ops.stop_gradient(distances), axis=-1)[:, neighbours - 1]
    # Taken anew, since the expanded squares lose what is small; equal points would have distance 0.
    chosen = ops.sum(ops.square(z - ops.take(z, nearest, axis=0)), axis=-1) + 1e-6
    log_ball = size / 2 * math.log(math.pi) - math.lgamma(size / 2 + 1)
    psi_k = -np.euler_gamma + sum(1 / i for i in range(1, neighbours))
    psi_n = ops.log(n) - 1 / (2 * n) - 1 / (12 * n * n)
    return size * 0.5 * ops.mean(ops.log(chosen)) + log_ball + psi_n - psi_k
