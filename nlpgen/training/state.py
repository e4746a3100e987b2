"""The state of a training run on disk: all that is needed to go on as if it had never stopped.

A folder with `state.safetensors` (weights, random states, the optimizer's variables) and `state.json` (the step, the
settings of the run, its history). It is written beside, synced and renamed: a reader finds the old state or the new.
"""

import json
from pathlib import Path

import keras
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from nlpgen.checkpoints.files import existing_folder, plain_number, read_json, replaced_folder, sha256, write_json
from nlpgen.errors import CheckpointCorrupt, CheckpointNotFound, InputError, WeightsMismatch

TENSORS, RECORD = "state.safetensors", "state.json"


def run_variables(model):
    """`{name: variable}` of what training changes: weights, seeds of dropout, the optimizer's variables.

    Metrics are left out: they start anew with every report. The names count the variables, since paths of Keras are not
    unique.
    """
    metrics = {id(variable) for variable in model.metrics_variables}
    parts = {
        "model": [variable for variable in model.variables if id(variable) not in metrics],
        "optimizer": model.optimizer.variables,
    }
    return {f"{part}/{i}/{v.path}": v for part, variables in parts.items() for i, v in enumerate(variables)}


def save_state(folder, model, record):
    """Write the state of a compiled model.

    Args:
        folder: where; an existing state is replaced.
        model: a compiled model whose optimizer is built.
        record: what else to keep: JSON, with `step`.

    Raises:
        OutputError: if the folder cannot be written; the old state is intact.
    """
    tensors = {name: keras.ops.convert_to_numpy(variable) for name, variable in run_variables(model).items()}
    with replaced_folder(folder, {TENSORS, RECORD}.__contains__, sum(t.nbytes for t in tensors.values())) as work:
        save_file(tensors, work / TENSORS)
        write_json(work / RECORD, record | {"sha256": sha256(work / TENSORS)})


def has_state(folder):
    """Whether there is a state to go on from."""
    return (existing_folder(folder) / RECORD).is_file()


def read_record(folder):
    """What `state.json` says.

    Raises:
        CheckpointNotFound: if there is no state.
    """
    path = existing_folder(folder) / RECORD
    if not path.is_file():
        raise CheckpointNotFound(f"There is no {RECORD} in {folder}, so no run to resume. Start one without resuming.")
    return read_json(path)


def check_settings(saved, settings, free, folder):
    """Refuse to go on with a run whose settings are other than those that were saved with its state.

    Args:
        saved, settings: dicts, those of the state and those of now.
        free: names that may differ.
        folder: of the state, for the message.

    Raises:
        InputError: with every setting that differs.
    """
    differ = [name for name, value in settings.items() if name not in free and saved.get(name) != value]
    if differ:
        raise InputError(
            f"The run in {folder} was started with other settings: "
            + ", ".join(f"{name} {saved.get(name)!r}, now {settings[name]!r}" for name in differ)
            + ". Use the same, or another folder, or --change where the command has it."
        )


def load_state(folder, model):
    """Read a state into a compiled model of the same shape.

    Returns:
        The record that was saved with it.

    Raises:
        CheckpointNotFound: if there is no state.
        CheckpointCorrupt: if it was cut or changed.
        WeightsMismatch: if it is of another model or optimizer, with what differs.
    """
    record, path = read_record(folder), existing_folder(folder) / TENSORS
    if not path.is_file() or sha256(path) != record.get("sha256"):
        raise CheckpointCorrupt(f"{path} is not as it was saved. Take an older copy of the state, or start anew.")
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise CheckpointCorrupt(f"{path} cannot be read: {error}. Take an older copy, or start anew.") from error
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    variables = run_variables(model)
    # Paths hold names that Keras counts up within a process ("bert_1"), so position and shape decide.
    found, wanted = list(tensors), list(variables)
    by_place = {_place(name): name for name in found}
    problems = [f"{name}: not in the file" for name in wanted if _place(name) not in by_place]
    problems += [f"{name}: not in the model" for name in found if _place(name) not in {_place(n) for n in wanted}]
    for name in wanted:
        tensor = tensors.get(by_place.get(_place(name)))
        if tensor is not None and tensor.shape != tuple(variables[name].shape):
            problems.append(f"{name}: expected shape {tuple(variables[name].shape)}, found {tensor.shape}")
    if problems:
        raise WeightsMismatch(
            f"{path} is the state of another model or optimizer:\n  " + "\n  ".join(problems[:8]) + "\n"
            "Resume with the settings that the run was started with."
        )
    for name in wanted:
        variables[name].assign(tensors[by_place[_place(name)]])
    return record


class KeptRun:
    """A run of epochs on disk: its state after the last of them, and after the best.

    Args:
        folder: where.
        model: compiled.
        generator: NumPy's, of the order of the rows.
        settings: JSON; what must be equal for a run to go on.
    """

    def __init__(self, folder, model, generator, settings):
        self.last, self.best = Path(folder) / "last", Path(folder) / "best"
        self.model, self.generator = model, generator
        self.settings = json.loads(
            json.dumps(settings, default=plain_number)
        )  # tuples become lists, as they do on disk

    def resumed(self):
        """Set the model and the generator back to what they were after the last epoch that was kept.

        Returns:
            The history so far, a list of dicts, and the best `(epoch from 1, weights)`, or `None`.

        Raises:
            InputError: if the run had other settings.
        """
        history, best = [], None
        if has_state(self.best):
            history = self._loaded(self.best)
            best = len(history), self.model.get_weights()
        # Stopped between its two writes, `save` leaves the best an epoch ahead: then it is the last one too.
        if has_state(self.last) and read_record(self.last)["step"] > len(history):
            history = self._loaded(self.last)
        return history, best

    def _loaded(self, folder):
        check_settings(read_record(folder)["settings"], self.settings, (), folder.parent)
        record = load_state(folder, self.model)
        self.generator.bit_generator.state = record["generator"]
        return record["history"]

    def save(self, history, is_best):
        """Write the state after an epoch.

        Args:
            history: of all epochs so far.
            is_best: whether the last of them is the best.
        """
        record = {"step": len(history), "history": history, "settings": self.settings}
        record["generator"] = self.generator.bit_generator.state
        if is_best:
            save_state(self.best, self.model, record)
        save_state(self.last, self.model, record)


def _place(name):
    """`("model", 3)` of `model/3/bert/…`."""
    part, number, _ = name.split("/", 2)
    return part, int(number)
