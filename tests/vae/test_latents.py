"""Gaussian, entropic and discrete latents against closed forms, and what all latents have in common."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from nlpgen.errors import InputError
from nlpgen.vae import (
    BatchNormGaussian,
    DeltaGaussian,
    Entropic,
    FiniteScalarQuantized,
    Gaussian,
    VectorQuantized,
    knn_entropy,
)
from nlpgen.vae.latents.standardize import Standardize
from tests.helpers import array, assert_close
from tests.vae.helpers import DENSITIES, LATENTS, derivative

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(64, 6)).astype("float32")


def built(name, width=6):
    """A latent with weights that are not small, calibrated to the features."""
    latent = LATENTS[name]() if isinstance(name, str) else name
    latent.build((None, width))
    generator = np.random.default_rng(2)
    for weight in latent.trainable_weights:
        weight.assign(generator.normal(0, 0.5, weight.shape))
    latent.calibrate(FEATURES)
    return latent


def features_of(latent):
    """What an encoder would give it."""
    turned = [np.roll(FEATURES, i, axis=1) for i in range(latent.num_vectors)]
    return FEATURES if latent.num_vectors == 1 else np.stack(turned, axis=1)


def repeated(posterior, row, n):
    return {name: ops.repeat(x[row : row + 1], n, axis=0) for name, x in posterior.items()}


@pytest.mark.backends
@pytest.mark.parametrize("name", DENSITIES)
def test_the_kl_is_the_mean_log_ratio_of_the_densities(name):
    """KL(q ‖ p) = E_q[log q - log p] within four standard errors, by samples."""
    latent = built(name)
    posterior = repeated(latent.posterior(FEATURES), 3, 2000)
    z = latent.sample(posterior)
    ratios = array(latent.log_q(z, posterior) - latent.log_p(z)).astype("float64")
    kl = array(latent.kl(posterior))[0]
    assert kl > 0.1
    assert abs(ratios.mean() - kl) < 4 * ratios.std() / math.sqrt(2000) + 1e-4


@pytest.mark.backends
@pytest.mark.parametrize("name", DENSITIES)
def test_mean_and_spread_are_those_of_the_samples(name):
    """The mean within four standard errors; on the sphere, its direction."""
    latent = built(name)
    posterior = repeated(latent.posterior(FEATURES), 3, 3000)
    z, mean, spread = (array(x) for x in (latent.sample(posterior), latent.mean(posterior), latent.spread(posterior)))
    length = np.linalg.norm(z.mean(0)) if "mean_direction" in posterior else 1.0
    assert np.abs(z.mean(0) / length - mean[0]).max() < 4 * spread[0].max() / math.sqrt(3000) / length
    assert math.sqrt(z.var(0).sum()) == pytest.approx(math.sqrt((spread[0] ** 2).sum()), rel=0.05)


@pytest.mark.backends
@pytest.mark.parametrize("name", LATENTS)
def test_contract(name):
    """Float32 inside mixed precision, the same after serialisation, gradients to every weight, finite everywhere."""
    latent = built(name)
    features = features_of(latent)
    posterior = latent.posterior(ops.cast(features, "float16"))
    z = latent.sample(posterior)
    assert keras.backend.standardize_dtype(z.dtype) == "float32"
    assert z.shape == (64, latent.size)
    assert array(latent.kl_terms(posterior)).shape[0] == 64
    twin = type(latent).from_config(latent.get_config())
    twin.build(features.shape)
    twin.set_weights(latent.get_weights())
    assert_close(array(twin.mean(twin.posterior(features))), array(latent.mean(latent.posterior(features))))
    assert_close(array(twin.kl(twin.posterior(features))), array(latent.kl(latent.posterior(features))))

    def loss(x):
        given = latent.posterior(x, training=True)
        return ops.sum(ops.square(latent.sample(given) - 0.3)) + ops.sum(latent.kl(given)) + latent.penalty(given)

    gradient = derivative(loss, features)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 1e-3
    prior = latent.sample_prior(500, seed=4)
    np.testing.assert_array_equal(prior, latent.sample_prior(500, seed=4))
    assert np.isfinite(array(latent.log_p(ops.convert_to_tensor(prior)))).all()
    path = latent.interpolate(prior[0], prior[1], 5)
    assert path.shape == (5, latent.size)
    assert_close(path[[0, -1]], prior[:2])
    if name in ("vq", "fsq"):  # every point of the path is a code
        assert_close(array(latent.codes_to_z(latent.z_to_codes(path))), path)


@pytest.mark.backends
def test_floor_of_batch_normalization_and_the_trap_of_its_epsilon():
    """With outputs of deviation 0.01 all of gamma² is kept; Keras' default epsilon would keep 9 % of it."""
    latent = BatchNormGaussian(32, gamma=0.6, seed=0)
    latent.build((None, 32))
    raw = (3 + 0.01 * np.random.default_rng(1).normal(size=(128, 32))).astype("float32")
    latent.mean_head.set_weights([np.eye(32), np.zeros(32)])
    latent.log_variance_head.set_weights([np.zeros((32, 32)), np.zeros(32)])
    posterior = latent.posterior(raw, training=True)
    mean = array(posterior["mean"])
    np.testing.assert_allclose(mean.std(0), 0.6, rtol=2e-3)
    np.testing.assert_allclose(mean.mean(0), 0, atol=1e-3)
    kl = array(latent.kl(posterior)).mean()
    assert latent.kl_floor == pytest.approx(5.76)
    assert 5.76 * 0.997 <= kl < 5.77
    trap = keras.layers.BatchNormalization(center=False, scale=False, dtype="float32")
    kept = array(trap(raw, training=True)).var(0).mean()
    assert kept == pytest.approx(0.09, abs=0.02)


@pytest.mark.backends
@pytest.mark.parametrize(("deviation", "share"), [(0.03, 0.47), (0.01, 0.09)])
def test_what_the_epsilon_of_keras_would_leave(deviation, share):
    """Of the variance, within 0.01 by samples; ours leaves all."""
    raw = (deviation * np.random.default_rng(1).normal(size=(2000, 8))).astype("float32")
    trap = keras.layers.BatchNormalization(center=False, scale=False, dtype="float32")
    assert array(trap(raw, training=True)).var() == pytest.approx(share, abs=0.01)
    ours = Standardize()
    ours.build((None, 8))
    assert array(ours(raw, training=True)).var() == pytest.approx(1, rel=1e-3)


def gaussian_with(latent, raw_mean, log_variance):
    """The KL of a latent whose heads give these, `(n, size)` each, in training."""
    size = latent.size
    latent.build((None, 2 * size))
    identity, none = np.eye(size), np.zeros((size, size))
    latent.mean_head.set_weights([np.concatenate([identity, none]), np.zeros(size)])
    latent.log_variance_head.set_weights([np.concatenate([none, identity]), np.zeros(size)])
    features = np.concatenate([raw_mean, log_variance], axis=1).astype("float32")
    return float(array(latent.kl(latent.posterior(features, training=True))).mean())


@pytest.mark.parametrize(("gamma", "matched"), [(0.5, 4.60), (0.6, 7.14), (0.7, 10.77)])
def test_with_the_variance_of_the_prior_batch_normalization_is_above_its_floor(gamma, matched):
    """All posteriors together have variance 1: the KL is -d / 2 log(1 - gamma²). Published ones lie between the two."""
    raw = np.random.default_rng(0).normal(size=(256, 32))
    latent = BatchNormGaussian(32, gamma=gamma)
    found = gaussian_with(latent, raw, np.full((256, 32), math.log(1 - gamma**2)))
    assert found == pytest.approx(matched, abs=6e-3)
    assert latent.kl_floor < found


def test_the_symmetric_form_at_its_start():
    """22.2 nats where the variances are alike, and 42.5 where they are the squares of normal numbers, as in Su's form:
    E[-log n²] = 1.27 in each of 32 dimensions, half of it. Of 4,000 rows; the error of the second is 0.2.
    """
    generator = np.random.default_rng(0)
    raw, normal = generator.normal(size=(2, 4000, 32))
    assert gaussian_with(BatchNormGaussian(32, tau=0.5), raw, np.zeros_like(raw)) == pytest.approx(22.2, abs=0.05)
    found = gaussian_with(BatchNormGaussian(32, tau=0.5), raw, np.log(normal**2))
    assert found == pytest.approx(42.5, abs=0.2)


@pytest.mark.parametrize(("gamma", "floor"), [(0.3, 1.44), (0.4, 2.56), (0.5, 4.0), (0.6, 5.76), (0.7, 7.84)])
def test_floors_of_batch_normalization(gamma, floor):
    assert BatchNormGaussian(32, gamma=gamma).kl_floor == pytest.approx(floor)


@pytest.mark.backends
def test_inference_of_batch_normalization_is_that_of_the_row_alone():
    """Moments of many texts, so that one text alone does not become its own mean."""
    latent = built("batch-norm")
    together, alone = latent.posterior(FEATURES)["mean"], latent.posterior(FEATURES[:1])["mean"]
    assert_close(array(alone), array(together)[:1])
    np.testing.assert_allclose(array(together).std(0), 0.6, rtol=1e-4)  # calibrated to these very features
    assert np.abs(array(alone) - array(latent.beta)).max() > 0.1


@pytest.mark.backends
def test_the_symmetric_form_has_the_moments_of_the_prior():
    latent = built("symmetric", 6)
    for training in (True, False):  # in training by the batch, else by the calibration, here with the same features
        posterior = latent.posterior(FEATURES, training=training)
        mean, variance = array(posterior["mean"]), np.exp(array(posterior["log_variance"]))
        np.testing.assert_allclose(mean.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(mean.var(0) + variance.mean(0), 1, rtol=1e-3)
        assert (mean.var(0) > 0.5 * 0.999).all()
        assert array(latent.kl(posterior)).mean() >= latent.kl_floor
        if training:
            latent.calibrate(FEATURES)


@pytest.mark.parametrize(("delta", "low", "high"), [(0.1, 0.493, 1.772), (0.15, 0.411, 1.986)])
def test_bounds_of_delta(delta, low, high):
    latent = DeltaGaussian(32, delta=delta)
    assert latent.variances == pytest.approx((low, high), abs=6e-4)
    assert latent.kl_floor == pytest.approx(32 * delta)


@pytest.mark.backends
def test_delta_is_the_least_kl_of_every_dimension():
    latent = built(DeltaGaussian(4, delta=0.1))
    terms = array(latent.kl_terms(latent.posterior(10 * FEATURES)))
    assert terms.min() >= 0.1 - 1e-5
    assert terms.min() < 0.1 + 1e-3
    assert terms.max() > 0.3


@pytest.mark.backends
def test_entropy_of_neighbours():
    """Of N(0, I): the same as by all distances in float64, and off the truth by the known bias: none at low dimension,
    some nats at high ones. The bounds are some four deviations of the mean of these draws.
    """
    from scipy.spatial.distance import pdist, squareform
    from scipy.special import psi

    exact = 0.5 * math.log(2 * math.pi * math.e)
    table = [(2, 512, 0.0, 0.13), (8, 512, 0.0, 0.13), (8, 2048, 0.0, 0.13)]
    table += [(32, 32, 4.4, 0.6), (32, 128, 3.5, 0.6), (32, 512, 2.8, 0.5), (32, 2048, 2.3, 0.3)]
    table += [(64, 32, 12.2, 0.9), (64, 128, 10.5, 0.9), (64, 512, 9.3, 0.8), (64, 2048, 8.3, 0.4)]
    for size, n, bias, error in table:
        draws = [np.random.default_rng(i).normal(size=(n, size)).astype("float32") for i in range(max(1, 1024 // n))]
        found = np.array([float(knn_entropy(ops.convert_to_tensor(z))) for z in draws])
        assert abs(found.mean() - size * exact - bias) < error, (size, n)
        distances = squareform(pdist(draws[0].astype("float64"))) + np.diag(np.full(n, np.inf))
        log_ball = size / 2 * math.log(math.pi) - math.lgamma(size / 2 + 1)
        brute = size * np.log(distances.min(axis=1)).mean() + log_ball + psi(n) - psi(1)
        assert found[0] == pytest.approx(brute, abs=5e-3)
    z = ops.convert_to_tensor(draws[0][:32, :32])
    assert float(knn_entropy(2 * z)) == pytest.approx(float(knn_entropy(z)) + 32 * math.log(2), abs=1e-3)
    brute = np.sort(squareform(pdist(draws[0][:32, :32])), axis=1)[:, 3]
    log_ball = 16 * math.log(math.pi) - math.lgamma(17)
    psi = math.log(32) - 1 / 64 - 1 / (12 * 32**2) + np.euler_gamma - 1.5
    assert float(knn_entropy(z, 3)) == pytest.approx(32 * np.log(brute).mean() + log_ball + psi, rel=1e-5)


@pytest.mark.backends
def test_equal_points_have_a_finite_entropy_and_gradient():
    z = np.ones((4, 3), "float32")
    assert math.isfinite(float(knn_entropy(ops.convert_to_tensor(z))))
    assert np.isfinite(derivative(knn_entropy, z)).all()
    with pytest.raises(InputError, match="Received: 4 of 4"):
        knn_entropy(ops.convert_to_tensor(z), 4)


@pytest.mark.backends
def test_entropic_codes_are_standardised_and_pushed_apart():
    latent = built("entropic")
    posterior = latent.posterior(FEATURES, training=True)
    mean = array(posterior["mean"])
    np.testing.assert_allclose(mean.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(mean.var(0), 1, rtol=1e-4)
    assert array(latent.penalty(posterior)) == pytest.approx(-array(knn_entropy(posterior["mean"])), rel=1e-6)
    with pytest.raises(InputError, match="noise"):
        Entropic(4, noise=0.0).log_q(mean, {"mean": mean})


@pytest.mark.backends
def test_every_code_of_a_grid_makes_the_round_trip():
    latent = FiniteScalarQuantized((8, 5, 5, 5), num_slots=1)
    assert latent.num_codes == 1000
    codes = np.arange(1000, dtype="int32")[:, None]
    z = array(latent.codes_to_z(codes))
    assert len(np.unique(z, axis=0)) == 1000
    assert np.abs(z).max() == 1
    np.testing.assert_array_equal(array(latent.z_to_codes(z)), codes)
    latent.build((None, 6))
    posterior = latent.posterior(3 * FEATURES)
    np.testing.assert_allclose(array(latent.codes_to_z(posterior["codes"])), array(posterior["mean"]), atol=1e-6)
    assert array(latent.kl(posterior)) == pytest.approx(math.log(1000), rel=1e-6)


@pytest.mark.backends
def test_a_codebook_follows_the_encoder_and_revives_dead_codes():
    latent = VectorQuantized(6, num_codes=16, num_slots=1, decay=0.8, seed=0)
    latent.build((None, 6))
    latent.head.set_weights([np.eye(6)[None], np.zeros((1, 6))])
    latent.codebook.assign(0.1 * np.random.default_rng(5).normal(size=(16, 6)))  # the same on every backend
    centres = 5 * np.random.default_rng(3).normal(size=(16, 6))
    data = np.repeat(centres, 8, axis=0) + 0.01 * np.random.default_rng(4).normal(size=(128, 6))
    data = data.astype("float32")
    used = []
    for _ in range(60):
        posterior = latent.posterior(data, training=True)
        used.append(len(np.unique(array(posterior["codes"]))))
        latent.sample(posterior, training=True)
    assert used[0] < 12  # random codes: most of them are nobody's nearest
    assert used[-1] == 16
    found = latent.posterior(data)
    # A revived code may share a cluster with another; the rest is at the centres.
    assert np.square(array(found["mean"]) - data).mean() < 0.2 * data.var()
    before = latent.get_weights()
    latent.sample(latent.posterior(data[:4]), training=False)
    for old, new in zip(before, latent.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.backends
def test_gradients_go_straight_through_a_codebook():
    latent = VectorQuantized(4, num_codes=8, num_slots=2, commitment=0.25, seed=0)
    latent.build((None, 2, 2))
    latent.head.set_weights([np.stack([np.eye(2)] * 2), np.zeros((2, 2))])
    x = RNG.normal(size=(3, 2, 2)).astype("float32")
    weights = RNG.normal(size=(3, 4)).astype("float32")
    straight = derivative(lambda x: ops.sum(latent.sample(latent.posterior(x)) * ops.convert_to_tensor(weights)), x)
    assert_close(straight.reshape(3, 4), weights)
    towards = derivative(lambda x: latent.penalty(latent.posterior(x)), x)
    assert_close(towards.reshape(3, 4), 2 * 0.25 * (x.reshape(3, 4) - array(latent.posterior(x)["mean"])) / 3)


@pytest.mark.backends
@pytest.mark.parametrize("name", ["vq", "fsq"])
def test_a_slot_comes_from_its_own_vector(name):
    latent = LATENTS[name]()
    latent.build((None, 2, 6))
    features = 5 * RNG.normal(size=(64, 2, 6)).astype("float32")
    other = features.copy()
    other[:, 1] *= -1
    codes, changed = (array(latent.posterior(x)["codes"]) for x in (features, other))
    np.testing.assert_array_equal(changed[:, 0], codes[:, 0])
    assert np.mean(changed[:, 1] != codes[:, 1]) > 0.3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(0), "`size` must be"),
        (lambda: BatchNormGaussian(4, gamma=1.0), "`gamma` must be above 0 and below 1"),
        (lambda: BatchNormGaussian(4, tau=1.5), "`tau` must be"),
        (lambda: DeltaGaussian(4, delta=0.0), "`delta` must be"),
        (lambda: Entropic(4, noise=-1.0), "`noise` of 0 or more"),
        (lambda: VectorQuantized(5, num_slots=2), "multiple of `num_slots`"),
        (lambda: FiniteScalarQuantized((1, 5)), "`levels` of 2 or more"),
    ],
)
def test_wrong_options(make, message):
    with pytest.raises(InputError, match=message):
        make()
