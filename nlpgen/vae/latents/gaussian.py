"""Gaussian posteriors under a standard normal prior."""

import math

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.vae.latents.latent import Latent, gaussian_log_density, standard_normal_log_density


@keras.saving.register_keras_serializable("nlpgen")
class Gaussian(Latent):
    """q(z|x) = N(mean, diag(variance)), p(z) = N(0, I) (Kingma & Welling, 2014, https://arxiv.org/abs/1312.6114).

    A posterior holds `mean` and `log_variance`, `(batch, size)`. Nothing keeps the KL above 0: a strong decoder trained
    with the full weight of the KL from the start leaves z unused (Bowman et al., 2016,
    https://arxiv.org/abs/1511.06349). Anneal it (`nlpgen.vae.Cyclical`), or take another latent.

    Args:
        size, seed: see `Latent`.
    """

    def __init__(self, size, seed=None, **kwargs):
        super().__init__(size, seed, **kwargs)
        self.mean_head = self.dense(size, "mean")
        self.log_variance_head = self.dense(size, "log_variance")

    def build(self, features_shape):
        self.mean_head.build(features_shape)
        self.log_variance_head.build(features_shape)

    def posterior(self, features, training=False):
        return {"mean": self.mean_head(features), "log_variance": self.log_variance_head(features)}

    def sample(self, posterior, training=False):
        noise = self.normal(ops.shape(posterior["mean"]))
        return posterior["mean"] + ops.exp(0.5 * posterior["log_variance"]) * noise

    def spread(self, posterior):
        return ops.exp(0.5 * posterior["log_variance"])

    def kl_terms(self, posterior):
        mean, log_variance = posterior["mean"], posterior["log_variance"]
        # expm1 keeps the terms at 0 or above where the variance is almost 1.
        return 0.5 * (ops.square(mean) + ops.expm1(log_variance) - log_variance)

    def log_q(self, z, posterior):
        return gaussian_log_density(z, posterior["mean"], posterior["log_variance"])

    def log_p(self, z):
        return standard_normal_log_density(z)

    def sample_prior(self, n, seed=0):
        return np.random.default_rng(seed).normal(size=(n, self.size)).astype("float32")


@keras.saving.register_keras_serializable("nlpgen")
class DeltaGaussian(Gaussian):
    """A Gaussian whose KL is at least `delta` in every dimension, for every text: δ-VAE (Razavi et al., 2019,
    https://arxiv.org/abs/1901.03416, appendix B), with an independent prior.

    The variance v stays between the solutions of `log v - v + 2 delta + 1 = 0`, and the mean is as far from 0 as that
    leaves necessary. It is never negative, so the posteriors of all texts together are not centred. The floor does not
    say that the decoder uses z: see the shuffle gap of `TextVAE.diagnose`.

    Args:
        size, seed: see `Latent`.
        delta: the least KL of a dimension, nats.

    Attributes:
        kl_floor: `size * delta`.
    """

    def __init__(self, size, delta=0.1, seed=None, **kwargs):
        super().__init__(size, seed, **kwargs)
        if not 0 < delta < 10:
            raise InputError(f"`delta` must be above 0 and below 10 nats. Received: {delta!r}")
        self.delta = delta
        self.variances = _solutions(2 * delta + 1)

    @property
    def kl_floor(self):
        return self.size * self.delta

    def posterior(self, features, training=False):
        low, high = (math.sqrt(v) for v in self.variances)
        stddev = low + (high - low) * ops.sigmoid(self.log_variance_head(features))
        log_variance = 2 * ops.log(stddev)
        least = ops.maximum(2 * self.delta + 1 + log_variance - ops.square(stddev), 0.0)
        mean = ops.sqrt(least + ops.relu(self.mean_head(features)) + 1e-7)
        return {"mean": mean, "log_variance": log_variance}


def _solutions(level):
    """Both solutions of v - log v = level, by bisection."""

    def solve(low, high):
        for _ in range(200):
            middle = 0.5 * (low + high)
            below = (middle - math.log(middle) < level) == (high > 1)
            low, high = (middle, high) if below else (low, middle)
        return 0.5 * (low + high)

    return solve(math.exp(-level - 1), 1.0), solve(1.0, 2 * level + 2)
