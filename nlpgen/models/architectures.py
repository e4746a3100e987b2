"""The one table of architectures, and which of them a folder holds."""

from nlpgen.errors import ConfigError
from nlpgen.models.albert import Albert
from nlpgen.models.bert import Bert
from nlpgen.models.electra import Electra, ElectraGenerator
from nlpgen.models.ernie import Ernie
from nlpgen.models.gpt2 import GPT2
from nlpgen.models.roberta import Roberta

# By `model_type`; where the tensors alone tell and fit several, the first counts.
ARCHITECTURES = {
    cls.model_type: cls
    for cls in (
        Bert,
        Albert,
        Electra,
        ElectraGenerator,
        Ernie,
        GPT2,
        Roberta,
    )
}


def architecture_of(folder, head=None):
    """The backbone class of an open `ModelFolder`: the one its config names, or else the one its tensors show.

    Args:
        folder: a `ModelFolder`.
        head: a head that is wanted, to choose by where a folder holds two models.

    Raises:
        ConfigError: if it is none that nlpgen knows, or the config names another one than the tensors.
    """
    said, every = folder.config.get("model_type"), ARCHITECTURES.values()
    named = [cls for cls in every if cls.is_called(said)]
    fitting = [cls for cls in (every if said is None else named) if cls.is_shown_by(folder)]
    shown = [cls.model_type for cls in fitting or every if cls.is_shown_by(folder)]
    candidates = fitting or (named if not shown else [])
    if candidates:
        return next((cls for cls in candidates if head in cls.heads), candidates[0])
    what = f"model_type {said!r}" if said is not None else "no `model_type`, and its weights have no known names"
    likely = f" Its tensors are named as those of {shown[0]!r}: say so there if that is what it is." if shown else ""
    raise ConfigError(
        f"{folder.config_path} has {what}. nlpgen reads: {', '.join(ARCHITECTURES)}.{likely} "
        f"Run `nlpgen inspect {folder.path}` to see what is there."
    )
