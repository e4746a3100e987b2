"""The one table of architectures, and which of them a folder holds."""

import difflib
from itertools import islice

from nlpgen.errors import ConfigError
from nlpgen.models.albert import Albert
from nlpgen.models.backbone import likely_architectures
from nlpgen.models.bert import Bert
from nlpgen.models.electra import Electra, ElectraGenerator
from nlpgen.models.ernie import Ernie
from nlpgen.models.gpt import GPT
from nlpgen.models.gpt2 import GPT2
from nlpgen.models.gpt2_ml import GPT2ML
from nlpgen.models.llama import Llama
from nlpgen.models.nezha import Nezha
from nlpgen.models.qwen2 import Qwen2
from nlpgen.models.qwen3 import Qwen3
from nlpgen.models.roberta import Roberta
from nlpgen.models.roformer import RoFormer
from nlpgen.models.roformer_v2 import RoFormerV2
from nlpgen.models.t5 import MT5, T5

# By the `model_type` of Hugging Face's config, which is ours too.
ARCHITECTURES = {
    cls.model_type: cls
    for cls in (
        Albert,
        Bert,
        Electra,
        ElectraGenerator,
        Ernie,
        GPT,
        GPT2,
        GPT2ML,
        Llama,
        MT5,
        Nezha,
        Qwen2,
        Qwen3,
        Roberta,
        RoFormer,
        RoFormerV2,
        T5,
    )
}
# Other names that Hugging Face has for an architecture of ours.
SAME_FORM = ("camembert", "xlm-roberta")


def architecture_of(folder, head=None):
    """The backbone class of an open `ModelFolder`: the one its config names, or else the one its tensors show.

    Args:
        folder: a `ModelFolder`.
        head: a head that is wanted, to choose by where a folder holds two models.

    Raises:
        ConfigError: if it is none that nlpgen knows, the tensors are those of several, or the config names another.
    """
    said = folder.config.get("model_type")
    likely = likely_architectures(ARCHITECTURES.values(), folder, head)
    if len(likely) == 1 and (said is None or likely[0].is_called(folder)):
        return likely[0].held_by(folder)
    names = " or ".join(repr(cls.model_type) for cls in likely)
    if str(said) in ARCHITECTURES and likely:
        where, remedy = f"`model_type={said!r}`", f"Leave it away, or give {names}"
        if not folder.type_is_given:
            where, remedy = (
                f"{folder.config_path} has model_type {said!r}",
                f"Say {names} there, or give it when loading",
            )
        raise ConfigError(f"{where}, but the tensors are named as those of {names}. {remedy}.")
    what = "no `model_type`" if said is None else f"model_type {said!r}"
    some = ", ".join(folder.tensors.original(name) or name for name in islice(folder.tensors, 3))
    hint = f"Its tensors have no known names: {some or 'there are none'}, …"
    if folder.type_is_given:
        near = difflib.get_close_matches(str(said), ARCHITECTURES, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        hint += f"The tensors of {folder.path} are named as those of {names or 'none of these'}."
    elif likely and (said is None or said in SAME_FORM):
        hint = f"Its tensors are named as those of {names}: say there which it is, or give `model_type` when loading."
    elif likely:
        hint = (
            f"nlpgen does not build {said!r}: its tensors are named as those of {names}, but what it computes is not."
        )
    raise ConfigError(f"{folder.type_source} has {what}. nlpgen reads: {', '.join(ARCHITECTURES)}. {hint}")
