"""The one table of architectures, and which of them a folder holds."""

from nlpgen.errors import ConfigError
from nlpgen.models.bert import Bert
from nlpgen.models.gpt import GPT
from nlpgen.models.gpt2 import GPT2
from nlpgen.models.gpt2_ml import GPT2ML
from nlpgen.models.nezha import Nezha
from nlpgen.models.pretrained import likely_architectures
from nlpgen.models.roformer import RoFormer
from nlpgen.models.roformer_v2 import RoFormerV2

# By the `model_type` of Hugging Face's config, which is ours too.
ARCHITECTURES = {
    "bert": Bert,
    "gpt2": GPT2,
    "gpt2_ml": GPT2ML,
    "nezha": Nezha,
    "openai-gpt": GPT,
    "roformer": RoFormer,
    "roformer_v2": RoFormerV2,
}


def architecture_of(folder):
    """The backbone class of an open `ModelFolder`: the one its config names, or else the one its tensors show.

    Raises:
        ConfigError: if it is none that nlpgen knows, or the tensors are those of several.
    """
    said = folder.config.get("model_type")
    likely = likely_architectures(ARCHITECTURES.values(), folder)
    known = said is None or any(said in (cls.model_type, *cls.other_types) for cls in likely)
    if known and len(likely) == 1:
        return likely[0]
    shown = " or ".join(repr(cls.model_type) for cls in likely)
    what = f"model_type {said!r}" if said is not None else "no `model_type`"
    if shown:
        hint = f"Its tensors are named as those of {shown}: say there which it is, or give `model_type` when loading."
    else:
        hint = "Its tensors have no known names."
    raise ConfigError(
        f"{folder.config_path} has {what}. nlpgen reads: {', '.join(ARCHITECTURES)}. {hint} "
        f"Run `nlpgen inspect {folder.path}` to see what is there."
    )
