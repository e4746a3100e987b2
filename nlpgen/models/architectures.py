"""The one table of architectures, and which of them a folder holds."""

from nlpgen.errors import ConfigError
from nlpgen.models.bert import Bert

ARCHITECTURES = {"bert": Bert}
# Tensors that only one architecture has, for configs that do not say which it is.
MARKS = {"bert/encoder/layer_0/attention/self/query/kernel": "bert"}


def architecture_of(folder):
    """The backbone class of an open `ModelFolder`.

    Raises:
        ConfigError: if it is none that nlpgen knows.
    """
    found = folder.config.get("model_type")
    if found is None:
        found = next((name for mark, name in MARKS.items() if mark in folder.tensors), None)
    if isinstance(found, str) and found in ARCHITECTURES:
        return ARCHITECTURES[found]
    said = "no `model_type`, and its weights have no known names" if found is None else f"model_type {found!r}"
    raise ConfigError(
        f"{folder.config_path} has {said}. nlpgen reads: {', '.join(ARCHITECTURES)}. "
        f"Run `nlpgen inspect {folder.path}` to see what is there."
    )
