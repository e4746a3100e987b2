"""How much the KL counts while a text auto-encoder is trained: callbacks for `TextVAE.fit`.

Times are in epochs, and may be fractions of one. Several callbacks can be given together, one schedule at most.
"""

import inspect

import keras
import numpy as np

from nlpgen.errors import InputError
from nlpgen.vae.autoencoder import FORMS, EncoderTrainer


class Schedule(keras.callbacks.Callback):
    """Base of the schedules: sets `kl_weight` of the model before every batch, to `weight(epochs so far, of all)`."""

    def weight(self, time, epochs):
        """The weight of the KL.

        Args:
            time: epochs since the start, a float.
            epochs: how many there will be.
        """
        raise NotImplementedError

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        time = self._epoch + batch / self.params["steps"]
        self.model.kl_weight.assign(float(self.weight(time, self.params["epochs"])))


class Constant(Schedule):
    """The same weight always; one below 1 is a β-VAE that keeps more in z.

    >>> Constant(0.5).weight(3, 10)
    0.5
    """

    def __init__(self, value=1.0):
        super().__init__()
        self.value = _not_negative("value", value)

    def weight(self, time, epochs):
        return self.value


class Linear(Schedule):
    """From `start` to `end` in a straight line over some epochs, then `end`.

    >>> [Linear(10).weight(time, 20) for time in (0, 5, 10, 15)]
    [0.0, 0.5, 1.0, 1.0]
    """

    def __init__(self, epochs=10, start=0.0, end=1.0):
        super().__init__()
        self.epochs = _positive("epochs", epochs)
        self.start, self.end = _not_negative("start", start), _not_negative("end", end)

    def weight(self, time, epochs):
        return self.start + (self.end - self.start) * min(time / self.epochs, 1.0)


class Cyclical(Schedule):
    """Up and down again, several times: in each cycle `zero` of it at 0, `rise` of it in a straight line to 1, the rest
    at 1 (Fu et al., 2019, https://arxiv.org/abs/1903.10145; with `zero=0.5, rise=0.25` as Li et al., 2020,
    https://arxiv.org/abs/2004.04092).

    Args:
        cycles: how many.
        zero, rise: shares of a cycle.
        epochs: in which all cycles take place, after which the weight is 1; those of the training by default.

    >>> [Cyclical(2, zero=0.5, rise=0.25).weight(time, 8) for time in (0, 2, 2.5, 3, 3.9, 4, 7, 8)]
    [0.0, 0.0, 0.5, 1.0, 1.0, 0.0, 1.0, 1.0]
    """

    def __init__(self, cycles=4, zero=0.0, rise=0.5, epochs=None):
        super().__init__()
        if not (zero >= 0 and rise >= 0 and zero + rise <= 1):
            raise InputError(f"`zero` and `rise` must be shares of a cycle. Received: zero={zero!r}, rise={rise!r}")
        self.cycles, self.zero, self.rise = _positive("cycles", cycles), zero, rise
        self.epochs = None if epochs is None else _positive("epochs", epochs)

    def weight(self, time, epochs):
        share = time / (self.epochs or epochs) * self.cycles
        if share >= self.cycles:
            return 1.0
        place = share % 1.0 - self.zero
        if place < 0:
            return 0.0
        return min(place / self.rise, 1.0) if self.rise else 1.0


class FreeBits(keras.callbacks.Callback):
    """A KL up to `nats` costs nothing; see `nlpgen.vae.autoencoder.free_bits`.

    Args:
        nats: in all.
        form: `"sentence"`, `"dimension"` or `"batch"`; the three are often confused, and differ much: the first lets a
            batch keep all its nats in one dimension, the second wants some in every dimension of every text.
    """

    def __init__(self, nats, form="dimension"):
        super().__init__()
        if form not in FORMS:
            raise InputError(f"`form` must be one of {', '.join(map(repr, FORMS))}. Received: {form!r}")
        self.nats, self.form = _positive("nats", nats), form

    def set_model(self, model):
        super().set_model(model)
        model.free_bits = self.nats, self.form


class AggressiveEncoder(keras.callbacks.Callback):
    """Before every step of the decoder the encoder is trained alone until it no longer gets better, so that it does
    not lag behind (He et al., 2019, https://arxiv.org/abs/1901.05534).

    It ends when the mutual information of texts and z, measured after every epoch, falls; then both are trained
    together. `TextVAE.fit` says in `params` how to draw a batch and to measure.

    Args:
        patience: steps over whose mean loss it is judged whether the encoder gets better.
        most: steps of the encoder before one of the decoder, at most.

    Attributes:
        active: whether it goes on.
        steps: how many steps the encoder had alone.
    """

    def __init__(self, patience=15, most=100):
        super().__init__()
        self.patience, self.most = _count("patience", patience), _count("most", most)

    def on_train_begin(self, logs=None):
        if "draw_batch" not in self.params:
            raise InputError("AggressiveEncoder works in `TextVAE.fit`, which gives it batches.")
        self.active, self.steps, self._best = True, 0, -np.inf
        self.trainer = EncoderTrainer(self.model)
        optimizer = self.model.optimizer
        self.trainer.compile(type(optimizer).from_config(optimizer.get_config()), jit_compile=self.trainer.jit_compile)
        self.model.encoder_gradient.assign(0.0)

    def on_train_batch_begin(self, batch, logs=None):
        if not self.active:
            return
        self.trainer.optimizer.learning_rate = float(self.model.optimizer.learning_rate)
        before, losses = np.inf, []
        for _ in range(self.most):
            losses.append(self.trainer.train_on_batch(self.params["draw_batch"](), return_dict=True)["loss"])
            self.steps += 1
            if len(losses) == self.patience:
                if np.mean(losses) >= before:
                    return
                before, losses = np.mean(losses), []

    def on_epoch_end(self, epoch, logs=None):
        if not self.active:
            return
        information = self.params["mutual_information"]()
        if information < self._best:
            self.active = False
            self.model.encoder_gradient.assign(1.0)
        self._best = information

    def on_train_end(self, logs=None):
        self.model.encoder_gradient.assign(1.0)


class TwoStage(Schedule):
    """First an auto-encoder without KL, then a new decoder, a rising KL and free bits: FBP (Li et al., 2019,
    https://arxiv.org/abs/1909.00868).

    Args:
        pretraining: epochs of the auto-encoder, a whole number.
        rise: epochs in which the weight then goes from 0 to 1.
        nats, form: see `FreeBits`.
    """

    def __init__(self, pretraining, rise=10, nats=8.0, form="dimension"):
        super().__init__()
        self.pretraining, self.rise = _count("pretraining", pretraining), _positive("rise", rise)
        self.nats, self.form = nats, form
        self._free_bits = FreeBits(nats, form)

    def set_model(self, model):
        super().set_model(model)
        self._free_bits.set_model(model)

    def on_train_begin(self, logs=None):
        self._decoder = [layer.get_weights() for layer in self._second_half()]

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if epoch == self.pretraining:
            for layer, weights in zip(self._second_half(), self._decoder, strict=True):
                layer.set_weights(weights)
            for variable in self.model.optimizer.variables:
                if variable.path.split("/")[-1] not in ("iteration", "learning_rate"):
                    variable.assign(np.zeros(variable.shape))

    def weight(self, time, epochs):
        return min(max(time - self.pretraining, 0.0) / self.rise, 1.0)

    def _second_half(self):
        return [layer for layer in (self.model.decoder, self.model.projection, self.model.bag) if layer is not None]


ANNEALING = {cls.__name__: cls for cls in (Constant, Linear, Cyclical, FreeBits, AggressiveEncoder, TwoStage)}


def described(callback):
    """`[class, arguments]` of one of `ANNEALING`, as JSON; `[class]` of another callback."""
    name = type(callback).__name__
    if type(callback) is not ANNEALING.get(name):
        return [name]
    return [name, {key: getattr(callback, key) for key in inspect.signature(type(callback)).parameters}]


def _count(name, value):
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"`{name}` must be a whole number, 1 or more. Received: {value!r}")
    return value


def _positive(name, value):
    if not isinstance(value, int | float) or not value > 0:
        raise InputError(f"`{name}` must be above 0. Received: {value!r}")
    return value


def _not_negative(name, value):
    if not isinstance(value, int | float) or not value >= 0:
        raise InputError(f"`{name}` must be 0 or more. Received: {value!r}")
    return float(value)
