"""What fine-tuning on strings has in common: a fresh copy of the backbone, and the training loop."""

import math
import time
from numbers import Integral, Real

import keras
import numpy as np

from nlpgen.errors import InputError, TrainingDiverged
from nlpgen.models import PooledEncoder, PretrainedModel, backbone_of
from nlpgen.text import shuffled_batches
from nlpgen.training import BertAdam, KeptRun, WarmupStableDecay, adamw


def tokenized_backbone(model):
    """The backbone of a model that has a tokenizer.

    Raises:
        InputError: if it is no model of nlpgen, or has no tokenizer.
    """
    if not isinstance(model, PretrainedModel):
        raise InputError(
            "Give a model to fine-tune, e.g. Bert.from_pretrained('bert-tiny-zh') or MaskedLM.from_pretrained(...). "
            f"Received: {model!r:.80}"
        )
    backbone = backbone_of(model)
    if backbone.tokenizer is None:
        raise InputError("The model has no tokenizer. Load it from a folder with a vocabulary, or set `tokenizer`.")
    return backbone


def copy_of_backbone(model):
    """The backbone of a model, built anew with equal weights, so that training leaves the model as it was.

    Raises:
        InputError: if it is no model of nlpgen, or has no tokenizer.
    """
    return copy_of(tokenized_backbone(model))


def copy_of(model):
    """A model built anew with equal weights."""
    twin = type(model).from_config(model.get_config())
    for each in (model, twin):
        if not each.built:
            each.build()
    twin.set_weights(model.get_weights())
    twin.trainable = model.trainable
    return twin


def start(model, source, seed):
    """Draw the kernels of a new head and the seeds of dropout, and take over a pretrained pooler.

    The same seed gives the same head on every backend. A kernel that starts at zero stays there.

    Args:
        model: a built model over a copy of the backbone of `source`.
        source: the pretrained model.
        seed: a whole number.
    """
    generator = np.random.default_rng(seed)
    pretrained = {id(weight) for weight in model.backbone.weights}
    stddev = getattr(model.backbone.config, "initializer_range", 0.02)
    for weight in model.weights:
        if id(weight) not in pretrained and weight.name == "kernel" and np.any(weight.numpy()):
            weight.assign(np.clip(generator.normal(0, stddev, weight.shape), -2 * stddev, 2 * stddev))
    seed_dropout(model, seed)
    if isinstance(source, PooledEncoder) and getattr(model, "pooler", None) is not None:
        model.pooler.set_weights(source.dense.get_weights())


def seed_dropout(model, seed):
    """Set the seeds of all dropout layers of a model."""
    for i, variable in enumerate(model.variables):
        if variable.path.endswith("seed_generator_state"):
            variable.assign(np.array([seed % 2**32, i], dtype="uint32"))


def fine_tune(
    model,
    lengths,
    batch,
    *,
    epochs,
    batch_size,
    learning_rate,
    weight_decay,
    seed,
    loss=None,
    loss_weights=None,
    factors=None,
    score=None,
    patience=None,
    verbose=False,
    state=None,
    settings=None,
):
    """Train a model; with `score` it ends with the weights of its best epoch, the first of equally good ones.

    The optimizer is AdamW; the learning rate rises over the first tenth of the steps and falls to zero. A model that
    was trained before with the same options is not compiled again.

    Args:
        model: a built model.
        lengths: length of each row of the training set; or, where rows are drawn anew for each epoch, a function from
            the epoch, counted from 1, to the lengths of as many rows.
        batch: function from indices of rows and a padded length to `(x, y, sample_weight or None)`.
        epochs, batch_size, learning_rate, weight_decay, seed: as they say.
        loss, loss_weights: for `compile`; `None` for a model with its own.
        factors: `{pattern: factor}` of the learning rate, see `BertAdam`, which then takes the place of AdamW.
        score: function without arguments to a number, called after each epoch; higher is better.
        patience: epochs without a better score after which training ends; `None` for all epochs.
        verbose: whether a line is printed for each epoch.
        state: a folder that keeps the run after each epoch. A run that was stopped goes on from there; with `epochs`
            lowered to what it has done it ends with its best.
        settings: what else, such as the caller's data and options, must be equal for it to go on: a dict, JSON.

    Returns:
        A dict for each epoch: epoch, loss, seconds, and score.

    Raises:
        InputError: if an option is wrong; with all that are; or if the state is of a run with others
            or with other `settings`.
        TrainingDiverged: if the loss is no longer a number.
    """
    check_options(epochs, batch_size, learning_rate, patience, score is not None)
    drawn = lengths if callable(lengths) else None
    lengths = lengths if drawn is None else drawn(1)
    steps = epochs * -(-len(lengths) // batch_size)
    warmup = steps // 10
    schedule = WarmupStableDecay(learning_rate, steps, warmup, steps - warmup)
    optimizer = compiled_optimizer(model, weight_decay, loss, loss_weights, factors)
    generator, history, best = np.random.default_rng(seed), [], None
    kept = None
    if state is not None:
        own = {"rows": len(lengths), "batch_size": batch_size, "learning_rate": learning_rate}
        own |= {"weight_decay": weight_decay, "seed": seed}
        kept = KeptRun(state, model, generator, own | (settings or {}))
        history, found = kept.resumed()
        best = None if found is None else (history[found[0] - 1]["score"], *found)
    learning_rates = (float(schedule(step)) for step in range(len(history) * steps // epochs, steps))
    for epoch in range(len(history) + 1, epochs + 1):
        if best is not None and patience is not None and epoch - 1 - best[1] >= patience:
            break
        begin, total = time.perf_counter(), 0.0
        if drawn is not None and epoch > 1:
            lengths = drawn(epoch)
        for indices, length in shuffled_batches(lengths, batch_size, generator):
            optimizer.learning_rate = next(learning_rates)
            value = float(model.train_on_batch(*batch(indices, length), return_dict=True)["loss"])
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"The loss is {value} in epoch {epoch} with learning_rate={learning_rate}. Try a lower one, or "
                    "float32 where the model computes in half precision."
                )
            total += value * len(indices)
        history.append({"epoch": epoch, "loss": total / len(lengths), "seconds": time.perf_counter() - begin})
        if score is not None:
            history[-1]["score"] = score()
            if best is None or history[-1]["score"] > best[0]:
                best = history[-1]["score"], epoch, model.get_weights()
        if verbose:
            print("  ".join(f"{name} {x:.4g}" for name, x in history[-1].items()), flush=True)
        if kept is not None:
            kept.save(history, best is not None and best[1] == epoch)
    if best is not None:
        model.set_weights(best[2])
    return history


def compiled_optimizer(model, weight_decay, loss=None, loss_weights=None, factors=None):
    """The new optimizer of a model that is compiled with it, or, where it is compiled so already, its old one, set
    back. What the learning rate is, its user says at each step.
    """
    loss_config = keras.tree.map_structure(lambda each: keras.saving.serialize_keras_object(each), loss)
    options = repr((weight_decay, loss_config, loss_weights, factors))
    if model.compiled and getattr(model, "compiled_for", None) == options:
        for variable in model.optimizer.variables:
            variable.assign(np.zeros(variable.shape))
        return model.optimizer
    if factors:
        optimizer = BertAdam(0.0, weight_decay=weight_decay, factors=factors, clip=1.0)
    else:
        optimizer = adamw(0.0, weight_decay)
    model.compile(optimizer, loss, loss_weights=loss_weights, jit_compile=model.jit_compile)
    model.optimizer.build(model.trainable_variables)  # or TensorFlow traces the first step twice
    model.compiled_for = options
    return optimizer


def check_seed(seed):
    """Raise `InputError` unless it is a whole number, 0 or more."""
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"`seed` must be a whole number, 0 or more. Received: {seed!r}")


def check_validation(validation_data):
    """`(texts, labels)` or `None`; raises `InputError` otherwise."""
    if validation_data is not None and (not isinstance(validation_data, list | tuple) or len(validation_data) != 2):
        raise InputError(
            f"`validation_data` must be a pair (texts, labels). Received: {type(validation_data).__name__}"
        )
    return validation_data


def check_options(epochs, batch_size, learning_rate, patience, is_scored):
    """Raise `InputError` unless a training can have these options; `is_scored` is whether there is validation data."""
    problems = [
        f"`{name}` must be a whole number, 1 or more. Received: {value!r}"
        for name, value in {"epochs": epochs, "batch_size": batch_size, "patience": patience}.items()
        if not (isinstance(value, Integral) and value >= 1) and not (name == "patience" and value is None)
    ]
    if not isinstance(learning_rate, Real) or not 0 < learning_rate < math.inf:
        problems.append(f"`learning_rate` must be a number above 0. Received: {learning_rate!r}")
    if patience is not None and not is_scored:
        problems.append("`patience` needs `validation_data`")
    if problems:
        raise InputError("The options of the training are wrong:\n  " + "\n  ".join(problems) + "\nCorrect them.")
