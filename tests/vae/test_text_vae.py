"""Encoders, decoders, and the estimator on top of them."""

import json
import sys

import keras
import numpy as np
import pytest
from keras import ops

from nlpgen import Bert, BertConfig, TextVAE
from nlpgen.errors import CheckpointCorrupt, CheckpointNotFound, ConfigError, InputError, InputWarning, NlpgenError
from nlpgen.vae import (
    AggressiveEncoder,
    BatchNormGaussian,
    Constant,
    Cyclical,
    Entropic,
    FreeBits,
    Gaussian,
    Linear,
    TwoStage,
    VectorQuantized,
    VonMisesFisher,
)
from nlpgen.vae.decoders import DECODERS
from nlpgen.vae.encoders import ENCODERS, BackboneEncoder
from nlpgen.vae.lines import Lines
from nlpgen.vae.options import check_options
from tests.helpers import array, assert_close, random_weights, untrained
from tests.vae.helpers import LINES, tokenizer

TOKENIZER = tokenizer()
SMALL_BERT = {"vocab_size": len(TOKENIZER.vocab), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
SMALL_BERT |= {"intermediate_size": 16, "max_position_embeddings": 20}
SMALL = {"embedding_size": 6, "hidden_size": 8, "num_layers": 2, "dropout": 0.0}
FORMS = [(decoder, inject) for decoder, cls in DECODERS.items() for inject in cls.injections]


def new_model(latent=None, longest=14, **options):
    """A model with random weights that are not small."""
    model = TextVAE(TOKENIZER, latent or Gaussian(3, seed=0), **SMALL | options).new_model(longest)
    random_weights(model)
    for weight in model.weights:
        if weight.name == "moving_variance":
            weight.assign(np.square(weight.numpy()) + 0.1)
    model.kl_weight.assign(1.0)
    model.encoder_gradient.assign(1.0)
    model.token_bias.assign(np.zeros(len(TOKENIZER.vocab)))
    return model


@pytest.fixture(scope="module")
def trained():
    """A model that knows its lines by heart: with the full weight of the KL, z would keep less than log 40 nats."""
    latent = BatchNormGaussian(8, gamma=0.7)
    vae = TextVAE(
        TOKENIZER,
        latent,
        encoder="cnn",
        decoder="transformer",
        hidden_size=64,
        dropout=0.0,
        annealing=Constant(0.1),
        epochs=80,  # enough that two of five lines come back to the letter
        batch_size=20,
        learning_rate=5e-3,
    )
    return vae.fit(LINES, validation_data=LINES[:10])


@pytest.mark.backends
@pytest.mark.parametrize(("decoder", "inject"), FORMS)
def test_what_is_written_step_by_step_is_what_all_at_once_would_choose(decoder, inject):
    model = new_model(decoder=decoder, inject=inject)
    z = np.random.default_rng(1).normal(size=(4, 3)).astype("float32")
    inputs = {"z": z, "noise": np.zeros((4, 9), "float32")}
    inputs |= {"temperature": np.ones(4, "float32"), "top_p": np.ones(4, "float32")}
    ids = array(model.generate(inputs))
    assert ids.shape == (4, 9)
    read = np.concatenate([np.full((4, 1), TOKENIZER.cls_id), ids[:, :-1]], axis=1).astype("int32")
    logits = array(model.projection(model.decoder(read, z)))
    ended = np.cumsum(ids == TOKENIZER.eos_id, axis=1) - (ids == TOKENIZER.eos_id) > 0
    np.testing.assert_array_equal(logits.argmax(-1)[~ended], ids[~ended])
    assert (ids[ended] == TOKENIZER.eos_id).all()
    assert np.abs(array(model.projection(model.decoder(read, -z))) - logits).max() > 1e-2  # z matters


@pytest.mark.backends
@pytest.mark.parametrize(("decoder", "inject"), FORMS)
def test_later_tokens_padding_and_other_rows_change_nothing(decoder, inject):
    model = new_model(decoder=decoder, inject=inject)
    batch = Lines(TOKENIZER, [LINES[0], LINES[0] + "人"], 14).batch([0, 1])
    z = np.random.default_rng(1).normal(size=(2, 3)).astype("float32")
    both = array(model.token_losses(batch | {"z": z}))
    short = Lines(TOKENIZER, LINES[:1], 14)
    alone = array(model.token_losses(short.batch([0]) | {"z": z[:1]}))
    n = short.lengths[0] - 1
    assert_close(alone[0, :n], both[0, :n])
    assert not both[0, n:].any()
    other = {name: x.copy() for name, x in batch.items()}
    other["token_ids"][0, 5:] = 9
    np.testing.assert_allclose(array(model.token_losses(other | {"z": z}))[0, :4], both[0, :4], rtol=1e-5)


@pytest.mark.backends
@pytest.mark.parametrize(("decoder", "inject"), FORMS)
def test_mixed_precision_is_close_to_float32(decoder, inject):
    """Losses and what is written; the latent stays in float32."""
    options = {"decoder": decoder, "encoder": decoder, "inject": inject, "latent": VonMisesFisher(3, target_kl=1.0)}
    exact = new_model(**options)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = new_model(**options)
    finally:
        keras.config.set_dtype_policy("float32")
    model.set_weights(exact.get_weights())
    batch = Lines(TOKENIZER, LINES[:6], 14).batch(np.arange(6))
    assert keras.backend.standardize_dtype(model.features(batch).dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(model.posterior(batch)["mean_direction"].dtype) == "float32"
    z = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")
    ours, theirs = (array(each.token_losses(batch | {"z": z}, training=True)) for each in (model, exact))
    np.testing.assert_allclose(ours, theirs, rtol=0.05, atol=0.05)
    assert np.isfinite(array(model.objective(model(batch, training=True))))
    one = np.ones(6, "float32")
    ids = array(model.generate({"z": z, "noise": np.zeros((6, 9), "float32"), "temperature": one, "top_p": one}))
    assert ids.shape == (6, 9)


@pytest.mark.backends
@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_padding_and_other_rows_change_no_features(encoder, slots):
    model = new_model(VectorQuantized(6, num_codes=8, num_slots=slots), encoder=encoder)
    if slots > 1:
        model.encoder.pooling.queries.assign(5 * np.random.default_rng(3).normal(size=(slots, 8)))
    batch = Lines(TOKENIZER, [LINES[0], LINES[0] + "人人"], 14).batch([0, 1])
    both = array(model.features(batch))
    alone = array(model.features({name: x[:1, : batch["padding_mask"][0].sum()] for name, x in batch.items()}))
    assert_close(alone[0], both[0])
    assert np.abs(both[0] - both[1]).max() > 1e-3
    assert both.shape == ((2, 8) if slots == 1 else (2, slots, 8))
    if slots > 1:
        assert np.abs(both[:, 0] - both[:, 1]).max() > 1e-2  # each has weights of its own


@pytest.mark.backends
def test_padding_changes_no_features_of_a_pretrained_encoder():
    """Whatever the id of its padding; `Lines` pad with 0, an ordinary token of such a vocabulary."""
    config = BertConfig(**SMALL_BERT, pad_token_id=1)
    encoder = BackboneEncoder(Bert(config))
    encoder.build((None, None))
    random_weights(encoder)
    batch = Lines(TOKENIZER, [LINES[0], LINES[0] + "人人"], 14).batch([0, 1])
    both = array(encoder(**batch))
    alone = array(encoder(**{name: x[:1, : batch["padding_mask"][0].sum()] for name, x in batch.items()}))
    assert_close(alone[0], both[0])
    assert np.abs(both[0] - both[1]).max() > 1e-3


@pytest.mark.backends
@pytest.mark.parametrize("latent", [Gaussian(4), VectorQuantized(4, num_codes=8, num_slots=2)], ids=["one", "slots"])
@pytest.mark.parametrize(("decoder", "inject"), [("lstm", "concat"), ("transformer", "memory"), ("cnn", "conditional")])
def test_every_weight_is_trained(decoder, inject, latent):
    model = new_model(latent, encoder=decoder, decoder=decoder, inject=inject, bag_of_words=0.5)
    batch = Lines(TOKENIZER, LINES, 14).batch(np.arange(40))
    assert untrained(model, batch, model.objective) == []


@pytest.mark.backends
def test_word_dropout_hides_what_the_decoder_reads_in_training_only():
    model = new_model(word_dropout=0.99)
    batch = Lines(TOKENIZER, LINES, 14).batch(np.arange(8)) | {"z": np.ones((8, 3), "float32")}
    plain = array(model.token_losses(batch))
    assert_close(array(model.token_losses(batch)), plain)
    hidden = array(model.token_losses(batch, training=True))
    assert np.abs(hidden - plain).max() > 0.02
    np.testing.assert_allclose(hidden[:, 0], plain[:, 0], rtol=1e-5)  # the start is never hidden


@pytest.mark.backends
def test_terms_of_the_loss():
    model = new_model(bag_of_words=0.5, latent=VonMisesFisher(4, target_kl=2.0, seed=0))
    batch = Lines(TOKENIZER, LINES, 14).batch(np.arange(6))
    terms = {name: array(x) for name, x in model(batch).items()}
    assert terms["kl"] == pytest.approx(2.0, rel=1e-6)
    model.kl_weight.assign(0.25)
    expected = terms["reconstruction"].mean() + 0.25 * 2.0 + 0.5 * terms["bag_of_words"].mean()
    found = array(model.objective({name: ops.convert_to_tensor(x) for name, x in terms.items()}))
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.backends
def test_it_learns_its_lines(trained):
    """A few lines by heart: reconstructions, the way between two, and z that matters."""
    assert trained.history_[-1]["reconstruction"] < 0.3 * trained.history_[0]["reconstruction"]
    again = trained.reconstruct(LINES)
    assert np.mean([a == b for a, b in zip(again, LINES, strict=True)]) > 0.4  # to the letter; by chance none
    path = trained.interpolate(LINES[0], LINES[5], steps=5)
    assert len(path) == 5
    assert [path[0], path[-1]] == trained.reconstruct([LINES[0], LINES[5]])
    assert trained.reconstruct(LINES[0]) == again[0]
    z = trained.encode(LINES)
    assert z.shape == (len(LINES), 8)
    assert_close(trained.encode(LINES[3]), z[3])
    assert trained.decode(z[3]) == again[3]
    # The mean of a dimension has variance gamma², by calibration to the lines.
    np.testing.assert_allclose(z.std(axis=0), 0.7, rtol=0.15)
    texts = trained.sample(6, seed=1)
    assert texts == trained.sample(6, seed=1) != trained.sample(6, seed=2)
    assert set("".join(texts)) <= set("".join(LINES))
    assert trained.sample(6, seed=1, top_p=0.5) != texts
    shifted = trained.shift(LINES[0], towards=LINES[:3], away_from=LINES[:3], strength=2.0)
    assert shifted == again[0]
    assert trained.score(LINES) > -40


def test_sampling_follows_the_softmax():
    """Of one position: shares of 4,000 draws within four standard errors; a nucleus has the likely ones only."""
    from nlpgen.vae.decoding import greedy, nucleus, sampled

    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], "float32"))
    rows = np.tile(logits, (4000, 1)).astype("float32")
    noise = np.random.default_rng(0).random(4000).astype("float32")
    one = np.ones(4000, "float32")
    shares = np.bincount(array(sampled(rows, noise, one, one)), minlength=4) / 4000
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.15, 0.05], atol=4 * np.sqrt(0.25 / 4000))
    shares = np.bincount(array(nucleus(rows, noise, one, 0.75 * one)), minlength=4) / 4000
    np.testing.assert_allclose(shares, [0.625, 0.375, 0, 0], atol=4 * np.sqrt(0.25 / 4000))
    cold = np.bincount(array(sampled(rows, noise, 0.5 * one, one)), minlength=4) / 4000
    expected = np.array([0.5, 0.3, 0.15, 0.05]) ** 2
    np.testing.assert_allclose(cold, expected / expected.sum(), atol=4 * np.sqrt(0.25 / 4000))
    assert (array(greedy(rows[:3], noise, one, one)) == 0).all()


@pytest.mark.backends
def test_equal_calls_give_equal_results(trained, tmp_path):
    """Draws of q(z|x) follow the seed of the call, not what was drawn before; training draws on as if nothing was."""
    posterior, state = trained.posteriors(trained._lines(LINES)), trained.model_.latent.seed_generator.state
    before = array(state)
    first = trained.draw(posterior, seed=3)
    np.testing.assert_array_equal(trained.draw(posterior, seed=3), first)
    np.testing.assert_array_equal(array(state), before)
    several = trained.draw(posterior, seed=3, times=2)
    assert np.isfinite(trained.draw(posterior, seed=2**31 + 5)).all()
    np.testing.assert_array_equal(several[0], first)
    assert np.abs(several[1] - first).max() > 0.1 < np.abs(trained.draw(posterior, seed=4) - first).max()
    assert trained.score(LINES) == trained.score(LINES)
    trained.save(tmp_path / "vae")
    priors = [vae.fit_prior(LINES, "gaussian", seed=1).prior_ for vae in (trained, TextVAE.load(tmp_path / "vae"))]
    trained.fit_prior(LINES, "standard")
    assert_close(priors[0].root, priors[1].root)


@pytest.mark.backends
def test_saved_and_loaded_it_is_the_same(trained, tmp_path):
    trained.save(tmp_path / "vae")
    twin = TextVAE.load(tmp_path / "vae")
    np.testing.assert_array_equal(twin.encode(LINES[:5]), trained.encode(LINES[:5]))
    assert twin.sample(4, seed=3) == trained.sample(4, seed=3)
    assert twin.history_ == trained.history_
    assert twin.get_params()["hidden_size"] == 64
    assert [(type(each), each.value) for each in twin.annealing] == [(Constant, 0.1)]
    twin.save(tmp_path / "vae", dtype="float16")  # takes the place of the old one
    half = TextVAE.load(tmp_path / "vae")
    np.testing.assert_allclose(half.encode(LINES[:5]), trained.encode(LINES[:5]), atol=2e-2)


def test_faults_of_saved_folders(trained, tmp_path):
    with pytest.raises(CheckpointNotFound, match=r"TextVAE\.save"):
        TextVAE.load(tmp_path / "nothing")
    folder = tmp_path / "vae"
    trained.save(folder)
    weights = (folder / "vae.safetensors").read_bytes()
    (folder / "vae.safetensors").write_bytes(weights[:-1] + b"?")
    with pytest.raises(CheckpointCorrupt, match="not what"):
        TextVAE.load(folder)
    about = json.loads((folder / "vae.json").read_text(encoding="utf-8"))
    (folder / "vae.json").write_text(json.dumps(about | {"format_version": 99}), encoding="utf-8")
    with pytest.raises(ConfigError, match="format version 99"):
        TextVAE.load(folder)
    (folder / "vae.safetensors").write_bytes(weights)
    wrong = [{"params": None}, {"params": {"colour": 1}}, {"longest": "x"}, {"history": "x"}, {"latent": "Gaussian"}]
    wrong += [{"latent": {"class": "Unheard", "config": {}}}, {"annealing": [["Never", {}]]}]
    kinds = "flow", "gaussian", "mixture", "score-matching"  # of an unknown kind, or without the arrays of a known one
    wrong += [{"prior": {"kind": kind, "options": {}}} for kind in kinds]
    for each in wrong:
        (folder / "vae.json").write_text(json.dumps(about | each), encoding="utf-8")
        with pytest.raises(ConfigError, match=r"vae\.json is not as TextVAE\.save writes it"):
            TextVAE.load(folder)
    (folder / "vae.json").write_text(json.dumps({k: x for k, x in about.items() if k != "sha256"}), encoding="utf-8")
    with pytest.raises(CheckpointCorrupt, match="not what"):
        TextVAE.load(folder)
    del about["history"]
    (folder / "vae.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(ConfigError, match="KeyError\\('history'\\)"):
        TextVAE.load(folder)


class Unregistered(Gaussian):
    """A user's latent."""


@keras.saving.register_keras_serializable("tests")
class Registered(Gaussian):
    """Another one."""


def test_a_latent_of_one_s_own(tmp_path):
    options = {"encoder": "cnn", "decoder": "cnn", "hidden_size": 8, "epochs": 1}
    vae = TextVAE(TOKENIZER, Registered(3), **options).fit(LINES[:8])
    vae.save(tmp_path / "vae")
    twin = TextVAE.load(tmp_path / "vae")
    assert type(twin.model_.latent) is Registered
    np.testing.assert_array_equal(twin.encode(LINES[:5]), vae.encode(LINES[:5]))
    with pytest.raises(InputError, match="register_keras_serializable"):
        TextVAE(TOKENIZER, Unregistered(3), **options).fit(LINES[:8]).save(tmp_path / "other")


class Spoil(keras.callbacks.Callback):
    """From the second epoch on, the model is made worse at every step."""

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch > 0:
            bias = self.model.projection.bias
            bias.assign(np.random.default_rng(0).normal(0, 5.0, bias.shape))

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


def test_the_epoch_that_is_kept(tmp_path):
    """By the reconstruction where no KL is trained, infinite or not; by those with the full weight of the KL else."""
    options = {"encoder": "cnn", "decoder": "cnn", "hidden_size": 16, "learning_rate": 1e-2, "batch_size": 8}
    data = {"lines": LINES[:16], "validation_data": LINES[:16]}
    vae = TextVAE(TOKENIZER, Entropic(4, noise=0.0), epochs=6, **options).fit(**data)
    losses = [record["validation_reconstruction"] for record in vae.history_]
    assert np.argmin(losses) > 0
    assert -vae.score(LINES[:16]) == pytest.approx(min(losses), rel=1e-5)
    vae.save(tmp_path / "vae")
    text = (tmp_path / "vae" / "vae.json").read_text(encoding="utf-8")
    assert "Infinity" not in text
    assert "NaN" not in text
    # The weight is full behind the last step of the second epoch, which counts alone, worse as it is.
    vae = TextVAE(TOKENIZER, Gaussian(4), annealing=Linear(2), epochs=2, **options)
    first, last = (
        record["validation_reconstruction"] + record["validation_kl"]
        for record in vae.fit(**data, callbacks=[Spoil()]).history_
    )
    assert -vae.score(LINES[:16]) == pytest.approx(last, rel=1e-5)
    assert last > first + 1


def test_a_pretrained_encoder(tmp_path):
    config = BertConfig(**SMALL_BERT)
    bert = Bert(config)
    bert.build()
    bert.tokenizer = TOKENIZER
    before = bert.get_weights()
    vae = TextVAE(TOKENIZER, VectorQuantized(4, num_codes=8, num_slots=2), bert, "cnn", hidden_size=8, epochs=1)
    vae.fit(LINES)
    for old, new in zip(before, bert.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not np.array_equal(before[0], vae.model_.encoder.backbone.get_weights()[0])
    vae.save(tmp_path / "vae")
    np.testing.assert_array_equal(TextVAE.load(tmp_path / "vae").encode(LINES[:5]), vae.encode(LINES[:5]))


@pytest.mark.backends
def test_the_same_seed_gives_the_same_model():
    def losses(seed):
        options = {"hidden_size": 8, "epochs": 2, "seed": seed, "word_dropout": 0.2}
        # PyTorch draws dropout from its own generator.
        options["dropout"] = 0.0 if keras.config.backend() == "torch" else 0.2
        vae = TextVAE(TOKENIZER, Gaussian(2), "cnn", "lstm", **options)
        return [record["loss"] for record in vae.fit(LINES).history_]

    first = losses(1)
    assert losses(1) == first
    assert losses(2) != first


@pytest.mark.backends
def test_a_stopped_run_goes_on(tmp_path):
    """As if it had never stopped, noise, word dropout, schedule and codebook included; and it can end with its best."""

    def new(epochs=4, latent=None, **options):
        latent = latent or VectorQuantized(4, num_codes=8, num_slots=2)
        options = {"hidden_size": 8, "word_dropout": 0.2, "dropout": 0.0, "batch_size": 8} | options
        return TextVAE(TOKENIZER, latent, "cnn", "lstm", annealing=TwoStage(1, rise=2), epochs=epochs, **options)

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    data = {"lines": LINES, "validation_data": LINES[:10]}
    whole, run = new().fit(**data), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        new().fit(**data, callbacks=[Stop()], state=run)
    early = new(epochs=2).fit(**data, state=run)
    assert [record["epoch"] for record in early.history_] == [1, 2]
    again = new().fit(**data, state=run)
    assert [record["epoch"] for record in again.history_] == [1, 2, 3, 4]
    for ours, theirs in zip(again.history_, whole.history_, strict=True):
        assert {**ours, "seconds": 0} == pytest.approx({**theirs, "seconds": 0}, rel=1e-5)
    for ours, theirs in zip(again.model_.get_weights(), whole.model_.get_weights(), strict=True):
        assert_close(ours, theirs)
    with pytest.raises(InputError, match=r"other settings: lines '40 lines.*, now '40 lines"):
        new().fit(LINES[::-1], LINES[:10], state=run)
    with pytest.raises(InputError, match=r"other settings: validation_data '10 lines.*, now None"):
        new().fit(LINES, state=run)
    with pytest.raises(InputError, match=r"other settings: annealing .*'rise': 2.*, now .*'rise': 3"):
        new().set_params(annealing=TwoStage(1, rise=3)).fit(**data, state=run)
    with pytest.raises(InputError, match=r"other settings: word_dropout 0\.2, now 0\.3"):
        new(word_dropout=0.3).fit(**data, state=run)
    with pytest.raises(InputError, match="other settings: latent"):
        new(latent=VectorQuantized(4, num_codes=8, num_slots=2, decay=0.9)).fit(**data, state=run)
    with pytest.raises(InputError, match="AggressiveEncoder cannot be kept"):
        TextVAE(TOKENIZER, annealing=AggressiveEncoder()).fit(LINES, state=run)


def test_all_wrong_options_are_named_at_once():
    vae = TextVAE("tokenizer", "latent", encoder="rnn", decoder="gpt", epochs=0, dropout=1.0, max_length=2, clip=-1)
    with pytest.raises(InputError) as error:
        vae.fit(LINES)
    for name in ("tokenizer", "latent", "encoder", "decoder", "epochs", "dropout", "max_length", "clip"):
        assert f"`{name}`" in str(error.value)
    with pytest.raises(InputError, match="`inject` of the decoder 'lstm' must be one of concat"):
        TextVAE(TOKENIZER, inject="memory").fit(LINES)
    with pytest.raises(InputError, match=r"`dropout` must be .*'0.2'"):
        TextVAE(TOKENIZER, dropout="0.2").fit(LINES)
    with pytest.raises(InputError, match="one line of text or more"):
        TextVAE(TOKENIZER).fit([])
    with pytest.raises(InputError, match=r"`validation_data\[1\]` has no token"):
        TextVAE(TOKENIZER).fit(LINES, validation_data=["白", ""])


@pytest.mark.parametrize(
    "ask",
    [
        lambda vae: vae.encode(LINES),
        lambda vae: vae.decode(np.zeros((1, 32))),
        lambda vae: vae.reconstruct(LINES),
        lambda vae: vae.sample(1),
        lambda vae: vae.interpolate(*LINES[:2]),
        lambda vae: vae.shift(LINES, LINES, LINES),
        lambda vae: vae.score(LINES),
        lambda vae: vae.fit_prior(LINES),
        lambda vae: vae.diagnose(LINES),
        lambda vae: vae.save("nowhere"),
    ],
)
def test_before_fit_every_verb_says_so(ask):
    with pytest.raises(InputError, match="learned nothing yet"):
        ask(TextVAE(TOKENIZER))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": "cnn", "word_dropout": 0.1}, "`word_dropout` changes nothing"),
        ({"latent": Entropic(4), "annealing": Cyclical()}, "`annealing` changes nothing"),
        ({"latent": VectorQuantized(4), "annealing": [FreeBits(2.0)]}, "`annealing` changes nothing"),
        ({"latent": VonMisesFisher(4, target_kl=1.0), "annealing": Linear()}, "`annealing` changes nothing"),
    ],
)
def test_options_that_change_nothing_are_warned_of(options, message):
    with pytest.warns(InputWarning, match=message):
        check_options(TextVAE(TOKENIZER, **options))
    learned = VonMisesFisher(4, concentration=1.0, learned=True)
    check_options(TextVAE(TOKENIZER, learned, word_dropout=0.1, annealing=[Linear(), FreeBits(2.0)]))
    check_options(TextVAE(TOKENIZER, VectorQuantized(4), annealing=TwoStage(1)))  # makes the decoder anew


def test_wrong_inputs(trained):
    for z in (np.zeros((2, 5)), np.full((2, 8), np.nan)):
        with pytest.raises(InputError, match=r"finite z of shape \(n, 8\)"):
            trained.decode(z)
    with pytest.raises(InputError, match=r"must be numbers: .*'hot'"):
        trained.decode(np.zeros(8), temperature="hot")
    with pytest.raises(InputError, match=r"must be numbers: .*'a'"):
        trained.decode(["a"])
    with pytest.raises(InputError, match="`seed` must be"):
        trained.sample(2, seed=-1)
    assert trained.sample(np.int64(2)) == trained.sample(2)
    for ask in (trained.encode, lambda text: trained.shift(LINES, text, LINES), trained.fit_prior, trained.diagnose):
        with pytest.raises(InputError, match=r"must be (a list of strings|a string)|has no token"):
            ask(3)
    for ask in (lambda x: trained.shift(LINES, LINES, x), trained.fit_prior, trained.diagnose):
        with pytest.raises(InputError, match=r"must be a list of strings\. Received: str"):
            ask(LINES[0])
    with pytest.raises(InputError, match=r"lines\[1\]. has no token"):
        trained.encode(["白", ""])
    with pytest.raises(InputError, match="`n` must be"):
        trained.sample(0)
    with pytest.raises(InputError, match="`kind` must be one of 'standard'"):
        trained.fit_prior(LINES, "flow")
    with pytest.raises(InputError, match="CodePrior is a prior of discrete latents"):
        trained.fit_prior(LINES, "codes")
    with pytest.raises(InputError, match=r"'gaussian' has no colour\. It has: seed, covariance"):
        trained.fit_prior(LINES, "gaussian", colour=1)
    with pytest.warns(InputWarning, match=r"1 of 1 `lines` have more .*\(none of the training was longer\)") as found:
        trained.reconstruct(["白" * 50])
    assert found[0].filename == __file__
    with pytest.warns(InputWarning, match="2 of 5 tokens are unknown to the tokenizer"):
        trained.encode(["白龘日", "依龘"])


def test_a_prior_without_its_package_says_so_first(trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    with pytest.raises(NlpgenError, match="needs scikit-learn"):
        trained.fit_prior(["no line is read before"], "mixture")


@pytest.mark.parametrize("latent", [VonMisesFisher(4, target_kl=2.0), BatchNormGaussian(4), Entropic(4)])
def test_batch_normalization_needs_two_texts(latent):
    for lines, batch_size in ((LINES[:8], 1), (LINES[:1], 8)):
        vae = TextVAE(TOKENIZER, latent, **SMALL | {"batch_size": batch_size, "epochs": 1})
        with pytest.raises(InputError, match="two texts in a batch"):
            vae.fit(lines)
    plain = VonMisesFisher(4, target_kl=2.0, batch_norm=False)
    TextVAE(TOKENIZER, plain, **SMALL | {"batch_size": 1, "epochs": 1}).fit(LINES[:2])
