"""The training loop of pretraining: `fit` in windows, each of which ends in a report and a saved state."""

import math
import sys
import time

import keras

from nlpgen.errors import InputError, TrainingDiverged
from nlpgen.training.state import load_state, save_state


class Run(keras.callbacks.Callback):
    """Reports a run and saves its state after every window; give it to `fit` as a callback, or call `pretrain`.

    Args:
        folder: of the state.
        settings: JSON that is kept with it, so that a resumed run can be checked against it.
        tokens_per_batch: for the tokens a second.
        batches_per_update: the optimizer's accumulation.
        flops_per_token: for the share of the machine's peak; `None` to leave it out.
        peak_flops: operations a second that the machine can do at most.
        evaluate: function without arguments to a dict of numbers, called every `evaluate_every` windows and at the end;
            with an average of the weights in their place, if the optimizer keeps one.
        out: where reports are printed; `None` for nowhere.
        writes: whether this process saves the state: one of several machines does.

    Attributes:
        step: updates done.
        history: a dict for each window: step, loss, accuracy, learning_rate, tokens_per_second, seconds.
    """

    def __init__(
        self,
        folder,
        settings,
        tokens_per_batch,
        batches_per_update=1,
        flops_per_token=None,
        peak_flops=None,
        evaluate=None,
        evaluate_every=10,
        out=sys.stdout,
        writes=True,
    ):
        super().__init__()
        self.folder, self.settings = folder, settings
        self.tokens_per_batch, self.batches_per_update = tokens_per_batch, batches_per_update
        self.flops_per_token, self.peak_flops = flops_per_token, peak_flops
        self.evaluate, self.evaluate_every = evaluate, evaluate_every
        self.out, self.writes = out, writes
        self.step, self.seconds, self.history = 0, 0.0, []
        self._since = None

    def resume(self, model):
        """Load the saved state into a compiled model."""
        record = load_state(self.folder, model)
        self.step, self.seconds, self.history = record["step"], record["seconds"], record["history"]
        if self.out is not None:
            print(f"Resumed at step {self.step:,}.", file=self.out, flush=True)

    def on_epoch_begin(self, epoch, logs=None):
        self._since = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        took = time.perf_counter() - self._since
        batches, self.step = self.params["steps"], self.step + self.params["steps"] // self.batches_per_update
        self.seconds += took
        if not math.isfinite(logs["loss"]):
            raise TrainingDiverged(
                f"The loss is {logs['loss']} at step {self.step:,}. The state of the window before is in "
                f"{self.folder}. Resume from it with a lower learning rate or a smaller clip."
            )
        speed = batches * self.tokens_per_batch / took
        report = {
            "step": self.step,
            "loss": round(float(logs["loss"]), 4),
            "accuracy": round(float(logs["accuracy"]), 4),
            "learning_rate": float(f"{float(self.model.optimizer.learning_rate):.4g}"),
            "tokens_per_second": round(speed),
            "seconds": round(self.seconds),
        }
        if self.flops_per_token:
            report["tflops"] = round(speed * self.flops_per_token / 1e12, 4)
            if self.peak_flops:
                report["flops_utilisation"] = round(speed * self.flops_per_token / self.peak_flops, 3)
        if self.evaluate and ((epoch + 1) % self.evaluate_every == 0 or epoch + 1 == self.params["epochs"]):
            report["held_out"] = self._judged()
        self.history.append(report)
        for name, value in report.items():
            if name not in logs and not isinstance(value, dict):
                logs[name] = value  # for callbacks that come after, e.g. TensorBoard
        if self.out is not None:
            print("  ".join(f"{name} {value}" for name, value in report.items()), file=self.out, flush=True)
        if self.writes:
            self.save()

    def _judged(self):
        """What `evaluate` says of the weights that `fit` leaves when it ends."""
        optimizer, variables = self.model.optimizer, self.model.trainable_variables
        if not optimizer.use_ema:
            return self.evaluate()
        kept = [keras.ops.convert_to_numpy(variable) for variable in variables]
        optimizer.finalize_variable_values(variables)
        for variable in variables:  # on JAX they are the average's own arrays now, and predicting gives them away
            variable.assign(keras.ops.convert_to_numpy(variable))
        try:
            return self.evaluate()
        finally:
            for variable, value in zip(variables, kept, strict=True):
                variable.assign(value)

    def save(self):
        """Write the state."""
        record = {"step": self.step, "seconds": self.seconds, "settings": self.settings, "history": self.history}
        save_state(self.folder, self.model, record)


def pretrain(model, batches, run, steps, window, callbacks=()):
    """Train a compiled model up to a step.

    Args:
        model: compiled, with an accuracy among its metrics, as language models have it by default; with
            `run.resume(model)` called before, if it is to go on.
        batches: function from the number of a batch to an iterator of batches from there on.
        run: a `Run`.
        steps: updates in all, those before the resumption included.
        window: updates between two reports; `steps` is a multiple.
        callbacks: further callbacks of Keras.

    Returns:
        `run.history`.

    Raises:
        InputError: if `steps` or `window` is not positive, or `steps` or the saved step is not at the end of a window.
        TrainingDiverged: if the loss is no longer a number; the state of the window before is kept.
    """
    if steps < 1 or window < 1 or steps % window or run.step % window:
        raise InputError(
            f"`steps` and `window` must be positive, `steps` and the saved step {run.step:,} multiples of `window`. "
            f"Received: steps={steps}, window={window}"
        )
    if run.step < steps:
        model.fit(
            batches(run.step * run.batches_per_update),
            steps_per_epoch=window * run.batches_per_update,
            initial_epoch=run.step // window,
            epochs=steps // window,
            callbacks=[run, *callbacks],
            shuffle=False,
            verbose=0,
        )
    elif model.optimizer.use_ema:
        model.optimizer.finalize_variable_values(model.trainable_variables)  # as `fit` does when it ends
    return run.history
