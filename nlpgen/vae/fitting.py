"""The training loop of text auto-encoders."""

import hashlib
import math
import time

import keras
import numpy as np

from nlpgen.errors import InputError, TrainingDiverged
from nlpgen.training import KeptRun, WarmupStableDecay
from nlpgen.vae.annealing import AggressiveEncoder, FreeBits, Schedule, described
from nlpgen.vae.information import mutual_information
from nlpgen.vae.options import OBJECTS

CALIBRATION = 2048  # texts whose features give the moments of batch normalization
FREE = ("epochs", "patience", "verbose")  # what a run that goes on may change
MEASURED = 500  # texts whose mutual information with z the aggressive encoder is judged by


def train(vae, data, held_out, callbacks, state=None):
    """Train the model of a `TextVAE` and write its `history_`; see `TextVAE.fit`.

    Args:
        vae: with a new `model_`.
        data, held_out: `Lines`; `held_out` may be `None`.
        callbacks: of Keras, schedules included.
        state: a folder, or `None`.
    """
    model, generator = vae.model_, np.random.default_rng(vae.seed)
    if model.latent.norm is not None and min(vae.batch_size, len(data)) < 2:
        raise InputError(
            f"{type(model.latent).__name__} is batch-normalised, which needs two texts in a batch. Received: "
            f"batch_size={vae.batch_size} and {len(data)} lines. A sphere can do without: batch_norm=False."
        )
    steps = len(data.shuffled(vae.batch_size, generator))
    total = vae.epochs * steps
    schedule = WarmupStableDecay(vae.learning_rate, total, total // 20, total // 3)
    optimizer = keras.optimizers.Adam(0.0, global_clipnorm=vae.clip)
    model.compile(optimizer, jit_compile=model.jit_compile)
    optimizer.build(model.trainable_variables)  # or TensorFlow traces the first step twice
    measured = (held_out or data).part(MEASURED)
    params = {
        "epochs": vae.epochs,
        "steps": steps,
        "draw_batch": lambda: data.batch(generator.choice(len(data), min(vae.batch_size, len(data)), False)),
        "mutual_information": lambda: _information(vae, measured),
    }
    listeners = keras.callbacks.CallbackList(callbacks, model=model)
    listeners.set_params(params)
    schedules = [each for each in callbacks if isinstance(each, Schedule)]

    def weight(epochs):
        """Of the KL when so many epochs are over."""
        return max([each.weight(epochs, vae.epochs) for each in schedules], default=1.0)

    def worth(record):
        """What epochs are compared by: first whether the KL had its full weight at the end, then what is minimised."""
        reached = max(record["kl_weight"], weight(record["epoch"]))  # at the last step, or just behind it
        kl = record["validation_kl"] if model.latent.kl_in_loss else 0.0
        return reached >= weight(vae.epochs) - 1e-6, -record["validation_reconstruction"] - kl

    listeners.on_train_begin()  # before the state is read: a schedule may keep the first weights
    kept, best = None, None
    if state is not None:
        kept = KeptRun(state, model, generator, _settings(vae, data, held_out, callbacks))
        vae.history_, found = kept.resumed()
        best = None if found is None else (worth(vae.history_[found[0] - 1]), *found)
    for epoch in range(len(vae.history_), vae.epochs):
        if best is not None and vae.patience is not None and best[0][0] and epoch - best[1] >= vae.patience:
            break
        listeners.on_epoch_begin(epoch)
        record = _epoch(vae, epoch, data, generator, schedule, listeners)
        if held_out is not None:
            terms = vae.terms(held_out)
            record |= {f"validation_{name}": float(values.mean()) for name, values in terms.items()}
            if best is None or worth(record) > best[0]:
                best = worth(record), epoch + 1, model.get_weights()
        record = {name: x for name, x in record.items() if math.isfinite(x)}  # q of a point has no KL
        vae.history_.append(record)
        listeners.on_epoch_end(epoch, record)
        if vae.verbose:
            print("  ".join(f"{name} {x:.4g}" for name, x in record.items()), flush=True)
        if kept is not None:
            kept.save(vae.history_, best is not None and best[1] == epoch + 1)
    listeners.on_train_end()
    if best is not None:
        model.set_weights(best[2])


def _settings(vae, data, held_out, callbacks):
    """What must be equal for a stopped run to go on, as JSON."""
    if any(isinstance(each, AggressiveEncoder) for each in callbacks):
        raise InputError("A run with AggressiveEncoder cannot be kept in `state`. Leave out one of them.")
    values = {name: value for name, value in vae.get_params().items() if name not in (*OBJECTS, *FREE)}
    latent, encoder = vae.model_.latent, vae.encoder
    return values | {
        "lines": _fingerprint(data),
        "validation_data": None if held_out is None else _fingerprint(held_out),
        "latent": [type(latent).__name__, {k: v for k, v in latent.get_config().items() if k != "name"}],
        "encoder": encoder if isinstance(encoder, str) else encoder.model_type,
        "annealing": [described(each) for each in callbacks if isinstance(each, Schedule | FreeBits)],
    }


def _fingerprint(data):
    return f"{len(data)} lines, SHA-256 {hashlib.sha256(repr(data.rows).encode()).hexdigest()[:16]}"


def _epoch(vae, epoch, data, generator, schedule, listeners):
    model, begin, sums = vae.model_, time.perf_counter(), {}
    batches = data.shuffled(vae.batch_size, generator)
    for step, batch in enumerate(batches):
        listeners.on_train_batch_begin(step)
        model.optimizer.learning_rate = float(schedule(epoch * len(batches) + step))
        logs = model.train_on_batch(batch, return_dict=True)
        if not math.isfinite(logs["loss"]):
            raise TrainingDiverged(
                f"The loss is {logs['loss']} in epoch {epoch + 1} with learning_rate={vae.learning_rate}. "
                "Try a lower one."
            )
        sums = {name: sums.get(name, 0.0) + float(value) / len(batches) for name, value in logs.items()}
        listeners.on_train_batch_end(step, logs)
    seconds = time.perf_counter() - begin
    if model.latent.norm is not None:
        some = data.part(CALIBRATION)
        model.latent.calibrate(vae.over_rows(some, lambda batch: vae.compute("features", batch)))
    return {"epoch": epoch + 1, **sums, "kl_weight": float(model.kl_weight.numpy()), "seconds": seconds}


def _information(vae, data):
    posterior = vae.posteriors(data)
    return mutual_information(vae.model_.latent, posterior, vae.draw(posterior))


def draw_weights(model, seed):
    """Draw all kernels and tables anew from normal distributions with the deviation that they have: the same seed gives
    the same on every backend. The kernels of LSTMs, which Keras draws orthogonal, are no longer.
    """
    generator = np.random.default_rng(seed)
    backbone = getattr(model.encoder, "backbone", None)
    pretrained = {id(weight) for weight in (() if backbone is None else backbone.weights)}
    for weight in model.weights:  # a codebook is none of the trainable ones
        if id(weight) not in pretrained and len(weight.shape) > 1:
            weight.assign(generator.normal(0, float(np.std(weight.numpy())), weight.shape))
