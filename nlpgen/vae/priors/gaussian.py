"""Gaussians and mixtures of Gaussians, fitted to latent vectors (Ghosh et al., 2020, https://arxiv.org/abs/1903.12436).

On a sphere the draws are brought back to it.
"""

import numpy as np

from nlpgen.errors import InputError, NlpgenError
from nlpgen.vae.priors.standard import Scaled


class GaussianFit(Scaled):
    """One Gaussian with the mean and covariance of the latent vectors.

    Args:
        latent, seed: see `Prior`.
        covariance: `"full"`, the default, or `"diagonal"`.
    """

    def __init__(self, latent, seed=0, covariance="full"):
        super().__init__(latent, seed)
        if covariance not in ("full", "diagonal"):
            raise InputError(f"`covariance` must be 'full' or 'diagonal'. Received: {covariance!r}")
        self.covariance = covariance

    def options(self):
        return super().options() | {"covariance": self.covariance}

    def to_arrays(self):
        return super().to_arrays() | {"root": self.root}

    def from_arrays(self, arrays):
        self.root = np.asarray(arrays["root"], "float64")
        return super().from_arrays(arrays)

    def log_prob(self, z):
        """Log-density of vectors `(n, size)`, nats, `(n,)`; on a sphere that of the space around it."""
        x = np.linalg.solve(self.root, ((np.asarray(z, "float64") - self.centre) / self.width).T).T
        log_root = np.log(np.abs(np.diag(self.root))).sum() + len(self.root) * np.log(self.width)
        return -0.5 * (x**2 + np.log(2 * np.pi)).sum(axis=1) - log_root

    def _fit(self, z):
        covariance = np.atleast_2d(np.cov(z, rowvar=False, bias=True))
        if self.covariance == "diagonal":
            covariance = np.diag(np.diag(covariance))
        self.root = np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance)))

    def _sample(self, n, generator):
        return generator.normal(size=(n, len(self.root))) @ self.root.T


class Mixture(Scaled):
    """A mixture of Gaussians (scikit-learn's; needs the extra `sklearn`).

    Args:
        latent, seed: see `Prior`.
        components: how many, 10 by default.
        covariance: `"full"`, the default, or `"diagonal"`.
    """

    def __init__(self, latent, seed=0, components=10, covariance="full"):
        super().__init__(latent, seed)
        if covariance not in ("full", "diagonal") or not isinstance(components, int) or components < 1:
            raise InputError(
                "`covariance` must be 'full' or 'diagonal', `components` 1 or more. "
                f"Received: {covariance!r}, {components!r}"
            )
        self.components, self.covariance = components, covariance

    def options(self):
        return super().options() | {"components": self.components, "covariance": self.covariance}

    def to_arrays(self):
        return super().to_arrays() | {"shares": self.shares, "means": self.means, "roots": self.roots}

    def from_arrays(self, arrays):
        self.shares, self.means, self.roots = (
            np.asarray(arrays[name], "float64") for name in ("shares", "means", "roots")
        )
        return super().from_arrays(arrays)

    def log_prob(self, z):
        """See `GaussianFit.log_prob`."""
        x, found = (np.asarray(z, "float64") - self.centre) / self.width, []
        for share, mean, root in zip(self.shares, self.means, self.roots, strict=True):
            away = np.linalg.solve(root, (x - mean).T).T
            log_root = np.log(np.abs(np.diag(root))).sum() + len(root) * np.log(self.width)
            found.append(np.log(share + 1e-300) - 0.5 * (away**2 + np.log(2 * np.pi)).sum(axis=1) - log_root)
        return np.logaddexp.reduce(found, axis=0)

    def check_installed(self):
        _mixture_class()

    def _fit(self, z):
        kind = {"full": "full", "diagonal": "diag"}[self.covariance]
        components = min(self.components, len(z))
        model = _mixture_class()(components, covariance_type=kind, reg_covar=1e-5, random_state=self.seed).fit(z)
        self.shares, self.means = model.weights_, model.means_
        matrices = model.covariances_ if kind == "full" else [np.diag(row) for row in model.covariances_]
        self.roots = np.linalg.cholesky(np.array(matrices))

    def _sample(self, n, generator):
        chosen = generator.choice(len(self.shares), n, p=self.shares / self.shares.sum())
        noise = generator.normal(size=(n, self.means.shape[1]))
        return self.means[chosen] + np.einsum("nij,nj->ni", self.roots[chosen], noise)


def _mixture_class():
    try:
        from sklearn.mixture import GaussianMixture
    except ImportError:
        raise NlpgenError("The prior 'mixture' needs scikit-learn: pip install nlpgen[sklearn]") from None
    return GaussianMixture
