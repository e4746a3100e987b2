"""What a saved prompt classifier consists of."""

import re

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
