"""Schedules by their formulas, free bits, and the callbacks that train in stages."""

import keras
import numpy as np
import pytest
from keras import ops

from nlpgen.errors import InputError
from nlpgen.vae import AggressiveEncoder, Constant, Cyclical, FreeBits, Gaussian, Linear, TextVAE, TwoStage
from nlpgen.vae.annealing import Schedule
from nlpgen.vae.autoencoder import free_bits
from tests.vae.helpers import LINES, derivative, tokenizer


def test_cyclical_is_fu_s_function():
    """Four cycles of which half rises, as `frange_cycle_linear` of the authors computes it, at any number of steps."""
    steps, cycles, rise = 200, 4, 0.5
    expected, period = np.ones(steps), steps / cycles
    for cycle in range(cycles):
        value, i = 0.0, 0
        while value <= 1 and int(i + cycle * period) < steps:
            expected[int(i + cycle * period)] = value
            value, i = value + 1 / (period * rise), i + 1
    found = [Cyclical(cycles, rise=rise).weight(step / 20, 10) for step in range(steps)]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_cyclical_with_a_zero_phase_ends():
    schedule = Cyclical(cycles=1, zero=0.5, rise=0.25, epochs=4)
    assert [schedule.weight(time, 10) for time in (0, 1.9, 2.5, 3, 3.5, 4, 9)] == [0, 0, 0.5, 1, 1, 1, 1]


def test_two_stages():
    schedule = TwoStage(3, rise=10)
    assert [schedule.weight(time, 20) for time in (0, 2.9, 3, 8, 13, 19)] == [0, 0, 0, 0.5, 1, 1]


@pytest.mark.backends
def test_free_bits_by_hand():
    kl = np.array([[0.1, 3.0], [0.5, 0.0]], "float32")
    found = [float(free_bits(ops.convert_to_tensor(kl), 1.0, form)) for form in ("sentence", "dimension", "batch")]
    assert found == pytest.approx([(3.1 + 1) / 2, (0.5 + 3 + 0.5 + 0.5) / 2, 0.5 + 1.5])
    assert float(free_bits(ops.convert_to_tensor(kl))) == pytest.approx(kl.sum(axis=1).mean())
    # What is below its least value has no gradient.
    gradients = {form: derivative(lambda x, f=form: free_bits(x, 1.0, f), kl) for form in ("sentence", "dimension")}
    np.testing.assert_allclose(gradients["sentence"], [[0.5, 0.5], [0, 0]])
    np.testing.assert_allclose(gradients["dimension"][0], [0, 0.5])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-1), "`value` must be 0 or more"),
        (lambda: Linear(0), "`epochs` must be above 0"),
        (lambda: Cyclical(zero=0.7, rise=0.5), "shares of a cycle"),
        (lambda: FreeBits(4, "both"), "`form` must be one of"),
        (lambda: TwoStage(1.5), "`pretraining` must be a whole number"),
        (lambda: AggressiveEncoder(most=0), "`most` must be a whole number"),
    ],
)
def test_wrong_options(make, message):
    with pytest.raises(InputError, match=message):
        make()


class Watch(keras.callbacks.Callback):
    """Keeps what the model has at every batch."""

    def __init__(self):
        super().__init__()
        self.weights, self.encoders, self.decoders = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(float(self.model.kl_weight.numpy()))
        self.encoders.append(np.array(self.model.encoder.widen.kernel.numpy()))
        self.decoders.append(np.array(self.model.decoder.widen.kernel.numpy()))


def vae(**options):
    options = {
        "encoder": "cnn",
        "decoder": "cnn",
        "hidden_size": 8,
        "embedding_size": 8,
        "dropout": 0.0,
        "batch_size": 8,
        "epochs": 4,
    } | options
    return TextVAE(tokenizer(), latent=Gaussian(4), **options)


@pytest.mark.backends
def test_schedules_reach_the_model():
    watch = Watch()
    vae(annealing=[Linear(2), FreeBits(2.0)]).fit(LINES[:16], callbacks=[watch])
    assert watch.weights == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1, 1, 1])


@pytest.mark.backends
def test_the_aggressive_encoder_trains_the_encoder_alone():
    """While it is active, a step of `fit` moves the decoder only, and many steps before it the encoder only."""
    aggressive, watch = AggressiveEncoder(patience=2, most=4), Watch()
    model = vae(epochs=2, annealing=aggressive).fit(LINES[:16], callbacks=[Before(watch), watch])
    assert aggressive.steps >= 2 * 2
    assert len(watch.encoders) == len(watch.before) == 4
    active = watch.active
    assert active[0]
    for i, (before, after) in enumerate(zip(watch.before, watch.encoders, strict=True)):
        assert np.array_equal(before, after) == active[i]
    for before, after in zip(watch.before_decoder[1:], watch.decoders, strict=False):
        np.testing.assert_array_equal(before, after)  # the encoder's own steps leave it
    assert not np.array_equal(watch.decoders[0], watch.decoders[1])
    assert float(model.model_.encoder_gradient.numpy()) == 1


class Before(keras.callbacks.Callback):
    """Keeps the kernels just before the step of `fit`, behind those of the encoder alone."""

    def __init__(self, watch):
        super().__init__()
        self.watch = watch
        watch.before, watch.before_decoder, watch.active = [], [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.watch.before.append(np.array(self.model.encoder.widen.kernel.numpy()))
        self.watch.before_decoder.append(np.array(self.model.decoder.widen.kernel.numpy()))
        self.watch.active.append(float(self.model.encoder_gradient.numpy()) == 0)


def test_the_second_stage_begins_with_a_new_decoder():
    watch, stages = Watch(), TwoStage(2, rise=1, nats=2.0)
    start = []

    class Start(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            start.append(np.array(self.model.decoder.widen.kernel.numpy()))

    vae(annealing=stages).fit(LINES[:16], callbacks=[watch, Start()])
    assert watch.weights == pytest.approx([0, 0, 0, 0, 0, 0.5, 1, 1])
    np.testing.assert_array_equal(start[0], start[2])
    assert not np.array_equal(start[0], start[1])
    assert not np.array_equal(watch.encoders[0], watch.encoders[3])


def test_outside_of_text_vae_the_aggressive_encoder_says_what_it_needs():
    aggressive = AggressiveEncoder()
    aggressive.set_params({"steps": 1, "epochs": 1})
    with pytest.raises(InputError, match=r"TextVAE\.fit"):
        aggressive.on_train_begin()


def test_only_one_schedule():
    assert issubclass(TwoStage, Schedule)
    with pytest.raises(InputError, match="one schedule at most"):
        vae(annealing=[Linear(), Cyclical()]).fit(LINES[:4])
