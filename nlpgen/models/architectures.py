"""The one table of architectures, and which of them a folder holds."""

from nlpgen.errors import ConfigError
from nlpgen.models.bert import Bert
from nlpgen.models.gpt2 import GPT2
from nlpgen.models.llama import Llama
from nlpgen.models.qwen2 import Qwen2
from nlpgen.models.qwen3 import Qwen3

# By the `model_type` of Hugging Face's config, which is ours too.
ARCHITECTURES = {"bert": Bert, "gpt2": GPT2, "llama": Llama, "qwen2": Qwen2, "qwen3": Qwen3}


def architecture_of(folder):
    """The backbone class of an open `ModelFolder`: the one its config names, or else the one its tensors show.

    Raises:
        ConfigError: if it is none that nlpgen knows, or the tensors are another's than the config says.
    """
    said = folder.config.get("model_type")
    known = isinstance(said, str) and said in ARCHITECTURES
    if known and ARCHITECTURES[said].is_shown_by(folder):
        return ARCHITECTURES[said]
    shown = [name for name, cls in ARCHITECTURES.items() if cls.is_shown_by(folder)]
    if known and not shown:
        return ARCHITECTURES[said]  # loading says what is missing
    if known:
        raise ConfigError(
            f"{folder.config_path} says model_type {said!r}, but the tensors are named as those of {shown[0]!r}. "
            "Correct it there, or take config and weights of the same model."
        )
    if said is None and shown:
        return ARCHITECTURES[shown[0]]
    what = f"model_type {said!r}" if said is not None else "no `model_type`, and its weights have no known names"
    likely = f" Its tensors are named as those of {shown[0]!r}: say so there if that is what it is." if shown else ""
    raise ConfigError(
        f"{folder.config_path} has {what}. nlpgen reads: {', '.join(ARCHITECTURES)}.{likely} "
        f"Run `nlpgen inspect {folder.path}` to see what is there."
    )
