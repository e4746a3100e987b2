"""What is common to priors of latent vectors, and the one that needs no fitting."""

import numpy as np

from nlpgen.errors import InputError
from nlpgen.vae.latents import DiscreteLatent


class Prior:
    """What latent vectors are drawn from.

    Args:
        latent: the `Latent`, built.
        seed: of the training.

    Raises:
        InputError: if the prior does not fit the latent.
    """

    kinds = ("continuous",)

    def __init__(self, latent, seed=0):
        kind = "discrete" if isinstance(latent, DiscreteLatent) else "continuous"
        if kind not in self.kinds:
            raise InputError(
                f"{type(self).__name__} is a prior of {' and '.join(self.kinds)} latents, and {type(latent).__name__} "
                f"is {kind}. Take {'CodePrior' if kind == 'discrete' else 'another'}, or 'standard'."
            )
        self.latent = latent
        self.seed = seed

    def check_installed(self):
        """Raise `NlpgenError` if `fit` needs a package that is missing."""

    def fit(self, z):
        """Learn from latent vectors `(n, size)`; returns the prior."""
        raise NotImplementedError

    def sample(self, n, seed=0):
        """Draws, a float32 array `(n, size)`."""
        raise NotImplementedError

    def options(self):
        """Arguments of the constructor beside the latent, values of JSON."""
        return {"seed": self.seed}

    def to_arrays(self):
        """What was learned, `{name: array}`."""
        raise NotImplementedError

    def from_arrays(self, arrays):
        """Take over what `to_arrays` gave; returns the prior."""
        raise NotImplementedError


class Standard(Prior):
    """The latent's own prior: N(0, I), or the uniform distribution of a sphere or of codes."""

    kinds = ("continuous", "discrete")

    def fit(self, z):
        return self

    def sample(self, n, seed=0):
        return self.latent.sample_prior(n, seed)

    def to_arrays(self):
        return {}

    def from_arrays(self, arrays):
        return self


class Scaled(Prior):
    """Base of the priors that work on latent vectors of mean 0 and average variance 1."""

    def fit(self, z):
        z = np.asarray(z, "float64")
        if z.ndim != 2 or len(z) < 2:
            raise InputError(f"Give two latent vectors or more, (n, {self.latent.size}). Received: shape {z.shape}")
        self.centre = z.mean(axis=0)
        self.width = float(np.sqrt(np.mean((z - self.centre) ** 2)))
        self._fit((z - self.centre) / max(self.width, 1e-9))
        return self

    def sample(self, n, seed=0):
        z = self._sample(n, np.random.default_rng(seed))
        return self.latent.nearest(z * self.width + self.centre)

    def to_arrays(self):
        return {"centre": self.centre, "width": np.array([self.width])}

    def from_arrays(self, arrays):
        self.centre, self.width = np.asarray(arrays["centre"], "float64"), float(arrays["width"][0])
        return self

    def _fit(self, z):
        raise NotImplementedError

    def _sample(self, n, generator):
        raise NotImplementedError
