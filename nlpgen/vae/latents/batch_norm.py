"""Gaussian posteriors whose means are batch-normalised, so that the KL cannot vanish."""

import math

import keras
from keras import ops

from nlpgen.errors import InputError
from nlpgen.vae.latents.gaussian import Gaussian
from nlpgen.vae.latents.standardize import MOMENTUM, Standardize


@keras.saving.register_keras_serializable("nlpgen")
class BatchNormGaussian(Gaussian):
    """A Gaussian whose mean goes through batch normalization with a fixed scale: BN-VAE (Zhu et al., 2020,
    https://arxiv.org/abs/2004.12585).

    Over a batch, the mean of a dimension has variance gamma² and average beta, so the KL averages at least
    `(gamma² + beta²) / 2` in each. Beta is learned.

    With `tau` it is the symmetric form (Su, 2020, https://kexue.fm/archives/7381): gamma² is
    `tau + (1 - tau) sigmoid(theta)` with theta learned, there is no beta, and the variances of a dimension are rescaled
    to average 1 - gamma², so that all posteriors together have mean 0 and variance 1, as the prior. Su normalises the
    standard deviation instead, which makes it negative for some texts and 0 for others; here it is positive.

    Args:
        size, seed: see `Latent`.
        gamma: scale, above 0 and below 1: from 1 on, the posteriors together would be wider than the prior.
        tau: the share of the symmetric form, above 0 and below 1; `gamma` is then not used.

    Attributes:
        kl_floor: the least average KL of a batch: `size * gamma² / 2`, or `-size / 2 log(1 - tau)`, which follows from
            the variances' average by Jensen's inequality.
    """

    unit_note = "batch normalization fixes the variance of the means, so all units count as active"

    def __init__(self, size, gamma=0.5, tau=None, seed=None, **kwargs):
        super().__init__(size, seed, **kwargs)
        for name, value in {"gamma": gamma, "tau": tau}.items():
            if not (value is None and name == "tau") and not 0 < value < 1:
                raise InputError(f"`{name}` must be above 0 and below 1. Received: {value!r}")
        self.gamma = gamma
        self.tau = tau
        self.norm = Standardize(name="norm")
        self.beta = self.theta = self.average_variance = None

    @property
    def kl_floor(self):
        return self.size * (self.gamma**2 / 2 if self.tau is None else -math.log(1 - self.tau) / 2)

    def build(self, features_shape):
        super().build(features_shape)
        self.norm.build((None, self.size))
        if self.tau is None:
            self.beta = self.add_weight(shape=(self.size,), initializer="zeros", name="beta")
            return
        self.theta = self.add_weight(shape=(self.size,), initializer="zeros", name="theta")
        self.average_variance = self.add_weight(
            shape=(self.size,), initializer="ones", trainable=False, name="average_variance"
        )

    def posterior(self, features, training=False):
        raw = super().posterior(features, training)
        mean, log_variance = self.norm(raw["mean"], training=training), raw["log_variance"]
        if self.tau is None:
            return {"mean": self.gamma * mean + self.beta, "log_variance": log_variance}
        gamma_square = self.tau + (1 - self.tau) * ops.sigmoid(self.theta)
        average = self.average_variance.value
        if training:
            average = ops.mean(ops.exp(log_variance), axis=0)
            kept = MOMENTUM * self.average_variance.value + (1 - MOMENTUM) * ops.stop_gradient(average)
            self.average_variance.assign(kept)
        log_variance = log_variance - ops.log(average) + ops.log1p(-gamma_square)
        return {"mean": ops.sqrt(gamma_square) * mean, "log_variance": log_variance}

    def calibrate(self, features):
        raw = super().posterior(features)
        self.norm.calibrate(raw["mean"])
        if self.tau is not None:
            self.average_variance.assign(ops.mean(ops.exp(raw["log_variance"]), axis=0))
