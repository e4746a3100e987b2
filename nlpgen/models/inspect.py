"""What a folder holds, and a model in another format: `nlpgen inspect` and `nlpgen convert`."""

import dataclasses
import math

from nlpgen.checkpoints import load_weights, open_folder, rows
from nlpgen.errors import InputError, NlpgenError
from nlpgen.models.architectures import ARCHITECTURES, architecture_of
from nlpgen.models.causal_lm import CausalLM
from nlpgen.models.classifier import SequenceClassifier
from nlpgen.models.labels import CLASSIFIER
from nlpgen.models.loading import prepare, report_unread
from nlpgen.models.masked_lm import MaskedLM
from nlpgen.models.next_sentence import NextSentence, PooledEncoder
from nlpgen.models.replaced_tokens import ReplacedTokenDetector
from nlpgen.models.saving import save_models
from nlpgen.models.seq2seq_lm import Seq2SeqLM
from nlpgen.models.tagger import SequenceTagger, SpanTagger

# The models that a released checkpoint may hold, over one backbone.
HEADS = {
    "causal_lm": CausalLM,
    "masked_lm": MaskedLM,
    "pooler": PooledEncoder,
    "next_sentence": NextSentence,
    "replaced_tokens": ReplacedTokenDetector,
    "seq2seq_lm": Seq2SeqLM,
}
# Those that are trained on one.
WITH_LABELS = {"classifier": SequenceClassifier, "tagger": SequenceTagger, "span_tagger": SpanTagger}
UNKNOWN = "unknown: "


@dataclasses.dataclass(frozen=True)
class Description:
    """What `describe` found.

    Attributes:
        path, format: the folder.
        architecture: name of its class, or why it is none that nlpgen knows.
        heads: the heads whose tensors are there.
        others: `{architecture: heads}` of a second model that is there.
        parameters: numbers in all tensors.
        tensors: for each tensor, by the file's own name: shape, dtype, and the weight of the model that it is, or
            `None` where no row of the tables names it.
        missing: weights of the encoder for which there is no tensor.
    """

    path: str
    format: str
    architecture: str
    heads: list
    others: dict
    parameters: int
    tensors: dict
    missing: list

    @property
    def is_known(self):
        """Whether nlpgen knows the architecture."""
        return not self.architecture.startswith(UNKNOWN)

    def to_dict(self):
        """As plain JSON values."""
        return dataclasses.asdict(self)

    def __str__(self):
        unread = [name for name, tensor in self.tensors.items() if tensor["weight"] is None]
        width = max(map(len, self.tensors), default=0)
        lines = [f"{self.path}: {self.format} format, {self.architecture}"]
        if self.is_known:
            lines += [f"heads: {_listed(self.heads)}"]
            lines += [f"also {name}, heads: {_listed(heads)}" for name, heads in self.others.items()]
        lines += [f"{len(self.tensors)} tensors, {self.parameters:,} parameters"]
        for name, tensor in self.tensors.items():
            weight = f" {tensor['weight'] or '(not read)'}" if self.is_known else ""
            lines.append(f"  {name:{width}}  {tensor['dtype']:8} {tensor['shape']!s:16}{weight}".rstrip())
        if self.is_known:
            lines += [f"named by no row of the table: {', '.join(unread) or 'none'}"]
            lines += [f"missing: {', '.join(self.missing) or 'none'}"]
        return "\n".join(lines)


def describe(name_or_folder, model_type=None):
    """Say what a folder holds, without reading its weights into a model.

    Raises:
        CheckpointNotFound, CheckpointCorrupt, UnsafeFormat, ConfigError: as `from_pretrained` does.
    """
    folder = open_folder(name_or_folder).with_type(model_type)
    weights, heads, others, missing, file = {}, [], {}, [], folder.tensors
    try:
        backbone_class = architecture_of(folder)
        architecture = backbone_class.__name__
    except NlpgenError as error:
        architecture = f"{UNKNOWN}{error}"
    else:
        weights, heads, missing = _read_by(backbone_class, folder)
        for cls in ARCHITECTURES.values():
            if cls is not backbone_class and cls.others and backbone_class.others and cls.is_shown_by(folder):
                more, others[cls.__name__], _ = _read_by(cls, folder)
                weights = more | weights
    originals = {file.original(name) or name: name for name in file}
    return Description(
        path=str(folder.path),
        format=folder.format,
        architecture=architecture,
        heads=heads,
        others=others,
        parameters=sum(math.prod(file.shape(name)) for name in originals.values()),
        tensors={
            original: {
                "shape": list(file.shape(name)),
                "dtype": file.dtype(name),
                "weight": weights.get(original),
            }
            for original, name in originals.items()
        },
        missing=missing,
    )


def _read_by(backbone_class, folder):
    """What an architecture reads of a folder: `{tensor: weight}`, heads, and what is missing of it."""
    folder = backbone_class.opened(folder)
    tensors, backbone = folder.tensors, backbone_class(backbone_class.config_of(folder))
    models = _models_over(backbone)
    heads, names, head = _heads_in(models, backbone, tensors), {}, _head_with_labels(folder)
    if head is not None:
        heads.append(head)
        models[head] = WITH_LABELS[head].over(backbone, folder)
        models[head].build()
    for model in models.values() or [backbone]:
        for row in rows(model):
            names.setdefault(row.name, row.path)
    weights = {tensors.original(name): path for name, path in names.items() if name in tensors}
    missing = [row.name for row in rows(backbone) if row.name not in tensors and not row.optional]
    return weights, heads, missing


def _head_with_labels(folder):
    """Which of `WITH_LABELS` a folder holds, or `None`."""
    if "global_pointer/dense/kernel" in folder.tensors:
        return "span_tagger"
    if CLASSIFIER not in folder.tensors:
        return None
    of_tokens = "crf/transitions" in folder.tensors or "TokenClassification" in str(folder.config.get("architectures"))
    return "tagger" if of_tokens else "classifier"


def _listed(heads):
    return ", ".join(f"{head} ({(HEADS | WITH_LABELS)[head].__name__})" for head in heads) or "none"


def convert(source, target, format="nlpgen", dtype=None, trust_pickle=False, model_type=None):
    """Write a model with all its heads in another format.

    Args:
        source: see `from_pretrained`.
        target: the folder to write.
        format: see `save_pretrained`.
        dtype: type on disk; the source's by default.
        trust_pickle: whether PyTorch's pickles may be read.
        model_type: see `from_pretrained`.

    Returns:
        A sentence on what was written.

    Raises:
        As `from_pretrained` and `save_pretrained` do.
    """
    folder = open_folder(source, trust_pickle).with_type(model_type)
    if "head" in folder.config or "classifier/kernel" in folder.tensors:
        raise InputError(
            f"{folder.path} holds a trained classifier or tagger, which would be lost. Load it with TextClassifier or "
            "TokenClassifier and save it anew."
        )
    backbone_class = architecture_of(folder)
    backbone, folder = prepare(backbone_class, folder, dtype="auto")
    tensors = folder.tensors
    models = _models_over(backbone)
    heads = _heads_in(models, backbone, tensors)
    models = [models[head] for head in heads] or [backbone]
    used = set()
    for model in models:
        used |= load_weights(model, tensors, where=folder.path)
    report_unread(models[0], folder, used, other_heads=True)
    dtype = dtype or tensors.dtype(backbone_class.vocabulary_names[0])
    save_models(target, models, format, dtype)
    return f"{backbone_class.__name__} with {', '.join(heads) or 'no head'} in {format} format"


def _models_over(backbone):
    """`{head: model}` for each head that the architecture knows; all are built, the backbone too."""
    models = {head: HEADS[head](backbone) for head in backbone.heads}
    for model in [backbone, *models.values()]:
        if not model.built:
            model.build()
    return models


def _heads_in(models, backbone, tensors):
    """The heads of which every weight has a tensor; one that is all of the backbone's weights has."""
    own = {row.name for row in rows(backbone)}
    return [
        head
        for head, model in models.items()
        if all(row.name in tensors or row.name in own or row.optional for row in rows(model))
    ]
