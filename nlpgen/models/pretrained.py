"""Models that come from a folder and go into one, and the contract of the architectures."""

import dataclasses
import re
import warnings

import keras
import numpy as np

from nlpgen.checkpoints import (
    SUFFIXES,
    VocabularySubset,
    count_not_finite,
    dump_weights,
    load_weights,
    open_folder,
    save_folder,
)
from nlpgen.errors import CheckpointWarning, ConfigError, InputError, VocabularyError, WeightsMismatch
from nlpgen.text import Vocab, WordPieceTokenizer
from nlpgen.version import __version__

LAYER_NUMBER = re.compile(r"layer[._](\d+)")


class PretrainedModel(keras.Model):
    """A `keras.Model` with `from_pretrained` and `save_pretrained`.

    A subclass defines `checkpoint_names` (see `nlpgen.checkpoints`), `backbone` (unless it is one), `architecture`
    (from an open folder to the class of its backbone), and `build` without arguments.

    Attributes:
        tokenizer: the tokenizer of the checkpoint, or `None`.
    """

    hugging_face_class = "{}Model"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tokenizer = None
        # Texts come in many lengths, and XLA would compile each anew; see benchmarks/results.md for the figures.
        self.jit_compile = keras.config.backend() == "jax"

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder,
        *,
        dtype=None,
        keep_tokens=None,
        compound_tokens=None,
        check_finite=True,
        **config_changes,
    ):
        """Load a checkpoint.

        Args:
            name_or_folder: an embedded model (`nlpgen.embedded_models()`), or a folder: a Google TensorFlow release, a
                Hugging Face folder, or what `save_pretrained` wrote.
            dtype: type of weights and computation, e.g. `"bfloat16"`, or a Keras policy; Keras' default otherwise.
            keep_tokens: ids of the vocabulary to keep, in this order; ids are then counted anew.
            compound_tokens: further tokens as averages of others: `{token: ids}` or `{token: (ids, weights)}`; the ids
                count after `keep_tokens`.
            check_finite: whether NaN and infinite weights are refused.
            config_changes: other values for fields of the config, e.g. `hidden_act="gelu_tanh"`,
                `num_hidden_layers=3` for the first three layers, `hierarchical_position=0.4`.

        Raises:
            CheckpointNotFound, CheckpointCorrupt, UnsafeFormat, ConfigError, VocabularyError, WeightsMismatch,
            NonFiniteWeights: with the file, what was expected against what was found, and what to do.
        """
        folder = open_folder(name_or_folder)
        model, folder = prepare(cls, folder, dtype, keep_tokens, compound_tokens, config_changes)
        used = load_weights(model, folder.tensors, check_finite, where=folder.path)
        report_unread(model, folder, used)
        return model

    @classmethod
    def over(cls, backbone):
        """The model on a backbone."""
        return cls(backbone)

    @classmethod
    def check_checkpoint(cls, folder, backbone_class):
        """Raise or warn where the tensors of a folder are not fit for this model, before it is made."""

    def save_pretrained(self, folder, format="nlpgen", dtype=None):
        """Write config, vocabulary and weights; a reader finds the old folder or the new one, never a part.

        Args:
            folder: where; an existing model folder is replaced.
            format: `"nlpgen"`, `"huggingface"` (for `transformers`) or `"tensorflow"` (for bert4keras and Google's
                code).
            dtype: type on disk, e.g. `"float16"`; the model's own by default. A TensorFlow checkpoint is float32.

        Raises:
            InputError: if the format is unknown.
            OutputError: if the folder cannot be written; what was there is intact.
        """
        save_models(folder, [self], format, dtype)

    def get_config(self):
        return {"name": self.name, "tokenizer": _serialize(self.tokenizer), "backbone": _serialize(self.backbone)}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        tokenizer, backbone = (_deserialize(config.pop(part)) for part in ("tokenizer", "backbone"))
        model = cls(backbone, **config)
        model.tokenizer = tokenizer
        return model

    def get_build_config(self):
        return {"built": self.built}

    def build_from_config(self, config):
        self.build()


class Backbone(PretrainedModel):
    """Token ids to hidden states: the base of the architectures.

    A subclass sets the attributes below, makes `self.embeddings` and its other layers in `__init__`, builds them in
    `build`, and defines `embed` and `encode`. Soft prompts and latent codes enter between the two.

    Attributes:
        config_class: its `Config`.
        model_type: its name in `config.json`.
        hugging_face_as: the architecture that Hugging Face's config calls it by, where that is not itself.
        numbered_by: the field of the config that counts the numbered rows of `checkpoint_names`.
        next_sentence_class: Hugging Face's class with the next-sentence head, with a place for the architecture's name.
        hugging_face_names: PyTorch's scopes by ours where they do not follow the rule, see `nlpgen.checkpoints`.
        vocabulary_names: tensors whose first axis is the vocabulary; the token embedding first.
        heads: tables of names of the heads that its checkpoints may have.
        has, lacks: tensors that such a checkpoint has and those it never has, to know one whose config says nothing.
        others: how the names of another model's tensors begin that its checkpoints may hold besides.
    """

    config_class = None
    model_type = None
    hugging_face_as = None
    numbered_by = "num_hidden_layers"
    next_sentence_class = "{}ForNextSentencePrediction"
    checkpoint_names = {}
    hugging_face_names = {}
    vocabulary_names = ()
    heads = {}
    has = ()
    lacks = ()
    others = ()

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config

    @classmethod
    def architecture(cls, folder):
        said = folder.config.get("model_type")
        likely = None if cls.is_shown_by(folder) else next(_shown_by(folder, Backbone), None)
        if likely is None and (said is None or cls.is_called(said)):
            return cls
        if likely is None:
            problem, remedy = f"{folder.config_path} says model_type {said!r}", "Use the class of that architecture."
        else:
            problem = f"The tensors of {folder.path} are named as those of {likely.__name__}"
            remedy = f"Use {likely.__name__}.from_pretrained."
            if not likely.is_called(said) and said is not None:
                remedy += f" {folder.config_path} should say model_type {likely.model_type!r}, not {said!r}."
        raise ConfigError(f"{problem}, but {cls.__name__} reads {cls.model_type!r}. {remedy}")

    @classmethod
    def is_called(cls, model_type):
        """Whether a config means this architecture by its `model_type`."""
        return any(model_type == known.model_type for known in (cls, cls.hugging_face_as) if known is not None)

    @classmethod
    def opened(cls, folder, changes=None):
        """An open folder with its tensors under the names of this architecture.

        Args:
            changes: the fields of the config that will be changed.
        """
        return folder.named_by(cls.hugging_face_names)

    @classmethod
    def is_shown_by(cls, folder):
        """Whether the tensors of an open folder are those of this architecture."""
        tensors = cls.opened(folder).tensors
        return all(name in tensors for name in cls.has) and not any(name in tensors for name in cls.lacks)

    @classmethod
    def config_of(cls, folder):
        """The config of an open folder."""
        return cls.config_class.from_dict(folder.config, folder.config_path)

    @classmethod
    def over(cls, backbone):
        return backbone

    def embed(self, inputs):
        """`{"token_ids": (batch, length), …}` to input vectors `(batch, length, size)`."""
        raise NotImplementedError

    def encode(self, x, inputs):
        """Input vectors to hidden states `(batch, length or positions, hidden_size)`."""
        raise NotImplementedError

    def call(self, inputs):
        return self.encode(self.embed(inputs), inputs)

    @classmethod
    def head_names(cls, head):
        """The table of names of a head.

        Raises:
            ConfigError: if the architecture has no such head.
        """
        if head not in cls.heads:
            raise ConfigError(
                f"{cls.__name__} has no head {head!r}. It has: {', '.join(cls.heads) or 'none'}. "
                "Use the model of one of these, or another checkpoint."
            )
        return cls.heads[head]

    def get_config(self):
        policy = keras.dtype_policies.serialize(self.dtype_policy)
        return {"name": self.name, "tokenizer": _serialize(self.tokenizer), "dtype": policy} | {
            "config": self.config.to_dict()
        }

    @classmethod
    def from_config(cls, config):
        policy = keras.dtype_policies.deserialize(config["dtype"])
        model = cls(cls.config_class.from_dict(config["config"]), dtype=policy, name=config["name"])
        model.tokenizer = _deserialize(config["tokenizer"])
        return model


def backbone_of(model):
    """The `Backbone` that a model stands on, or is."""
    return model if isinstance(model, Backbone) else model.backbone


def prepare(cls, folder, dtype=None, keep_tokens=None, compound_tokens=None, config_changes=None):
    """Make the model that a folder describes, without its weights.

    Args:
        cls: a `PretrainedModel`.
        folder: an open `ModelFolder`.
        dtype, keep_tokens, compound_tokens, config_changes: see `PretrainedModel.from_pretrained`.

    Returns:
        The built model, and the folder with the tensors to load into it.
    """
    backbone_class = cls.architecture(folder)
    config_changes = config_changes or {}
    folder = backbone_class.opened(folder, config_changes)
    config = backbone_class.config_of(folder)
    _check_layers(folder, backbone_class, config, config_changes)
    cls.check_checkpoint(folder, backbone_class)
    vocab = Vocab.read(folder.vocab_path) if folder.vocab_path else None
    tensors, table = folder.tensors, backbone_class.vocabulary_names[0]
    if table in tensors:  # otherwise load_weights says what is missing
        _check_vocabulary(folder, table, config, vocab)
        if keep_tokens is not None or compound_tokens:
            compound = compound_tokens or {}
            if not isinstance(compound, dict):
                raise InputError(f"`compound_tokens` must be a dict {{token: ids}}. Received: {compound!r:.60}")
            tensors = VocabularySubset(tensors, backbone_class.vocabulary_names, keep_tokens, compound.values())
            if vocab is not None:
                vocab = Vocab([*(vocab if keep_tokens is None else vocab.subset(keep_tokens)).tokens, *compound])
        config = config.replace(vocab_size=tensors.shape(table)[0], pad_token_id=_pad_id(config, keep_tokens))
    tokenizer = None
    if vocab is not None:
        tokenizer = _tokenizer(vocab, folder.tokenizer_config)
        config = config.replace(pad_token_id=tokenizer.pad_id)
    model = cls.over(backbone_class(config.replace(**config_changes), dtype=dtype))
    model.build()
    model.tokenizer = backbone_of(model).tokenizer = tokenizer
    return model, dataclasses.replace(folder, tensors=tensors)


def report_unread(model, folder, used, other_heads=False):
    """Warn of the tensors of a folder that the model did not read.

    An optimizer's are no news, nor are layers beyond those asked for, nor those of other heads and models that the
    architecture knows, unless `other_heads`.
    """
    backbone, tensors = backbone_of(model), folder.tensors
    scopes, others = [], ()
    if not other_heads:
        scopes = [getattr(entry, "scope", entry) for table in backbone.heads.values() for entry in table.values()]
        others = backbone.others
    of_heads = {tensors.original(scope + leaf) for scope in scopes for leaf in SUFFIXES}
    layers = backbone.config.num_hidden_layers
    unread = [
        name
        for name in tensors.unread(used)
        if not (name in of_heads or name.startswith(others))
        and all(int(n) < layers for n in LAYER_NUMBER.findall(name))
    ]
    if unread:
        warnings.warn(
            f"{len(unread)} tensors of {folder.path} are no part of {type(model).__name__} and were not read: "
            + ", ".join(unread),
            CheckpointWarning,
            stacklevel=3,
        )


def save_models(folder, models, format="nlpgen", dtype=None):
    """Write models that share a backbone into one folder; see `PretrainedModel.save_pretrained`."""
    model, backbone, tokenizer = models[0], backbone_of(models[0]), models[0].tokenizer
    if dtype not in (None, "float32", "float16", "bfloat16"):
        raise InputError(f"`dtype` must be 'float32', 'float16' or 'bfloat16'. Received: {dtype!r}")
    for each in models:
        if not each.built:
            each.build()
    tensors = {name: tensor for each in models for name, tensor in dump_weights(each).items()}
    if dtype is not None and format != "tensorflow":  # which is always float32
        tensors = {name: _cast(name, tensor, dtype) for name, tensor in tensors.items()}
    kinds = {each.hugging_face_class for each in models}
    kind = "{}ForPreTraining" if len(kinds) > 2 else model.hugging_face_class
    architecture, fields = type(backbone), backbone.config.to_dict()
    if format == "huggingface":
        architecture, fields = backbone.hugging_face_as or architecture, backbone.config.to_hugging_face()
    config = {
        "model_type": architecture.model_type,
        "architectures": [kind.format(architecture.__name__)],
        **{name: value for name, value in fields.items() if value is not None},
    }
    settings = None
    if tokenizer is not None:
        special = {f"{role}_token": token for role, token in tokenizer.special_tokens.items()}
        settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": tokenizer.lowercase, **special}
    about = {"nlpgen_version": __version__, "architecture": backbone.model_type}
    save_folder(
        folder,
        config,
        tensors,
        format,
        tokenizer and tokenizer.vocab,
        settings,
        about,
        backbone.hugging_face_names,
    )


def _shown_by(folder, base):
    """The architectures under `base`, nlpgen's and the user's, whose tensors a folder holds."""
    for cls in base.__subclasses__():
        if cls.has and cls.is_shown_by(folder):
            yield cls
        yield from _shown_by(folder, cls)


def _check_layers(folder, backbone_class, config, changes):
    """The config has as many layers as the weights, unless the user asks for the first ones only."""
    held = _held_layers(folder.tensors, backbone_class.checkpoint_names)
    field = backbone_class.numbered_by
    wanted = changes.get(field, getattr(config, field))
    if held and (wanted > held or (wanted < held and field not in changes)):
        what = field.removeprefix("num_hidden_")
        raise WeightsMismatch(
            f"{folder.config_path} says {wanted} {what}, but the weights hold {held}. Correct `{field}` "
            f"there, or pass it to `from_pretrained` to load the first {what} only."
        )


def _held_layers(tensors, table):
    """How many numbered layers a checkpoint has, by the first row with a number."""
    numbered = [entry for entry in table.values() if isinstance(entry, str) and "{i" in entry]
    held = 0
    while numbered and any(numbered[0].format(i=held) + suffix in tensors for suffix in SUFFIXES):
        held += 1
    return held


def _check_vocabulary(folder, table, config, vocab):
    """The rows of the embedding decide; a vocabulary may be shorter (tables are padded), never longer."""
    rows = folder.tensors.shape(table)[0]
    if vocab is not None and len(vocab) > rows:
        raise VocabularyError(
            f"{folder.vocab_path} has {len(vocab):,} lines, but `{table}` has {rows:,} rows. "
            "The model was saved with a smaller vocabulary: use the vocab.txt that was saved with it."
        )
    if vocab is not None and len(vocab) < rows:
        warnings.warn(
            f"{folder.vocab_path} has {len(vocab):,} lines, but `{table}` has {rows:,} rows: the last ones belong to "
            "no token. If the table is not padded, this is the vocabulary of another model.",
            CheckpointWarning,
            stacklevel=4,
        )
    if config.vocab_size != rows:
        warnings.warn(
            f"{folder.config_path} says vocab_size {config.vocab_size:,}, but `{table}` has {rows:,} rows, "
            "which count.",
            CheckpointWarning,
            stacklevel=4,
        )


def _pad_id(config, keep_tokens):
    """Where padding is after `keep_tokens`; where it was dropped, the first id, as ever."""
    kept = [] if keep_tokens is None else list(keep_tokens)
    return kept.index(config.pad_token_id) if config.pad_token_id in kept else config.pad_token_id if not kept else 0


def _cast(name, tensor, dtype):
    with np.errstate(over="ignore"):
        cast = tensor.astype(dtype)
    if count_not_finite(cast) > count_not_finite(tensor):
        raise InputError(
            f"`{name}` has values up to {np.abs(tensor).max():.3g}, too large for {dtype}. Use 'bfloat16'."
        )
    return cast


def _tokenizer(vocab, settings):
    if not isinstance(settings.get("do_lower_case", True), bool):
        raise ConfigError(
            f"tokenizer_config.json: `do_lower_case` must be true or false. Received: {settings['do_lower_case']!r}. "
            "Correct it there."
        )
    special = {role: settings.get(f"{role}_token") for role in ("pad", "unk", "cls", "sep", "mask")}
    special = {role: token for role, token in special.items() if isinstance(token, str)}
    return WordPieceTokenizer(vocab, settings.get("do_lower_case", True), **special)


def _serialize(value):
    return None if value is None else keras.saving.serialize_keras_object(value)


def _deserialize(value):
    return None if value is None else keras.saving.deserialize_keras_object(value)
