"""What a saved prompt classifier consists of."""

import hashlib
import re
from inspect import signature
from pathlib import Path

import ml_dtypes  # noqa: F401  (makes bfloat16 a NumPy type)
import numpy as np

from nlpgen.checkpoints.files import existing_folder, read_json
from nlpgen.errors import CheckpointNotFound, ConfigError, WeightsMismatch
from nlpgen.prompts.verbalizer import Candidates, Verbalizer
from nlpgen.tasks.fine_tuning import copy_of

PATTERNS, WEIGHTS = "prompt.json", "prompt.safetensors"
OURS = re.compile(r"prompt\.json|prompt\.safetensors|(model_\d+|model|student)/")


def is_ours(name):
    """Whether a saved classifier has such a file or folder."""
    return OURS.fullmatch(name) is not None


def verbalizer_to(verbalizer):
    """A verbalizer as a value of JSON."""
    if isinstance(verbalizer, Candidates):
        return {"candidates": verbalizer.field}
    return {"words": verbalizer.words}


def verbalizer_from(value):
    """The inverse of `verbalizer_to`."""
    return Candidates(value["candidates"]) if "candidates" in value else Verbalizer(value["words"])


def open_saved(folder, cls, names):
    """Open what a prompt classifier saved.

    Args:
        folder: where.
        cls: class of the classifier.
        names: what its `prompt.json` must hold besides the arguments.

    Returns:
        The folder, and what its `prompt.json` says, with the verbalizer among its `params`.

    Raises:
        CheckpointNotFound: if there is none.
        ConfigError: if it is of another class, no JSON, lacks something, or has other arguments than the class.
    """
    folder = existing_folder(Path(folder).expanduser())
    path = folder / PATTERNS
    if not path.is_file():
        raise CheckpointNotFound(f"There is no {path}. Give a folder that {cls.__name__}.save wrote.")
    about = read_json(path)
    if about.get("class") != cls.__name__:
        raise ConfigError(f"{path} is of a {about.get('class')!r}, not of a {cls.__name__}. Load it with that class.")
    params = about.get("params")
    unknown = sorted(set(params) - set(signature(cls).parameters)) if isinstance(params, dict) else []
    missing = [name for name in names if name not in about]
    if unknown or missing or not isinstance(params, dict) or "verbalizer" not in params:
        what = f"no {', '.join(missing)}" if missing else "no arguments"
        what = f"arguments that {cls.__name__} has not: {', '.join(unknown)}" if unknown else what
        raise ConfigError(f"{path} has {what}. It is damaged, or of another version: save the classifier again.")
    if params["verbalizer"] is not None:
        params["verbalizer"] = verbalizer_from(params["verbalizer"])
    return folder, about


def copy_of_model(lm):
    """A language model built anew with equal weights."""
    twin = copy_of(lm)
    twin.tokenizer = twin.backbone.tokenizer = lm.tokenizer
    return twin


def weights_sha256(model, dtype=None):
    """The hexadecimal SHA-256 of the weights of a built model, in their order.

    Args:
        model: it.
        dtype: what the weights are rounded to; as they are by default.
    """
    digest = hashlib.sha256()
    for weight in model.get_weights():
        with np.errstate(over="ignore"):
            weight = weight if dtype is None else weight.astype("float32").astype(dtype)
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def fingerprint(lm, with_head=True):
    """What tells a language model from others: class, architecture, sizes, and hashes of its vocabulary and of its
    weights in half precision, of which one is the same in a copy that is in half precision.

    Args:
        lm: a `MaskedLM` or `CausalLM`.
        with_head: whether its head counts too.
    """
    config, tokens = lm.backbone.config, "\n".join(lm.tokenizer.vocab.tokens)
    model = lm if with_head else lm.backbone
    return {
        "class": type(lm).__name__,
        "model_type": lm.backbone.model_type,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "vocabulary": hashlib.sha256(tokens.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        "weights": {dtype: weights_sha256(model, dtype) for dtype in ("bfloat16", "float16")},
    }


def check_fingerprint(folder, expected, found):
    """Raise `WeightsMismatch` unless two fingerprints are of one language model."""
    wrong = [
        f"{name}: {expected.get(name)!r} expected, {found[name]!r} found"
        for name in found
        if name != "weights" and found[name] != expected.get(name)
    ]
    if not wrong and not set(found["weights"].items()) & set(expected["weights"].items()):
        wrong.append("weights: other values; it was trained further, say")
    if wrong:
        raise WeightsMismatch(
            f"{folder} was trained for another model than `backbone`:\n  " + "\n  ".join(wrong) + "\nGive that model."
        )


def check_lengths(folder, pattern, prefix_length, prompt, prefix):
    """Raise `WeightsMismatch` unless the vectors of a folder are as many as its pattern and prefix have places."""
    tokens, places, problems = prompt.num_tokens if prompt else 0, prefix.length if prefix else 0, []
    if tokens != pattern.num_virtual:
        problems.append(f"{pattern.template!r} has {pattern.num_virtual} virtual tokens, there are {tokens} vectors")
    if places != prefix_length:
        problems.append(f"`prefix_length` is {prefix_length}, there are {places} places")
    if problems:
        raise WeightsMismatch(
            f"{PATTERNS} and {WEIGHTS} in {folder} do not belong together:\n  " + "\n  ".join(problems) + "\nTake both "
            "as they were saved."
        )
