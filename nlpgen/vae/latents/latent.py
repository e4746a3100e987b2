"""What every latent space of a text auto-encoder can do."""

import math

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError

LOG_TWO_PI = math.log(2 * math.pi)


class Latent(keras.layers.Layer):
    """A latent space: the posterior q(z|x) that features of a text give, and the prior p(z).

    Everything is in float32, whatever the policy of the model around it. A posterior is a dict of tensors with one row
    a text, as `posterior` gives it. All densities, entropies and divergences are in nats.

    Args:
        size: width of a latent vector.
        seed: of the samples; `TextVAE` puts its own in its place.

    Attributes:
        size: width of a latent vector.
        num_vectors: how many vectors of features a text should have.
        scale: what a decoder should multiply z by to have inputs of about unit variance.
        kl_in_loss: whether `kl` is part of what is trained.
        norm: its batch normalization, `None` without.
        unit_note: why counting active units says nothing of this latent; empty where it does.
    """

    num_vectors = 1
    scale = 1.0
    kl_in_loss = True
    unit_note = ""

    def __init__(self, size, seed=None, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise InputError(f"`size` must be a whole number, 1 or more. Received: {size!r}")
        self.size = int(size)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.norm = None  # not of the class: PyTorch would find that before the layer of an instance

    def posterior(self, features, training=False):
        """Features `(batch, n)`, or `(batch, num_vectors, n)` where that is not 1, of any float type to the parameters
        of q(z|x).
        """
        raise NotImplementedError

    def sample(self, posterior, training=False):
        """One z for each row, `(batch, size)`, through which gradients reach the parameters."""
        raise NotImplementedError

    def mean(self, posterior):
        """The point that stands for each posterior, `(batch, size)`: its mean, or the direction of its mean."""
        return posterior["mean"]

    def spread(self, posterior):
        """Standard deviation of q along each axis, `(batch, size)`: the radius of the posterior's ball."""
        raise NotImplementedError

    def kl_terms(self, posterior):
        """KL(q(z|x) ‖ p(z)) by dimension, `(batch, size)`; `(batch, 1)` where dimensions cannot be told apart."""
        raise NotImplementedError

    def kl(self, posterior):
        """KL(q(z|x) ‖ p(z)), `(batch,)`."""
        return ops.sum(self.kl_terms(posterior), axis=-1)

    def penalty(self, posterior):
        """What training minimises beside reconstruction and KL, a scalar."""
        return ops.zeros(())

    def log_q(self, z, posterior):
        """log q(z|x).

        Args:
            z: `(…, size)`.
            posterior: parameters whose leading axes go with those of `z`, by the rules of broadcasting.

        Returns:
            `(…)`.
        """
        raise NotImplementedError

    def log_p(self, z):
        """log p(z): `(…, size)` to `(…)`."""
        raise NotImplementedError

    def sample_prior(self, n, seed=0):
        """Draws from p(z), a float32 array `(n, size)`, the same on every backend."""
        raise NotImplementedError

    def interpolate(self, start, end, steps):
        """The straight path between two points `(size,)`, ends included: an array `(steps, size)`."""
        share = np.linspace(0, 1, steps)[:, None]
        return ((1 - share) * start + share * end).astype("float32")

    def nearest(self, z):
        """The points of the latent space nearest to any points: `(…, size)` to an array of the same shape."""
        return np.asarray(z, "float32")

    def calibrate(self, features):
        """Set what training only estimates as it goes from the features `(n, m)` of many texts at once."""

    def normal(self, shape):
        """Standard normal noise."""
        return keras.random.normal(shape, dtype="float32", seed=self.seed_generator)

    def dense(self, units, name, **options):
        """A projection of the features."""
        return keras.layers.Dense(units, name=name, dtype="float32", **options)


def standard_normal_log_density(z):
    """log N(z; 0, I): `(…, size)` to `(…)`."""
    return -0.5 * ops.sum(ops.square(z) + LOG_TWO_PI, axis=-1)


def gaussian_log_density(z, mean, log_variance):
    """log N(z; mean, diag(exp(log_variance))): `(…, size)` to `(…)`."""
    square = ops.square(z - mean) * ops.exp(-log_variance)
    return -0.5 * ops.sum(square + log_variance + LOG_TWO_PI, axis=-1)
