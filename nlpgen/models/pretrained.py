"""Models that come from a folder and go into one, and the contract of the architectures."""

import dataclasses
import warnings
from collections import ChainMap

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
from nlpgen.models.export import FORMATS, export_onnx, export_saved_model, signature_of
from nlpgen.text import read_tokenizer, vocabulary_file
from nlpgen.version import __version__


class PretrainedModel(keras.Model):
    """A `keras.Model` with `from_pretrained` and `save_pretrained`.

    A subclass defines `checkpoint_names` (see `nlpgen.checkpoints`), `backbone` (unless it is one), `architecture`
    (from an open folder to the class of its backbone), `build` without arguments, and `call` with an argument
    `training`: `fit` says to no other model that it is training, and dropout would stay off.

    Attributes:
        tokenizer: the tokenizer of the checkpoint, or `None`.
    """

    hugging_face_class = "{}Model"
    export_inputs = ("token_ids",)

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
        backbone=None,
        model_type=None,
        dtype=None,
        keep_tokens=None,
        compound_tokens=None,
        tokenizer=None,
        check_finite=True,
        **config_changes,
    ):
        """Load a checkpoint.

        Args:
            name_or_folder: an embedded model (`nlpgen.embedded_models()`), or a folder: a Google TensorFlow release, a
                Hugging Face folder, or what `save_pretrained` wrote.
            backbone: that of another model, to share. Of the checkpoint only the head is read then, and no argument may
                be given that would change the backbone.
            model_type: the architecture, a key of `nlpgen.ARCHITECTURES`, where neither config nor tensors tell it.
            dtype: type of weights and computation, e.g. `"bfloat16"`, or a Keras policy; `"auto"` for the type of the
                file, if all of it is float16 or bfloat16; Keras' default otherwise.
            keep_tokens: ids of the vocabulary to keep, in this order; ids are then counted anew.
            compound_tokens: further tokens as averages of others: `{token: ids}` or `{token: (ids, weights)}`; the ids
                count after `keep_tokens`.
            tokenizer: a `Tokenizer` of the kept and compound tokens, in place of the folder's own vocabulary, e.g. for
                an mT5 whose trimmed SentencePiece model lies elsewhere.
            check_finite: whether NaN and infinite weights are refused.
            config_changes: other values for fields of the config, e.g. `hidden_act="gelu_tanh"`,
                `num_hidden_layers=3` for the first three layers, `hierarchical_position=0.4`.

        Raises:
            CheckpointNotFound, CheckpointCorrupt, UnsafeFormat, ConfigError, VocabularyError, WeightsMismatch,
            NonFiniteWeights: with the file, what was expected against what was found, and what to do.
        """
        folder = open_folder(name_or_folder)
        if model_type is not None:
            folder = dataclasses.replace(folder, config=folder.config | {"model_type": model_type})
        if backbone is None:
            model, folder = prepare(cls, folder, dtype, keep_tokens, compound_tokens, config_changes, tokenizer)
            tensors = folder.tensors
        else:
            options = {"tokenizer": tokenizer, "dtype": dtype, "keep_tokens": keep_tokens}
            options |= {"compound_tokens": compound_tokens}
            given = [name for name, value in (options | config_changes).items() if value is not None]
            if given:
                raise InputError(f"A model that shares a `backbone` takes it as it is: leave {', '.join(given)} away.")
            model, folder = _over_shared(cls, backbone, folder)
            tensors = ChainMap(dump_weights(backbone), folder.tensors)  # the backbone stays what it is
        used = load_weights(model, tensors, check_finite, where=folder.path)
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

    def check_format(self, format):
        """Raise `InputError` if the model cannot be written in a format."""

    def save_pretrained(self, folder, format="nlpgen", dtype=None, others=(), max_shard_size=None):
        """Write config, vocabulary and weights; a reader finds the old folder or the new one, never a part.

        Args:
            folder: where; an existing model folder is replaced.
            format: `"nlpgen"`, `"huggingface"` (for `transformers`) or `"tensorflow"` (for bert4keras and Google's
                code).
            dtype: type on disk, e.g. `"float16"`; the model's own by default. A TensorFlow checkpoint is float32.
            others: further models over the same backbone, whose heads are written too.
            max_shard_size: bytes that a weight file of Hugging Face's format may have, 5 GB by default; what is larger
                goes into several files under an index.

        Raises:
            InputError: if the format is unknown or not one of the architecture's, an option does not fit, or another
                model has a backbone of its own.
            OutputError: if the folder cannot be written; what was there is intact.
        """
        save_models(folder, [self, *others], format, dtype, max_shard_size)

    def export(self, filepath, format="tf_saved_model", inputs=None, verbose=False, **options):
        """Write the forward pass for programs without nlpgen: batch and lengths stay free.

        Args:
            filepath: a new folder for a SavedModel, a file for ONNX.
            format: `"tf_saved_model"`, or `"onnx"` (TensorFlow backend; needs the extra `onnx`).
            inputs: names of the inputs that the result takes, in the order of its arguments; those of `export_inputs`
                by default. `("token_ids", "positions")` gives logits at some positions only.
            verbose: whether Keras reports what it wrote.
            options: see `keras.Model.export`.

        Raises:
            InputError: if a name of `inputs` or `format` is unknown, or the model is not fit for ONNX.
            OutputError: if the result cannot be written.
            NlpgenError: if a library is missing.
        """
        if format not in FORMATS:
            raise InputError(f"`format` must be one of {', '.join(FORMATS)}. Received: {format!r}")
        if not self.built:
            self.build()
        signature = signature_of(self, self.export_inputs if inputs is None else inputs)
        write = export_onnx if format == "onnx" else export_saved_model
        write(self, filepath, signature, verbose=verbose, **options)

    def stateless_call(self, trainable_variables, non_trainable_variables, *args, return_losses=False, **kwargs):
        """Keras' own, which `fit` uses on JAX, but through `__call__`.

        Keras 3.15 calls `call`, so that the layers below never hear of `training` and dropout stays off.
        """
        mapping = [
            *zip(self.trainable_variables, trainable_variables, strict=True),
            *zip(self.non_trainable_variables, non_trainable_variables, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping, collect_losses=return_losses) as scope:
            outputs, losses = self(*args, **kwargs), self.losses
        state = [scope.get_current_value(variable) for variable in self.non_trainable_variables]
        return (outputs, state, losses) if return_losses else (outputs, state)

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
        vocabulary_names: tensors with a vocabulary axis, see `VocabularySubset`; the token embedding first.
        heads: tables of names of the heads that its checkpoints may have.
        has, lacks: tensors that such a checkpoint has and those it never has, to know one whose config says nothing.
        tensorflow_form: whether there are TensorFlow checkpoints of it.
        other_types: other names that such a checkpoint's config may have; its tensors then decide.
        config_marks: fields of the config that tell it from architectures with the same tensors.
        others: how the names of another model's tensors begin that its checkpoints may hold besides.
        ignored: how the names of tensors begin that its checkpoints may have and that it has no use for.
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
    tensorflow_form = True
    other_types = ()
    config_marks = ()
    others = ()
    ignored = ()

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config

    @classmethod
    def architecture(cls, folder):
        likely = likely_architectures(_architectures(Backbone), folder)
        called = folder.config.get("model_type") is None or cls.is_called(folder)
        if called and (
            cls in likely or cls.is_shown_by(folder) or not any(each.is_shown_by(folder) for each in likely)
        ):
            return cls
        what = f"The tensors of {folder.path} are not those of a {cls.__name__}."
        if not called:
            said = folder.config.get("model_type")
            what = f"{folder.config_path} says model_type {said!r}, but {cls.__name__} reads {cls.model_type!r}."
        names = " or ".join(each.__name__ for each in likely if each is not cls)
        raise ConfigError(f"{what} Use {names or 'the class of that architecture'}.")

    @classmethod
    def is_called(cls, folder):
        """Whether the `model_type` of an open folder means this architecture."""
        said = folder.config.get("model_type")
        return said == cls.model_type or (said in cls.other_types and (cls.is_marked(folder) or not cls.config_marks))

    @classmethod
    def is_marked(cls, folder):
        """Whether the config of an open folder has a field that tells this architecture from others."""
        return any(mark in folder.config for mark in cls.config_marks)

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
        return (
            bool(cls.has)
            and all(name in tensors for name in cls.has)
            and not any(name in tensors for name in cls.lacks)
        )

    @classmethod
    def held_by(cls, folder):
        """This class, or the one for the part of the architecture that an open folder holds."""
        return cls

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

    def call(self, inputs, training=None):
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


def likely_architectures(classes, folder, head=None):
    """Which of some architectures an open folder may hold: one, or several that cannot be told apart.

    Those that its config means and its tensors show; if there is none, those that its tensors show, or else those that
    its config means. Of several the ones that fields of the config mark, that have the head, and that the config names
    exactly; of a model and a special case of it, the model.
    """
    said = folder.config.get("model_type")
    called = [cls for cls in classes if said is None or cls.is_called(folder)]
    shown = [cls for cls in classes if cls.is_shown_by(folder)]
    likely = [cls for cls in called if cls in shown] or shown or (called if said is not None else [])
    for better in (
        lambda cls: cls.is_marked(folder),
        lambda cls: head in cls.heads,
        lambda cls: cls.model_type == said,
    ):
        likely = [cls for cls in likely if better(cls)] or likely
    return [cls for cls in likely if not any(issubclass(cls, other) for other in likely if other is not cls)]


def prepare(cls, folder, dtype=None, keep_tokens=None, compound_tokens=None, config_changes=None, tokenizer=None):
    """Make the model that a folder describes, without its weights.

    Args:
        cls: a `PretrainedModel`.
        folder: an open `ModelFolder`.
        dtype, keep_tokens, compound_tokens, config_changes, tokenizer: see `PretrainedModel.from_pretrained`.

    Returns:
        The built model, and the folder with the tensors to load into it.
    """
    backbone_class = cls.architecture(folder)
    config_changes = config_changes or {}
    folder = backbone_class.opened(folder, config_changes)
    config = backbone_class.config_of(folder)
    _check_layers(folder, backbone_class, config, config_changes)
    cls.check_checkpoint(folder, backbone_class)
    found = _tokenizer(folder) if tokenizer is None else None
    tensors, table = folder.tensors, backbone_class.vocabulary_names[0]
    if table in tensors:  # otherwise load_weights says what is missing
        _check_vocabulary(folder, table, config, found)
        if keep_tokens is not None or compound_tokens:
            compound = compound_tokens or {}
            if not isinstance(compound, dict):
                raise InputError(f"`compound_tokens` must be a dict {{token: ids}}. Received: {compound!r:.60}")
            known = [token for token in compound if found is not None and token in found.vocab]
            if known:
                raise InputError(f"`compound_tokens` has {', '.join(known)}, which the vocabulary has. Give new names.")
            if found is not None:
                of_tokens = _without_padding(keep_tokens, len(found.vocab), tensors.shape(table)[0])
                found = found.with_tokens(None if keep_tokens is None else of_tokens, list(compound))
                keep_tokens = of_tokens if compound else keep_tokens  # no row of padding before the compound tokens
            tensors = VocabularySubset(tensors, backbone_class.vocabulary_names, keep_tokens, compound.values())
        config = config.replace(vocab_size=tensors.shape(table)[0], **_special_ids(config, keep_tokens))
    if tokenizer is not None and len(tokenizer.vocab) > config.vocab_size:
        raise VocabularyError(
            f"`tokenizer` has {len(tokenizer.vocab):,} tokens, but the model has {config.vocab_size:,} rows for them. "
            "Give the tokenizer of the kept and compound tokens."
        )
    tokenizer = found if tokenizer is None else tokenizer
    if tokenizer is not None and tokenizer.has_padding:
        config = config.replace(pad_token_id=tokenizer.pad_id)
    dtype = _stored_type(tensors) if dtype == "auto" else dtype
    model = cls.over(backbone_class(config.replace(**config_changes), dtype=dtype), folder)
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
    numbered = _numbered(backbone.checkpoint_names)
    beyond = {
        tensors.original(scope.format(i=i) + leaf)
        for i in range(getattr(backbone.config, backbone.numbered_by), _held_layers(tensors, backbone.checkpoint_names))
        for scope in numbered
        for leaf in SUFFIXES
    }
    unread = [
        name
        for name in tensors.unread(used)
        if name not in of_heads | beyond and not name.startswith((*others, *backbone.ignored))
    ]
    if unread:
        warnings.warn(
            f"{len(unread)} tensors of {folder.path} are no part of {type(model).__name__} and were not read: "
            + ", ".join(unread),
            CheckpointWarning,
            stacklevel=3,
        )


def save_models(folder, models, format="nlpgen", dtype=None, max_shard_size=None):
    """Write models that share a backbone into one folder; see `PretrainedModel.save_pretrained`."""
    model, backbone, tokenizer = models[0], backbone_of(models[0]), models[0].tokenizer
    if format == "tensorflow" and not backbone.tensorflow_form:
        raise InputError(
            f"{type(backbone).__name__} has no TensorFlow form: there is no such checkpoint and no reader of one. "
            "Use format='huggingface' or 'nlpgen'."
        )
    strange = [each.name for each in models if backbone_of(each) is not backbone]
    if strange:
        raise InputError(
            f"One folder holds one backbone, but {', '.join(strange)} has another than {model.name}. Make the models "
            "over one: `NextSentence(model.backbone)`, or `from_pretrained(folder, backbone=model.backbone)`."
        )
    if dtype not in (None, "float32", "float16", "bfloat16"):
        raise InputError(f"`dtype` must be 'float32', 'float16' or 'bfloat16'. Received: {dtype!r}")
    for each in models:
        each.check_format(format)
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
        **{name: value for name, value in fields.items() if value is not None or name == "pad_token_id"},
        **{name: value for each in models for name, value in each.head_config().items()},
    }
    about = {"nlpgen_version": __version__, "architecture": backbone.model_type}
    save_folder(
        folder,
        config,
        tensors,
        format,
        tokenizer and tokenizer.files(),
        about,
        backbone.hugging_face_names,
        max_shard_size,
    )


def _over_shared(cls, backbone, folder):
    """A built model over a backbone that exists, and the folder with the tensors of its head."""
    folder = folder.named_by(type(backbone).architecture(folder).hugging_face_names)
    cls.check_checkpoint(folder, type(backbone))
    model = cls.over(backbone, folder)
    model.build()
    return model, folder


def _architectures(base):
    """The classes below a base that are architectures."""
    found = [base] if base.model_type else []
    return found + [cls for sub in base.__subclasses__() for cls in _architectures(sub)]


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
    numbered, held = _numbered(table), 0
    while numbered and any(numbered[0].format(i=held) + suffix in tensors for suffix in SUFFIXES):
        held += 1
    return held


def _numbered(table):
    """The scopes that a table counts."""
    scopes = (getattr(entry, "scope", entry) for entry in table.values())
    return [scope for scope in scopes if "{i" in scope]


def _check_vocabulary(folder, table, config, tokenizer):
    """The rows of the embedding decide; a vocabulary may be shorter (tables are padded), never longer."""
    rows = folder.tensors.shape(table)[0]
    tokens = rows if tokenizer is None else len(tokenizer.vocab)
    if tokens > rows:
        raise VocabularyError(
            f"{vocabulary_file(folder.path)} has {tokens:,} tokens, but `{table}` has {rows:,} rows. "
            "The model was saved with a smaller vocabulary: use the one that was saved with it."
        )
    if tokens < rows:
        warnings.warn(
            f"{vocabulary_file(folder.path)} has {tokens:,} tokens, but `{table}` has {rows:,} rows: the last ones "
            "belong to no token. If the table is not padded, this is the vocabulary of another model.",
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


def _special_ids(config, keep_tokens):
    """The ids of padding, start and end after `keep_tokens`.

    Where the token was dropped, padding is the first id, as ever, and the others are none.
    """
    ids = {name: id for name, id in config.to_dict().items() if name.endswith("_token_id") and id is not None}
    if keep_tokens is None:
        return ids
    places = {id: place for place, id in reversed(list(enumerate(keep_tokens)))}
    kept = {}
    for name, id in ids.items():
        if isinstance(id, list):
            kept[name] = [places[each] for each in id if each in places]
        else:
            kept[name] = places.get(id, 0 if name == "pad_token_id" else None)
    return kept


def _stored_type(tensors):
    """The one type of all floating-point tensors if it is a half-precision one, else `None`."""
    types = {tensors.dtype(name) for name in tensors}
    types = {name for name in types if "float" in name}
    return types.pop() if types in ({"float16"}, {"bfloat16"}) else None


def _without_padding(keep_tokens, tokens, rows):
    """The kept ids without those at the end that are rows of no token; all tokens where nothing is cut."""
    kept = list(range(tokens) if keep_tokens is None else keep_tokens)
    while kept and tokens <= kept[-1] < rows:
        kept.pop()
    return kept


def _cast(name, tensor, dtype):
    with np.errstate(over="ignore"):
        cast = tensor.astype(dtype)
    if count_not_finite(cast) > count_not_finite(tensor):
        raise InputError(
            f"`{name}` has values up to {np.abs(tensor).max():.3g}, too large for {dtype}. Use 'bfloat16'."
        )
    return cast


def _tokenizer(folder):
    tokenizer = read_tokenizer(folder.path)
    if tokenizer is None:
        warnings.warn(
            f"{folder.path} has no vocabulary (vocab.txt, spiece.model or tokenizer.json), so the model reads token "
            "ids only. Copy it there from the release, or pass `tokenizer`.",
            CheckpointWarning,
            stacklevel=4,
        )
    return tokenizer


def _serialize(value):
    """The config of an object, marked so that models which share it do so again in a `.keras` file.

    Keras marks by itself, but loses the first mark where configs are nested.
    """
    return None if value is None else keras.saving.serialize_keras_object(value) | {"shared_object_id": id(value)}


def _deserialize(value):
    return None if value is None else keras.saving.deserialize_keras_object(value)
