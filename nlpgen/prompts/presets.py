"""Patterns and label words of Chinese tasks, as data files beside this module."""

import difflib
import importlib.resources
import json
from dataclasses import dataclass

from nlpgen.errors import InputError
from nlpgen.prompts.verbalizer import Candidates, Verbalizer

FOLDER = importlib.resources.files("nlpgen.prompts") / "presets"


@dataclass(frozen=True)
class Preset:
    """Patterns and label words of a task.

    Attributes:
        name: of the task.
        about: what it is, in Chinese.
        patterns: strings.
        verbalizer: `{label: words}`, or `Candidates`.
        max_length: tokens that its texts need.
    """

    name: str
    about: str
    patterns: list
    verbalizer: dict | Candidates
    max_length: int = 128


def preset_names():
    """Names of the tasks."""
    return sorted(path.name.removesuffix(".json") for path in FOLDER.iterdir() if path.name.endswith(".json"))


def load_preset(name):
    """The `Preset` of a task.

    Raises:
        InputError: if there is none, with the nearest name.
    """
    names = preset_names()
    if name not in names:
        near = difflib.get_close_matches(str(name), names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"There is no preset {name!r}.{hint} There are: {', '.join(names)}.")
    values = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    if "candidates" in values:
        values["verbalizer"] = Candidates(values.pop("candidates"))
    else:
        values["verbalizer"] = Verbalizer(values["verbalizer"]).words
    return Preset(name, **values)
