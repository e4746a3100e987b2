"""Mutual information and importance weighting where the truth is known."""

import math

import numpy as np
import pytest
from keras import ops

from nlpgen.vae import Gaussian, VectorQuantized, VonMisesFisher
from nlpgen.vae.information import importance_weighted, mutual_information
from tests.helpers import array


@pytest.mark.backends
def test_importance_weighted_bound_is_exact_on_a_linear_gaussian():
    """z ~ N(0, 1), x ~ N(a z, s²): the bound grows with k to log p(x), and is exact where q is the posterior."""
    generator, a, s = np.random.default_rng(0), 1.5, 0.7
    x = generator.normal(size=(400, 1)) * math.hypot(a, s)
    variance = 1 / (1 + a * a / (s * s))
    mean = variance * a * x / (s * s)

    def normal(x, mean, variance):
        return -0.5 * ((x - mean) ** 2 / variance + np.log(2 * np.pi * variance))

    exact = normal(x, 0, a * a + s * s)[:, 0]

    def bound(k, shift, widen):
        center, width = mean + shift, variance * widen
        z = center + math.sqrt(width) * generator.normal(size=(len(x), k))
        return importance_weighted(normal(x, a * z, s * s) + normal(z, 0, 1), normal(z, center, width))

    np.testing.assert_allclose(bound(3, 0.0, 1.0), exact, atol=1e-9)
    means = [bound(k, 0.3, 1.5).mean() for k in (1, 5, 50, 5000)]
    assert means == sorted(means)
    assert means[0] < exact.mean() - 0.1
    assert means[-1] == pytest.approx(exact.mean(), abs=0.01)


@pytest.mark.backends
def test_mutual_information_of_gaussians():
    """x ~ N(0, I) and z = x + noise: I = d / 2 log(1 + 1 / noise²), and never more than log n."""
    n, generator = 1500, np.random.default_rng(1)
    latent = Gaussian(2)
    for noise in (1.0, 1e-3):
        mean = generator.normal(size=(n, 2)).astype("float32")
        width = ops.full((n, 2), 2 * math.log(noise), "float32")
        posterior = {"mean": ops.convert_to_tensor(mean), "log_variance": width}
        z = (mean + noise * generator.normal(size=mean.shape)).astype("float32")
        found = mutual_information(latent, posterior, z)
        assert found <= math.log(n)
        exact = math.log(1 + 1 / noise**2)
        assert found == pytest.approx(exact if noise == 1 else math.log(n), abs=0.1)


@pytest.mark.backends
def test_mutual_information_at_its_ends():
    """0 where all posteriors are equal, log n where none overlap, the entropy of the codes where they are discrete."""
    same = {"mean_direction": ops.tile(ops.eye(1, 8), (50, 1))}
    latent = VonMisesFisher(8, concentration=20.0, seed=0)
    z = array(latent.sample(same))
    assert mutual_information(latent, same, z) == pytest.approx(0, abs=1e-5)
    axes = {"mean_direction": ops.eye(8)}
    narrow = VonMisesFisher(8, concentration=2000.0, seed=0)
    assert mutual_information(narrow, axes, np.eye(8, dtype="float32")) == pytest.approx(math.log(8), abs=1e-5)
    codes = VectorQuantized(4, num_codes=4, num_slots=1, seed=0)
    codes.build((None, 4))
    codes.codebook.assign(np.eye(4))
    chosen = np.repeat(np.arange(4), [5, 3, 1, 1])
    given, z = {"codes": ops.convert_to_tensor(chosen[:, None])}, np.eye(4, dtype="float32")[chosen]
    shares = np.array([0.5, 0.3, 0.1, 0.1])
    assert mutual_information(codes, given, z) == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-6)
