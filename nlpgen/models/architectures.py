"""The one table of architectures, and which of them a folder holds."""

from nlpgen.errors import ConfigError
from nlpgen.models.bert import Bert
from nlpgen.models.gpt2 import GPT2

# By the `model_type` of Hugging Face's config, which is ours too.
ARCHITECTURES = {"bert": Bert, "gpt2": GPT2}


def architecture_of(folder):
    """The backbone class of an open `ModelFolder`: the one its config names, or else the one its tensors show.

    Raises:
        ConfigError: if it is none that nlpgen knows.
    """
    said = folder.config.get("model_type")
    if isinstance(said, str) and said in ARCHITECTURES:
        return ARCHITECTURES[said]
    shown = [name for name, cls in ARCHITECTURES.items() if cls.is_shown_by(folder)]
    if said is None and shown:
        return ARCHITECTURES[shown[0]]
    what = f"model_type {said!r}" if said is not None else "no `model_type`, and its weights have no known names"
    likely = f" Its tensors are named as those of {shown[0]!r}: say so there if that is what it is." if shown else ""
    raise ConfigError(
        f"{folder.config_path} has {what}. nlpgen reads: {', '.join(ARCHITECTURES)}.{likely} "
        f"Run `nlpgen inspect {folder.path}` to see what is there."
    )
