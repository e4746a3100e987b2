"""What a saved prompt classifier consists of."""

import re
from pathlib import Path

from nlpgen.checkpoints.files import existing_folder, read_json
from nlpgen.errors import CheckpointNotFound, ConfigError
from nlpgen.prompts.verbalizer import Candidates, Verbalizer

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


def open_saved(folder, cls):
    """Open what a prompt classifier saved.

    Args:
        folder: where.
        cls: class of the classifier.

    Returns:
        The folder, and what its `prompt.json` says, with the verbalizer among its `params`.

    Raises:
        CheckpointNotFound: if there is none.
        ConfigError: if it is of another class, or no JSON.
    """
    folder = existing_folder(Path(folder).expanduser())
    path = folder / PATTERNS
    if not path.is_file():
        raise CheckpointNotFound(f"There is no {path}. Give a folder that {cls.__name__}.save wrote.")
    about = read_json(path)
    if about.get("class") != cls.__name__:
        raise ConfigError(f"{path} is of a {about.get('class')!r}, not of a {cls.__name__}. Load it with that class.")
    if about["params"]["verbalizer"] is not None:
        about["params"]["verbalizer"] = verbalizer_from(about["params"]["verbalizer"])
    return folder, about
