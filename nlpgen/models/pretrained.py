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
    def over(cls, backbone, folder):
        """The model on a backbone, as an open `ModelFolder` describes it."""
        return cls(backbone)

    @classmethod
    def check_checkpoint(cls, folder, backbone_class):
        """Raise or warn where the tensors of a folder are not fit for this model, before it is made."""

    def head_config(self):
        """Fields of `config.json` that say what stands on the backbone."""
        return {}

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
        hugging_face_names: PyTorch's scopes by ours where they do not follow the rule, see `nlpgen.checkpoints`.
        vocabulary_names: tensors whose first axis is the vocabulary; the token embedding first.
        heads: tables of names of the heads that its checkpoints may have.
        has, lacks: tensors that such a checkpoint has and those it never has, to know one whose config says nothing.
    """

    config_class = None
    model_type = None
    checkpoint_names = {}
    hugging_face_names = {}
    vocabulary_names = ()
    heads = {}
    has = ()
    lacks = ()

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config

    @classmethod
    def architecture(cls, folder):
        found = folder.config.get("model_type", cls.model_type)
        if found != cls.model_type:
            raise ConfigError(
                f"{folder.config_path} says model_type {found!r}, but {cls.__name__} reads {cls.model_type!r}. "
                "Use the class of that architecture."
            )
        return cls

    @classmethod
    def is_shown_by(cls, folder):
        """Whether the tensors of an open folder are those of this architecture."""
        tensors = folder.tensors.named_by(cls.hugging_face_names)
        return all(name in tensors for name in cls.has) and not any(name in tensors for name in cls.lacks)

    @classmethod
    def config_of(cls, folder):
        """The config of an open folder."""
        return cls.config_class.from_dict(folder.config, folder.config_path)

    @classmethod
    def over(cls, backbone, folder):
        return backbone

    def embed(self, inputs):
        """`{"token_ids": (batch, length), …}` to input vectors `(batch, length, size)`."""
        raise NotImplementedError

    def encode(self, x, inputs):
        """Input vectors to hidden states `(batch, length or positions, hidden_size)`."""
        raise NotImplementedError

    def call(self, inputs):
        return self.encode(self.embed(inputs), inputs)

    def head_names(self, head):
        """The table of names of a head.

        Raises:
            ConfigError: if the architecture has no such head.
        """
        if head not in self.heads:
            raise ConfigError(f"{type(self).__name__} has no head {head!r}. It has: {', '.join(self.heads) or 'none'}.")
        return self.heads[head]

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
    folder = folder.named_by(backbone_class.hugging_face_names)
    config = backbone_class.config_of(folder)
    config_changes = config_changes or {}
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
    model = cls.over(backbone_class(config.replace(**config_changes), dtype=dtype), folder)
    model.build()
    model.tokenizer = backbone_of(model).tokenizer = tokenizer
    return model, dataclasses.replace(folder, tensors=tensors)


def report_unread(model, folder, used, other_heads=False):
    """Warn of the tensors of a folder that the model did not read.

    An optimizer's are no news, nor are layers beyond those asked for, nor those of other heads that the architecture
    knows, unless `other_heads`.
    """
    backbone, tensors = backbone_of(model), folder.tensors
    scopes = (
        []
        if other_heads
        else [getattr(entry, "scope", entry) for table in backbone.heads.values() for entry in table.values()]
    )
    of_heads = {tensors.original(scope + leaf) for scope in scopes for leaf in SUFFIXES}
    layers = backbone.config.num_hidden_layers
    unread = [
        name
        for name in tensors.unread(used)
        if name not in of_heads and all(int(n) < layers for n in LAYER_NUMBER.findall(name))
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
    fields = backbone.config.to_hugging_face() if format == "huggingface" else backbone.config.to_dict()
    config = {
        "model_type": backbone.model_type,
        "architectures": [kind.format(type(backbone).__name__)],
        **{name: value for name, value in fields.items() if value is not None},
        **{name: value for each in models for name, value in each.head_config().items()},
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


def _check_layers(folder, backbone_class, config, changes):
    """The config has as many layers as the weights, unless the user asks for the first ones only."""
    held = _held_layers(folder.tensors, backbone_class.checkpoint_names)
    wanted = changes.get("num_hidden_layers", config.num_hidden_layers)
    if held and (wanted > held or (wanted < held and "num_hidden_layers" not in changes)):
        raise WeightsMismatch(
            f"{folder.config_path} says {wanted} layers, but the weights hold {held}. Correct `num_hidden_layers` "
            "there, or pass it to `from_pretrained` to load the first layers only."
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
