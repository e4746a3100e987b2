"""Priors on latent vectors whose distribution is known."""

import math

import numpy as np
import pytest

from nlpgen.errors import InputError
from nlpgen.vae import FiniteScalarQuantized, Gaussian, VonMisesFisher
from nlpgen.vae.priors import PRIORS, CodePrior, DenoisingDensity, GaussianFit, Mixture, ScoreMatching, Standard
from tests.helpers import array

N = 1500


def two_clusters():
    """Two narrow clusters, one twice as frequent as the other, in two dimensions."""
    generator = np.random.default_rng(0)
    centres = np.array([[2.0, 0.5], [-2.0, -0.5]])
    chosen = (generator.random(N) < 1 / 3).astype(int)
    return centres[chosen] + 0.25 * generator.normal(size=(N, 2)), centres


def shares_of(z, centres):
    """The share of points at each centre, and of those at none."""
    distance = np.linalg.norm(z[:, None] - centres, axis=-1)
    near = distance.min(axis=1) < 1.0
    return [float(np.mean(near & (distance.argmin(axis=1) == i))) for i in range(2)] + [float(np.mean(~near))]


def test_gaussian_has_the_moments_and_the_density():
    generator = np.random.default_rng(1)
    root = np.array([[1.5, 0.0], [0.8, 0.5]])
    z = 3 + generator.normal(size=(N, 2)) @ root.T
    prior = GaussianFit(Gaussian(2)).fit(z)
    draws = prior.sample(20_000, seed=1)
    np.testing.assert_allclose(draws.mean(axis=0), z.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(np.cov(draws.T), np.cov(z.T), atol=0.08)
    covariance, away = np.cov(z.T, bias=True), z[:5] - z.mean(axis=0)
    expected = -0.5 * np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance), away)
    expected -= math.log(2 * math.pi) + 0.5 * math.log(np.linalg.det(covariance))
    np.testing.assert_allclose(prior.log_prob(z[:5]), expected, rtol=1e-6)
    diagonal = GaussianFit(Gaussian(2), covariance="diagonal").fit(z).sample(5000)
    assert abs(np.corrcoef(diagonal.T)[0, 1]) < 0.05


def test_mixture_finds_both_clusters():
    pytest.importorskip("sklearn")
    z, centres = two_clusters()
    prior = Mixture(Gaussian(2), components=2).fit(z)
    np.testing.assert_allclose(shares_of(prior.sample(4000), centres), [2 / 3, 1 / 3, 0], atol=0.03)
    assert shares_of(GaussianFit(Gaussian(2)).fit(z).sample(4000), centres)[2] > 0.3  # one Gaussian cannot
    from scipy.stats import multivariate_normal

    both = sum(
        share * multivariate_normal(centre, 0.0625).pdf(z[:50])
        for share, centre in zip((2 / 3, 1 / 3), centres, strict=True)
    )
    assert np.abs(prior.log_prob(z[:50]) - np.log(both)).mean() < 0.1


def noise_of(y, sigma, centres):
    """The mean noise of level sigma in y, given the density of `two_clusters`: a mixture's posterior, written out."""
    away, variance = y[:, None] - centres, 0.0625 + sigma**2
    logs = np.log([2 / 3, 1 / 3]) - 0.5 * (away**2).sum(axis=-1) / variance
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return sigma / variance * (shares[..., None] * away).sum(axis=1)


def test_with_the_true_score_the_draws_are_those_of_the_density():
    """No network: shares within four standard errors, the clusters' variance within a sixth."""
    _, centres = two_clusters()
    prior = ScoreMatching(Gaussian(2), highest=8.0)
    prior.centre, prior.width = np.zeros(2), 1.0
    prior._noise = lambda y, sigma: noise_of(y, sigma, centres)
    draws = prior.sample(3000, seed=1)
    np.testing.assert_allclose(shares_of(draws, centres), [2 / 3, 1 / 3, 0], atol=4 * np.sqrt(2 / 9 / 3000))
    for centre in centres:
        near = draws[np.linalg.norm(draws - centre, axis=1) < 1]
        np.testing.assert_allclose(near.var(axis=0), 0.0625, rtol=1 / 6)


@pytest.mark.backends
def test_score_matching_finds_both_clusters():
    z, centres = two_clusters()
    options = {"hidden_size": 48, "steps": 400, "batch_size": 128, "levels": 20, "walk": 1}
    prior = ScoreMatching(Gaussian(2), **options).fit(z)
    generator, y = np.random.default_rng(1), z[:256] - prior.centre
    for sigma in (2.0, 1.0, 0.5):  # of what the network says, less than a tenth is wrong
        noisy = (y / prior.width + sigma * generator.normal(size=y.shape)).astype("float32")
        true = noise_of(noisy * prior.width, sigma * prior.width, centres - prior.centre)
        assert np.mean((prior._noise(noisy, sigma) - true) ** 2) < 0.1 * np.mean(true**2)
    draws = prior.sample(512, seed=1)
    np.testing.assert_allclose(shares_of(draws, centres), [2 / 3, 1 / 3, 0], atol=0.08)
    twin = ScoreMatching(Gaussian(2), **prior.options()).from_arrays(prior.to_arrays())
    np.testing.assert_allclose(twin.sample(512, seed=1), draws, atol=1e-5)


@pytest.mark.backends
def test_the_denoising_density_is_that_of_the_noisy_vectors():
    """Of N(0, I), E = sigma² log p_sigma: a parabola with 1 / (1 + sigma²); its slope is that which is written out."""
    z = np.random.default_rng(2).normal(size=(N, 2))
    prior = DenoisingDensity(Gaussian(2), sigma=0.5, hidden_size=32, steps=400, batch_size=128, walk=40).fit(z)
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, -1.0], [1.0, 1.0]])
    density = prior.log_density(points)
    width = z.var() + 0.25 * prior.width**2
    np.testing.assert_allclose(density - density[0], -0.5 * (points**2).sum(axis=1) / width, atol=0.12)
    y, h = np.array([[0.3, -0.7]], "float32"), 1e-2
    around = np.concatenate([y + h * np.eye(2, dtype="float32"), y - h * np.eye(2, dtype="float32")])
    energies = array(prior.network.energy(around))
    slope = (energies[:2] - energies[2:]) / (2 * h)
    written = -np.asarray(prior._noise(y, 0.5))[0] * 0.5
    np.testing.assert_allclose(written, slope, atol=2e-3)
    draws = prior.sample(600, seed=3)
    assert abs(draws.mean()) < 0.15
    assert draws.std() == pytest.approx(1 / math.sqrt(1 + 0.5**2), rel=0.06)  # less than 1: the last step is a mean


def test_the_denoising_density_of_two_clusters():
    """Against the mixture with the noise in it: near a centre to 0.08 nats, half-way to the middle of both to 0.12.

    From one centre to the other, where there is hardly any data, to 0.3, and so shares of draws to 0.08.
    """
    z, centres = two_clusters()
    prior = DenoisingDensity(Gaussian(2), sigma=0.5, hidden_size=32, steps=1500, batch_size=128, walk=40).fit(z)
    sigma = 0.5 * prior.width
    for i, (x, y) in enumerate(centres):
        around = np.array([[x, y], [x + 0.7 * sigma, y], [x, y - 0.7 * sigma], [x / 2, y / 2]])
        away = np.square(around[:, None] - centres).sum(axis=-1)
        exact = np.logaddexp.reduce(np.log([2 / 3, 1 / 3]) - 0.5 * away / (0.0625 + sigma**2), axis=1)
        found = prior.log_density(around)
        np.testing.assert_allclose(found - found[0], exact - exact[0], atol=0.06, rtol=0.06)
        others = prior.log_density(centres)
        assert others[1 - i] - others[i] == pytest.approx((1 - 2 * i) * math.log(0.5), abs=0.3)
    draws = prior.sample(1000, seed=3)
    np.testing.assert_allclose(shares_of(draws, centres), [2 / 3, 1 / 3, 0], atol=0.08)
    near = draws[np.linalg.norm(draws - centres[0], axis=1) < 1]
    assert 0.0625 / math.sqrt(0.0625 + sigma**2) * 0.9 < near.std(axis=0).mean() < 0.2  # the cluster has 0.25


@pytest.mark.backends
def test_codes_that_go_together():
    """The second code is always the first plus one: the prior learns it, and its probabilities are one in all."""
    latent = FiniteScalarQuantized((3, 2), num_slots=2)
    first = np.random.default_rng(0).integers(0, 6, 600)
    codes = np.stack([first, (first + 1) % 6], axis=1).astype("int32")
    z = np.asarray(latent.codes_to_z(codes))
    prior = CodePrior(latent, hidden_size=16, num_layers=1, epochs=40, learning_rate=1e-2).fit(z)
    drawn = np.asarray(latent.z_to_codes(prior.sample(500, seed=1)))
    assert np.mean(drawn[:, 1] == (drawn[:, 0] + 1) % 6) > 0.95
    assert len(np.unique(drawn[:, 0])) == 6
    every = np.stack(np.meshgrid(np.arange(6), np.arange(6)), axis=-1).reshape(-1, 2).astype("int32")
    assert np.exp(prior.log_prob(np.asarray(latent.codes_to_z(every)))).sum() == pytest.approx(1, abs=1e-4)
    assert prior.log_prob(z).mean() == pytest.approx(-math.log(6), abs=0.15)


def test_draws_lie_on_the_sphere():
    latent = VonMisesFisher(4, concentration=3.0)
    z = latent.nearest(np.random.default_rng(0).normal([2, 0, 0, 0], size=(200, 4)))
    draws = GaussianFit(latent).fit(z).sample(500)
    np.testing.assert_allclose(np.linalg.norm(draws, axis=1), 1, atol=1e-5)
    assert draws[:, 0].mean() == pytest.approx(z[:, 0].mean(), abs=0.05)
    np.testing.assert_array_equal(Standard(latent).sample(5, 1), latent.sample_prior(5, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda latent: GaussianFit(latent, covariance="round"), "'full' or 'diagonal'"),
        (lambda latent: Mixture(latent, components=0), "`components` 1 or more"),
        (lambda latent: ScoreMatching(latent, lowest=5.0), "lowest <= highest"),
        (lambda latent: ScoreMatching(latent, stride=2.0), "`stride` between 0 and 1"),
        (lambda latent: DenoisingDensity(latent, sigma=0), "`sigma` must be"),
        (lambda latent: CodePrior(latent), "discrete latents"),
        (lambda latent: GaussianFit(latent).fit(np.zeros((1, 2))), "two latent vectors"),
    ],
)
def test_wrong_options(make, message):
    with pytest.raises(InputError, match=message):
        make(Gaussian(2))
    assert set(PRIORS) == {"standard", "gaussian", "mixture", "score-matching", "denoising-density", "codes"}
