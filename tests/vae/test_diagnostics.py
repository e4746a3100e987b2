"""What `diagnose` measures on a model that uses its latent, and on the same model when it no longer does."""

import math
import sys
import warnings

import keras
import numpy as np
import pytest

from nlpgen import TextVAE
from nlpgen.errors import CollapseWarning, InputError, NlpgenError, OutputError
from nlpgen.vae import Constant, Entropic, FiniteScalarQuantized, Gaussian
from nlpgen.vae.latents import knn_entropy
from nlpgen.vae.priors import Standard
from tests.helpers import array, random_weights
from tests.vae.helpers import DENSITIES, LATENTS, LINES, tokenizer

OPTIONS = {"encoder": "cnn", "decoder": "cnn", "hidden_size": 48, "dropout": 0.0, "batch_size": 20}


@pytest.fixture(scope="module")
def vae():
    return TextVAE(tokenizer(), Gaussian(6), annealing=Constant(0.2), epochs=60, learning_rate=1e-2, **OPTIONS).fit(
        LINES, validation_data=LINES[:10]
    )


@pytest.mark.backends
def test_a_latent_in_use(vae, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapseWarning)
        found = vae.diagnose(LINES, samples=20, generated=60)
    assert found.shuffle_gap > 3
    assert found.shuffle_error < found.shuffle_gap
    assert found.gap_by_position.sum() == pytest.approx(found.shuffle_gap, rel=0.2)  # all lines are almost as long
    assert found.bound == pytest.approx(found.reconstruction + found.kl)
    assert found.bound == pytest.approx(-vae.score(LINES), rel=1e-5)  # of the same draw of z
    assert found.nll < found.bound
    tokens = sum(len(line) + 1 for line in LINES)
    assert found.num_tokens == tokens
    assert found.perplexity == pytest.approx(math.exp(found.nll * len(LINES) / tokens))
    assert found.kl_terms.sum() == pytest.approx(found.kl, rel=1e-5)
    assert 1 < found.mi <= math.log(len(LINES)) == found.mi_ceiling
    assert found.marginal_kl == pytest.approx(found.kl - found.mi)
    assert 1 <= found.active_units <= 6
    assert 0 < found.exact <= found.token_f1 <= 1
    assert found.forward_perplexity > 1
    assert 0 < found.distinct_1 < found.distinct_2 <= 1
    text = found.report()
    for words in ("at most log 40 = 3.69", "shuffle gap", "NLL", "self-BLEU", "0: the decoder ignores z"):
        assert words in text
    assert "20 samples, under the latent's own prior" in text
    assert "60   from the latent's own prior" in text
    assert f"KL by dimension     {found.kl_terms.min():.3f} " in text
    found.plot(tmp_path / "vae.png")
    assert (tmp_path / "vae.png").read_bytes().startswith(b"\x89PNG")
    more = vae.diagnose(LINES, samples=200, generated=0)
    assert vae.diagnose(LINES, samples=200, generated=0).report() == more.report()
    assert more.nll < found.nll + 0.05  # monotone in the number of samples, up to their noise
    assert math.isnan(more.self_bleu)


@pytest.mark.backends
def test_a_latent_that_nobody_reads_is_warned_of(vae):
    """Every text gets the prior as its posterior: KL and information are 0, all bounds are one, and z makes no odds."""
    latent = vae.model_.latent
    before = latent.get_weights()
    latent.set_weights([np.zeros_like(weight) for weight in before])
    kernel = vae.model_.decoder.widen.get_weights()
    try:
        cut = kernel[0].copy()
        cut[-6:] = 0  # what reads z, beside the embeddings
        vae.model_.decoder.widen.set_weights([cut, kernel[1]])
        with pytest.warns(CollapseWarning, match=r"ignores the latent.* anneal the KL"):
            found = vae.diagnose(LINES, samples=3, generated=0)
    finally:
        latent.set_weights(before)
        vae.model_.decoder.widen.set_weights(kernel)
    assert found.kl == pytest.approx(0, abs=1e-6)
    assert found.mi == pytest.approx(0, abs=1e-5)
    assert found.nll == pytest.approx(found.bound, rel=1e-5) == found.reconstruction
    assert abs(found.shuffle_gap) < 1e-4
    assert found.active_units == 0


def test_a_fitted_prior_is_that_of_the_draws(vae):
    """Not of the means, which are narrower: the covariance is theirs and the posteriors' own; the bound is better."""
    own, latent = vae.diagnose(LINES, generated=0), vae.model_.latent
    try:
        vae.fit_prior(LINES * 50, "gaussian")
        mean, spread = own.means()[0], array(latent.spread(own._posterior))
        expected = np.cov(mean.T, bias=True) + np.diag((spread**2).mean(axis=0))
        np.testing.assert_allclose(np.cov(vae.prior_.sample(20_000).T), expected, atol=0.1 * expected.max())
        fitted = vae.diagnose(LINES, generated=10)
        assert fitted.nll < own.nll
        assert "under GaussianFit: may exceed the bound" in fitted.report()
        assert "10   from the fitted GaussianFit" in fitted.report()
        vae.prior_.root = 1e-4 * vae.prior_.root
        assert vae.diagnose(LINES, generated=0).perplexity == math.inf
    finally:
        vae.fit_prior(LINES, "standard")


def untrained(latent):
    """With random weights that are not small."""
    vae = TextVAE(tokenizer(), latent, encoder="cnn", decoder="cnn", hidden_size=8, embedding_size=8)
    vae.longest_, vae.history_, vae._methods = 14, [], {}
    vae.model_ = vae.new_model(vae.longest_)
    random_weights(vae.model_)
    vae.prior_ = Standard(vae.model_.latent)
    return vae


# The symmetric form has posteriors so wide that 100 samples are too few for its KL.
@pytest.mark.parametrize("name", [name for name in DENSITIES if name != "symmetric"])
def test_the_likelihood_of_a_decoder_that_ignores_z_is_its_reconstruction(name):
    """End to end: p(x|z) = p(x), so the bound is worse by the KL, and the importance-weighted one not at all.

    Within a quarter of the KL, of 100 samples; a constant that is missing in q or p would be in it as a whole.
    """
    vae = untrained(Entropic(4, noise=0.7) if name == "entropic" else LATENTS[name]())
    for weight in vae.model_.latent.weights:
        if weight.name in ("moving_variance", "average_variance"):
            weight.assign(np.ones(weight.shape))
        elif len(weight.shape) > 1 and not weight.path.endswith("seed_generator_state"):
            weight.assign(0.05 * weight.numpy())
    kernel, bias = vae.model_.decoder.widen.get_weights()
    kernel[-4:] = 0  # what reads z
    vae.model_.decoder.widen.set_weights([kernel, bias])
    data = vae._lines(LINES[:16])
    losses, others = (vae.token_losses(data, x * np.ones((16, 4))) for x in (0, 1))
    np.testing.assert_array_equal(np.concatenate(losses), np.concatenate(others))
    vae.token_losses = lambda data, z: losses  # computed once
    with pytest.warns(CollapseWarning):
        found = vae.diagnose(LINES[:16], samples=100, generated=0)
    assert found.kl > 0.25
    assert found.nll == pytest.approx(found.reconstruction, abs=0.25 * found.kl)


def test_the_entropy_gap_is_to_as_many_draws_of_the_prior():
    """Of codes that no training has spread it is above 0."""
    vae = untrained(Entropic(4, noise=0.1))
    vae.model_.latent.calibrate(array(vae.model_.features(vae._lines(LINES).batch(np.arange(40)))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        found = vae.diagnose(LINES, samples=1, generated=0, seed=2)
    z = vae.draw(found._posterior, seed=2)
    normal = np.random.default_rng(2).normal(size=z.shape).astype("float32")
    expected = float(knn_entropy(keras.ops.convert_to_tensor(normal))) - float(
        knn_entropy(keras.ops.convert_to_tensor(z))
    )
    assert found.entropy_gap == pytest.approx(expected, abs=1e-4)
    assert found.entropy_gap > 0.1
    assert "entropy gap" in found.report()


def test_points_have_no_kl(tmp_path):
    """Neither report nor picture shows that of an auto-encoder without noise, and nothing warns."""
    vae = untrained(Entropic(4, noise=0.0))
    vae.model_.latent.calibrate(array(vae.model_.features(vae._lines(LINES).batch(np.arange(40)))))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", CollapseWarning)
        found = vae.diagnose(LINES, samples=1, generated=0)
        assert "KL by dimension" not in found.report()
        assert math.isnan(found.nll)
        found.plot(tmp_path / "points.png")
    assert (tmp_path / "points.png").stat().st_size > 1000


def test_pictures_that_cannot_be_written(vae, tmp_path, monkeypatch):
    found = vae.diagnose(LINES, samples=1, generated=0)
    found.plot(tmp_path / "vae.pdf")
    assert (tmp_path / "vae.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(OutputError, match="there is no folder"):
        found.plot(tmp_path / "missing" / "vae.png")
    with pytest.raises(OutputError, match=r"must end in one of .*\.png"):
        found.plot(tmp_path / "vae.xyz")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NlpgenError, match="needs matplotlib"):
        found.plot(tmp_path / "vae.png")


def test_codes_and_deterministic_codes(vae):
    codes = TextVAE(tokenizer(), FiniteScalarQuantized((3, 2), num_slots=3), epochs=2, **OPTIONS).fit(LINES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        found = codes.diagnose(LINES, samples=5, generated=0)
        codes.fit_prior(LINES, "codes", hidden_size=16, num_layers=1, epochs=20, learning_rate=1e-2)
        better = codes.diagnose(LINES, samples=5, generated=0)
    assert found.kl == pytest.approx(3 * math.log(6), rel=1e-6)
    assert found.nll == pytest.approx(found.bound, rel=1e-5)  # log p(x|z) + log p(z) of the codes of the text
    assert better.nll < found.nll
    assert 1 <= found.code_perplexity <= 6
    assert "codes in use" in found.report()
    exact = TextVAE(tokenizer(), Entropic(4, noise=0.0), epochs=1, **OPTIONS).fit(LINES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        found = exact.diagnose(LINES, generated=0)
    assert math.isnan(found.nll)
    assert found.reconstruction > 0


def test_wrong_options(vae):
    with pytest.raises(InputError, match="samples=0"):
        vae.diagnose(LINES, samples=0)
    with pytest.raises(InputError, match="`seed` must be"):
        vae.diagnose(LINES, seed=-1)
    with pytest.raises(InputError, match="two lines"):
        vae.diagnose(LINES[:1])
