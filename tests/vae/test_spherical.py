"""Von Mises-Fisher and power-spherical latents against exact values, closed forms and moments."""

import math

import numpy as np
import pytest
from keras import ops

from nlpgen.errors import InputError
from nlpgen.vae import PowerSpherical, VonMisesFisher
from nlpgen.vae.latents.angular_grid import LEARNED_NODES, AngularGrid, LogOnePlusCosine, MeanCosine, log_area
from tests.helpers import array
from tests.vae.helpers import derivative

# KL to the uniform distribution and mean cosine, from Bessel functions of 40 digits.
VMF = [
    (3, 1, 0.1516, 0.3130), (3, 10, 1.9957, 0.9000), (25, 100, 18.8025, 0.8866), (32, 10, 1.3813, 0.2879),
    (32, 13, 2.1726, 0.3569), (32, 20, 4.2459, 0.4841), (32, 50, 12.2534, 0.7348), (32, 100, 20.7585, 0.8563),
    (50, 35, 7.7430, 0.5171), (50, 80, 19.5152, 0.7383), (128, 20, 1.5090, 0.1527), (128, 50, 8.0915, 0.3448),
    (256, 200, 45.6223, 0.5478), (768, 300, 48.4725, 0.3444), (768, 1000, 245.496, 0.6874),
]  # fmt: skip
# From the closed form with digamma and log-gamma functions.
POWER = [(32, 13, 1.466, 0.2955), (32, 20, 2.669, 0.3922), (128, 50, 5.326, 0.2825), (768, 300, 31.627, 0.2812)]
KINDS = {"vmf": VonMisesFisher, "power": PowerSpherical}


def posterior(latent, rows, k=None):
    """Directions of all kinds, the first axis included, with a concentration where it is learned."""
    directions = np.random.default_rng(0).normal(size=(rows, latent.size))
    directions[0] = np.eye(latent.size)[0]
    found = {"mean_direction": (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype("float32")}
    found |= {} if k is None else {"concentration": np.full((rows, 1), k, "float32")}
    return {name: ops.convert_to_tensor(x) for name, x in found.items()}


@pytest.mark.parametrize(("size", "k", "kl", "cosine"), VMF)
def test_table_of_von_mises_fisher(size, k, kl, cosine):
    latent = VonMisesFisher(size, concentration=k)
    assert latent.kl() == pytest.approx(kl, rel=1e-4, abs=6e-5)
    assert latent.mean_cosine == pytest.approx(cosine, abs=6e-5)


@pytest.mark.backends
def test_table_of_von_mises_fisher_in_float32():
    for size in {row[0] for row in VMF}:
        rows = [row for row in VMF if row[0] == size]
        latent = VonMisesFisher(size, concentration=0.5, learned=True)
        k = ops.convert_to_tensor([[float(row[1])] for row in rows], "float32")
        given = posterior(latent, len(rows)) | {"concentration": k}
        np.testing.assert_allclose(array(latent.kl(given)), [row[2] for row in rows], rtol=1e-4, atol=6e-5)


@pytest.mark.parametrize(
    ("size", "k"),
    [
        *((3, 1), (3, 10), (4, 10), (5, 2), (32, 13), (128, 1000), (768, 300), (1024, 1)),
        *((3, 1e5), (32, 1e4), (128, 5e3), (1024, 1e5), (32, 1e-3)),
    ],
)
def test_float64_is_exact(size, k):
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(40):
        order = mpmath.mpf(size) / 2 - 1
        cosine = mpmath.besseli(order + 1, k) / mpmath.besseli(order, k)
        log_c = order * mpmath.log(k) - (order + 1) * mpmath.log(2 * mpmath.pi) - mpmath.log(mpmath.besseli(order, k))
        kl = k * cosine + log_c + mpmath.mpf(log_area(size))
    latent = VonMisesFisher(size, concentration=k)
    assert latent.kl() == pytest.approx(float(kl), rel=1e-10, abs=1e-8)
    assert latent.mean_cosine == pytest.approx(float(cosine), abs=1e-8)


@pytest.mark.parametrize(
    ("size", "k"), [(3, 0.5), (5, 2), (32, 13), (32, 1e-3), (128, 50), (768, 300), (1024, 1e4), (3, 1e5)]
)
def test_power_spherical_is_its_closed_form(size, k):
    """De Cao & Aziz: with a = (d - 1) / 2 + k and b = (d - 1) / 2, by log-gamma and digamma functions."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(30):
        b = mpmath.mpf(size - 1) / 2
        a, log_2 = b + k, mpmath.log(2)
        log_normalizer = (a + b) * log_2 + b * mpmath.log(mpmath.pi) + mpmath.loggamma(a) - mpmath.loggamma(a + b)
        kl = k * (log_2 + mpmath.digamma(a) - mpmath.digamma(a + b)) - log_normalizer + mpmath.mpf(log_area(size))
    assert PowerSpherical(size, concentration=k).kl() == pytest.approx(float(kl), rel=1e-10, abs=1e-8)


@pytest.mark.parametrize(("size", "k"), [(3, 0.7), (32, 13), (768, 300)])
def test_the_grid_knows_its_own_derivatives(size, k):
    """d KL / dk = k Var(T) and dA / dk = 1 - A² - (d - 1) A / k, by differences."""
    h = 1e-4 * k
    low, middle, high = (AngularGrid(MeanCosine, size, k + sign * h) for sign in (-1, 0, 1))
    assert (high.kl - low.kl).item() / (2 * h) == pytest.approx((k * middle.variance).item(), rel=1e-6)
    a = middle.mean_cosine.item()
    expected = 1 - a * a - (size - 1) * a / k
    assert (high.mean_cosine - low.mean_cosine).item() / (2 * h) == pytest.approx(expected, rel=1e-5)
    assert middle.variance.item() == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(("size", "k", "kl", "cosine"), POWER)
def test_table_of_power_spherical(size, k, kl, cosine):
    latent = PowerSpherical(size, concentration=k)
    assert latent.kl() == pytest.approx(kl, abs=6e-4)
    assert latent.mean_cosine == pytest.approx(cosine, abs=6e-5)
    assert latent.mean_cosine == pytest.approx(k / (k + size - 1), abs=1e-9)


def test_power_spherical_with_the_same_mean_is_almost_von_mises_fisher():
    vmf = VonMisesFisher(32, concentration=20)
    k = 31 * vmf.mean_cosine / (1 - vmf.mean_cosine)
    assert k == pytest.approx(29.09, abs=0.01)
    assert PowerSpherical(32, concentration=k).kl() == pytest.approx(4.255, abs=1e-3)
    assert vmf.kl() == pytest.approx(4.246, abs=1e-3)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (16, [9.5, 16.3, 24.3, 34.3, 47.2]),
        (32, [12.4, 19.2, 25.8, 32.8, 40.4]),
        (64, [16.8, 24.8, 31.8, 38.5, 45.1]),
        (128, [23.2, 33.5, 42.0, 49.7, 56.8]),
    ],
)
def test_target_kl(size, wanted):
    for kl, k in zip((2, 4, 6, 8, 10), wanted, strict=True):
        latent = VonMisesFisher(size, target_kl=kl)
        assert latent.concentration == pytest.approx(k, abs=0.06)
        assert latent.kl() == pytest.approx(kl, rel=1e-9)
        assert PowerSpherical(size, target_kl=kl).kl() == pytest.approx(kl, rel=1e-9)


@pytest.mark.backends
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize(("size", "k"), [(3, 2), (32, 13), (128, 20), (768, 300)])
def test_samples_of_von_mises_fisher_have_its_moments(size, k, learned):
    """Mean and variance of the cosine within four standard errors; the direction is that of the mean."""
    n = 2000
    latent = VonMisesFisher(size, concentration=k, learned=learned, seed=3)
    given = posterior(latent, n, k if learned else None)
    z = array(latent.sample(given))
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)
    direction = array(given["mean_direction"])
    cosine = (z * direction).sum(1)
    a = latent.mean_cosine
    variance = 1 - a * a - (size - 1) * a / k
    assert abs(cosine.mean() - a) < 4 * math.sqrt(variance / n)
    kurtosis = ((cosine - cosine.mean()) ** 4).mean() / cosine.var() ** 2
    assert abs(cosine.var() / variance - 1) < 4 * math.sqrt((kurtosis - 1) / n)
    # What is at right angles is uniform: its average is 0 up to the error.
    side = z - cosine[:, None] * direction
    assert np.linalg.norm(side.mean(0)) < 2 / math.sqrt(n)


@pytest.mark.parametrize("size", [3, 32, 1024])
@pytest.mark.parametrize("k", [1e-3, 1e5])
def test_samples_at_the_ends_of_the_fixed_concentrations(size, k):
    """Mean of the cosine, within four standard errors; from squared distances, since cosines near 1 have few digits."""
    n, latent = 2000, VonMisesFisher(size, concentration=k, seed=4)
    given = posterior(latent, n)
    z, direction = (array(x).astype("float64") for x in (latent.sample(given), given["mean_direction"]))
    z, direction = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (z, direction))
    missing = np.square(z - direction).sum(axis=1) / 2  # 1 - cos φ
    exact, variance = 1 - latent.mean_cosine, latent._fixed.variance.item()
    assert abs(missing.mean() - exact) < 4 * math.sqrt(variance / n) + 1e-4 * exact
    assert missing.var() == pytest.approx(variance, rel=0.25)


@pytest.mark.backends
def test_samples_of_power_spherical_follow_its_beta_distribution():
    n = 4000
    latent = PowerSpherical(32, concentration=20, seed=3)
    given = posterior(latent, n)
    share = ((array(latent.sample(given)) * array(given["mean_direction"])).sum(1) + 1) / 2
    a, b = 31 / 2 + 20, 31 / 2
    variance = a * b / ((a + b) ** 2 * (a + b + 1))
    assert abs(share.mean() - a / (a + b)) < 4 * math.sqrt(variance / n)
    assert share.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / n))


@pytest.mark.backends
def test_gradient_of_a_learned_concentration_is_unbiased():
    """dE[cos φ] / dk = A' = .14739 at d = 5, k = 2, where rejection sampling without correction gives .1277."""
    n = 5000
    latent = VonMisesFisher(5, concentration=1.0, learned=True, seed=5)
    direction = posterior(latent, n)["mean_direction"]
    k = np.full((n, 1), 2.0, "float32")
    found = derivative(
        lambda k: ops.sum(latent.sample({"mean_direction": direction, "concentration": k}) * direction), k
    )
    error = found.std() / math.sqrt(n)
    assert error < 1e-3
    assert abs(found.mean() - 0.14739) < 4 * error


@pytest.mark.backends
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_a_single_sample_is_that_of_its_quantile(kind):
    """φ(u, k) moves with k as the inverse of the distribution function does, in the tails too."""
    latent = KINDS[kind](32, concentration=1.0, learned=True)
    u = ops.convert_to_tensor([[1e-4], [0.01], [0.3], [0.5], [0.9], [0.999]], "float32")
    k, h = 20.0, 0.05
    statistic = latent.statistic

    def quantile(k):
        grid = AngularGrid(statistic, 32, k, nodes=20001)
        angles = grid.start + grid.width * np.linspace(0, 1, 20001)
        return np.interp(array(u)[:, 0], grid.cdf, angles)

    expected = (quantile(k + h) - quantile(k - h)) / (2 * h)
    rows = np.full((6, 1), k, "float32")
    found = derivative(lambda k: ops.sum(latent._angle(u, {"concentration": k})), rows)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=5e-3)
    np.testing.assert_allclose(
        array(latent._angle(u, {"concentration": ops.convert_to_tensor(rows)}))[:, 0], quantile(k), atol=1e-4
    )


@pytest.mark.backends
@pytest.mark.parametrize("kind", KINDS)
def test_the_kl_is_differentiated_by_its_formula(kind):
    latent = KINDS[kind](32, concentration=1.0, learned=True)
    given = posterior(latent, 2)
    found = derivative(
        lambda k: ops.sum(latent.kl(given | {"concentration": k})), np.array([[13.0], [50.0]], "float32")
    )
    for k, slope in zip((13.0, 50.0), found[:, 0], strict=True):
        values = [AngularGrid(latent.statistic, 32, k + h).kl.item() for h in (-1e-3, 1e-3)]
        assert slope == pytest.approx((values[1] - values[0]) / 2e-3, rel=1e-3)


@pytest.mark.backends
@pytest.mark.parametrize("kind", KINDS)
def test_densities_are_densities(kind):
    """The integral of q over the sphere is 1, and its mean log-ratio to p is the KL."""
    size = 5
    latent = KINDS[kind](size, concentration=6.0)
    angles = np.linspace(0, np.pi, 4001)
    z = np.zeros((4001, size), "float32")
    z[:, 0], z[:, 1] = np.cos(angles), np.sin(angles)
    given = {"mean_direction": ops.eye(1, size)}
    z = ops.convert_to_tensor(z)
    log_q, log_p = array(latent.log_q(z, given)).astype("float64"), array(latent.log_p(z))
    ring = math.exp(log_area(size - 1)) * np.sin(angles) ** (size - 2)
    assert np.trapezoid(np.exp(log_q) * ring, angles) == pytest.approx(1, abs=1e-4)
    assert np.trapezoid(np.exp(log_p) * ring, angles) == pytest.approx(1, abs=1e-4)
    assert np.trapezoid(np.exp(log_q) * (log_q - log_p) * ring, angles) == pytest.approx(latent.kl(), abs=1e-3)


@pytest.mark.backends
@pytest.mark.parametrize("size", [3, 32, 1024])
@pytest.mark.parametrize("statistic", [MeanCosine, LogOnePlusCosine])
def test_nothing_is_nan_in_float32(size, statistic):
    """Concentrations from 1e-3 to 1e5, values and gradients."""
    kind = VonMisesFisher if statistic is MeanCosine else PowerSpherical
    latent = kind(size, concentration=1e-3, learned=True, max_concentration=1e5, seed=2)
    k = np.repeat(np.logspace(-3, 5, 9), 4)[:, None].astype("float32")
    given = posterior(latent, len(k))

    def total(k):
        now = given | {"concentration": k}
        z = latent.sample(now)
        return ops.sum(latent.kl(now)) + ops.sum(latent.log_q(z, now)) * 1e-3 + ops.sum(z[:, 0])

    assert np.isfinite(derivative(total, k)).all()
    assert np.isfinite(array(latent.kl(given | {"concentration": ops.convert_to_tensor(k)}))).all()
    grid = AngularGrid(statistic, size, ops.convert_to_tensor(k), ops, LEARNED_NODES)
    exact = np.array([AngularGrid(statistic, size, float(each)).kl.item() for each in k[:, 0]])
    np.testing.assert_allclose(array(grid.kl)[:, 0], exact, rtol=1e-4, atol=2e-4)


@pytest.mark.backends
def test_features_of_zero_have_a_direction():
    latent = VonMisesFisher(8, concentration=5.0)
    latent.build((None, 3))
    features = np.zeros((2, 3), "float32")
    assert np.isfinite(derivative(lambda x: ops.sum(latent.sample(latent.posterior(x))), features)).all()
    z = array(latent.sample(latent.posterior(features)))
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)


@pytest.mark.backends
@pytest.mark.parametrize(("batch_norm", "low", "high"), [(True, 0.0, 0.15), (False, 0.99, 1.0)])
def test_batch_normalization_keeps_directions_apart(batch_norm, low, high):
    """Of features that have almost all in common, by the length of the mean direction: 1 where all are the same."""
    latent = VonMisesFisher(8, concentration=5.0, batch_norm=batch_norm)
    latent.build((None, 6))
    generator = np.random.default_rng(0)
    latent.direction_head.set_weights([generator.normal(size=(6, 8)), np.zeros(8)])
    features = (1 + 0.02 * generator.normal(size=(400, 6))).astype("float32")

    def resultant(training):
        directions = array(latent.mean(latent.posterior(features, training=training)))
        return np.linalg.norm(directions.mean(0))

    assert low <= resultant(training=True) <= high + 1e-6
    latent.calibrate(features)
    assert resultant(training=False) == pytest.approx(resultant(training=True), abs=1e-4)


def test_great_circles():
    latent = VonMisesFisher(3, concentration=1.0)
    path = latent.interpolate(np.array([1.0, 0, 0]), np.array([0, 2.0, 0]), 3)
    np.testing.assert_allclose(path, [[1, 0, 0], [0.5**0.5, 0.5**0.5, 0], [0, 1, 0]], atol=1e-6)
    same = latent.interpolate(np.array([1.0, 0, 0]), np.array([1.0, 0, 0]), 3)
    np.testing.assert_allclose(same, [[1, 0, 0]] * 3, atol=1e-6)
    start = np.array([0.6, 0, 0.8])
    opposite = latent.interpolate(start, -start, 5)  # even steps, by the axis at right angles
    np.testing.assert_allclose(opposite[[0, 2, 4]], [start, [0, 1, 0], -start], atol=1e-6)
    np.testing.assert_allclose((opposite[1:] * opposite[:-1]).sum(axis=1), math.cos(math.pi / 4), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 2, "concentration": 1.0}, "3 or more"),
        ({"size": 8}, "either"),
        ({"size": 8, "concentration": 1.0, "target_kl": 2.0}, "either"),
        ({"size": 8, "concentration": -1.0}, "must be from 0.001"),
        ({"size": 8, "concentration": 50.0, "learned": True, "max_concentration": 40.0}, "to 40"),
        ({"size": 8, "target_kl": 1e6}, "below"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        VonMisesFisher(**options)
