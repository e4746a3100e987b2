"""What a baseline learned as a folder: `config.json`, `model.safetensors`, and a manifest with their SHA-256."""

import json

from nlpgen.checkpoints import open_folder, save_folder
from nlpgen.checkpoints.files import plain_number
from nlpgen.errors import ConfigError, InputError, WeightsMismatch
from nlpgen.prompts.saving import weights_sha256

MAX_CONFIG_BYTES = 10_000_000  # the most that is read again


def save_learned(folder, estimator, params, learned, tensors, model=None, files=None):
    """Write what a fitted estimator learned; a reader finds the old folder or the new one, never a part.

    Args:
        folder: where; what an estimator wrote there is replaced.
        estimator: it, for the name of its class.
        params: arguments of its constructor that JSON has: all but the model.
        learned: what `fit` found that JSON has.
        tensors: what `fit` found that is an array, `{name: array}`.
        model: the model it stands on, which is not written; it is known again by its weights.
        files: further files, see `nlpgen.checkpoints.save_folder`.

    Raises:
        InputError: if there is more text than is read again.
        OutputError: if the folder cannot be written; what was there is intact.
    """
    config = {"estimator": type(estimator).__name__, "params": params, "learned": learned}
    if model is not None:
        config["model_sha256"] = weights_sha256(model)
    size = len(json.dumps(config, ensure_ascii=False, indent=1, default=plain_number).encode("utf-8"))
    if size > MAX_CONFIG_BYTES:
        raise InputError(f"{size:,} bytes of examples are more than a folder of {MAX_CONFIG_BYTES:,}. Fit on fewer.")
    save_folder(folder, config, tensors, files=files)


def open_learned(folder, cls, model=None):
    """Open a folder that `save_learned` wrote.

    Args:
        folder: where it is.
        cls: class of the estimator.
        model: the model it stands on, where it stands on one.

    Returns:
        `params`, `learned`, and the open `ModelFolder`.

    Raises:
        CheckpointNotFound, CheckpointCorrupt: see `nlpgen.checkpoints.open_folder`.
        ConfigError: if another class wrote it.
        WeightsMismatch: if it was fitted on another model.
    """
    opened = open_folder(folder)
    found = opened.config.get("estimator")
    if found != cls.__name__:
        raise ConfigError(f"{opened.path} holds a {found or 'model'}, not a {cls.__name__}. Load it with that class.")
    if model is not None and opened.config["model_sha256"] != weights_sha256(model):
        raise WeightsMismatch(
            f"{opened.path} was fitted on another model than the given {type(model).__name__}: expected weights with "
            f"sha256 {opened.config['model_sha256'][:12]}…. Give the model it was fitted on."
        )
    return opened.config["params"], opened.config["learned"], opened
