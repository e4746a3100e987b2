"""The contract of the architectures: token ids to hidden states, and which checkpoints are theirs."""

import difflib

import keras
import numpy as np

from nlpgen.errors import ConfigError, InputError, with_article
from nlpgen.models.pretrained import PretrainedModel, deserialized, serialized

# Inputs by the names that they have in transformers.
INPUTS_THERE = {
    "input_ids": "token_ids",
    "token_type_ids": "segment_ids",
    "attention_mask": "padding_mask",
    "decoder_input_ids": "decoder_token_ids",
    "decoder_attention_mask": "decoder_padding_mask",
    "encoder_outputs": "source",
}


# The class of each head that a released checkpoint may have.
HEAD_CLASSES = {
    "causal_lm": "CausalLM",
    "masked_lm": "MaskedLM",
    "pooler": "PooledEncoder",
    "next_sentence": "NextSentence",
    "replaced_tokens": "ReplacedTokenDetector",
    "seq2seq_lm": "Seq2SeqLM",
}


class Backbone(PretrainedModel):
    """Token ids to hidden states: the base of the architectures.

    A subclass sets the attributes below, makes `self.embeddings` and its other layers in `__init__`, builds them in
    `build`, and defines `embed` and `encode`. Soft prompts and latent codes enter between the two.

    Attributes:
        config_class: its `Config`.
        input_names: what the dict of its inputs may have.
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
    input_names = ("token_ids",)
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
        if not isinstance(config, self.config_class):
            name, wanted = type(self).__name__, self.config_class.__name__
            raise ConfigError(
                f"{name} is made from {with_article(wanted)}: {name}({wanted}(…)), or {wanted}.from_dict(fields). "
                f"Received: {type(config).__name__}"
            )
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
        what = f"The tensors of {folder.path} are not those of {with_article(cls.__name__)}."
        if not called:
            said = folder.config.get("model_type")
            what = f"{folder.type_source} says model_type {said!r}, but {cls.__name__} reads {cls.model_type!r}."
        parts = [each for each in likely if not each.heads]  # T5's encoder, which T5 itself finds in a folder
        held = [each.held_by(folder) for each in likely if each.heads]
        names = " or ".join(each.__name__ for each in (not cls.heads and parts) or held if each is not cls)
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

    @property
    def has_segments(self):
        """Whether the model tells segments apart."""
        return getattr(self.config, "type_vocab_size", 0) > 1

    @property
    def export_inputs(self):
        return ("token_ids", "segment_ids") if self.has_segments else ("token_ids",)

    def embed(self, inputs):
        """`{"token_ids": (batch, length), …}` to input vectors `(batch, length, size)`."""
        raise NotImplementedError

    def encode(self, x, inputs):
        """Input vectors to hidden states `(batch, length or positions, hidden_size)`."""
        raise NotImplementedError

    def check_inputs(self, inputs):
        """Raise `InputError` if the inputs are no dict, lack the tokens, are too long, or have what would not be read.

        NumPy's arrays are looked through for ids that no table has, for which JAX gives NaN and says nothing.
        """
        name, known = type(self).__name__, ", ".join(self.input_names)
        if not isinstance(inputs, dict):
            raise InputError(
                f'{name} reads a dict of arrays, {{"token_ids": ids}}; it knows {known}. '
                f"Received: {type(inputs).__name__}"
            )
        unknown = [key for key in inputs if key not in self.input_names]
        if not unknown and "token_ids" in inputs:
            self._check_length(inputs["token_ids"])
            self._check_ids(inputs)
            return
        meant = [(key, self._input_meant_by(key)) for key in unknown]
        hints = [f"`{ours}` for `{theirs}`" for theirs, ours in meant if ours is not None]
        raise InputError(
            f"{name} knows {known}; `token_ids` must be there. Received: {', '.join(map(str, inputs)) or 'nothing'}."
            + (f" Did you mean {', '.join(hints)}?" if hints else "")
        )

    def _check_length(self, token_ids):
        shape, position = getattr(token_ids, "shape", ()), self.embeddings.position
        if len(shape) != 2:
            raise InputError(f"`token_ids` must be an array (batch, length). Received: shape {tuple(shape)}")
        length = shape[1]
        if position is None or None in (length, self.longest) or length <= self.longest:
            return
        larger = ""
        if getattr(self.config, "hierarchical_position", True) is None and self.longest == position.longest:
            larger = ", or load the model with `hierarchical_position=0.4`"
        raise InputError(
            f"The input has {length} positions, but the model knows {self.longest}. Shorten the texts "
            f"(`max_length`){larger}."
        )

    def _check_ids(self, inputs):
        target = inputs.get("decoder_token_ids", inputs["token_ids"])
        rows = self.embeddings.rows | {"positions": target.shape[1]}
        rows["decoder_token_ids"] = rows["token_ids"]
        if "position_ids" in rows:
            rows["position_ids"] = self.longest  # RoBERTa's first rows are not for tokens
        wrong = [
            f"`{name}` must be from 0 to {rows[name] - 1}. Received: {ids.min()} to {ids.max()}"
            for name, ids in inputs.items()
            if isinstance(ids, np.ndarray) and ids.size and rows.get(name) is not None
            if ids.min() < 0 or ids.max() >= rows[name]
        ]
        if wrong:
            raise InputError(f"{type(self).__name__} has no such rows or places:\n  " + "\n  ".join(wrong))

    def _input_meant_by(self, key):
        """The input that a wrong name is for, or `None`."""
        near = [INPUTS_THERE.get(key), *difflib.get_close_matches(str(key), self.input_names, n=1)]
        return next((name for name in near if name in self.input_names), None)

    def call(self, inputs, training=None):
        self.check_inputs(inputs)
        return self.encode(self.embed(inputs), inputs)

    @classmethod
    def head_names(cls, head):
        """The table of names of a head.

        Raises:
            ConfigError: if the architecture has no such head.
        """
        if head not in cls.heads:
            known = ", ".join(f"{name} ({HEAD_CLASSES[name]})" for name in cls.heads) or "none"
            hint = "Use the model of one of these, or another checkpoint."
            if head == "causal_lm" and "masked_lm" in cls.heads and "lm" in cls.config_class.applications:
                hint = "From left to right it reads as MaskedLM.from_pretrained(folder, application='lm')."
            raise ConfigError(
                f"{cls.__name__} has no head {head!r}. It has: {known}. {HEAD_CLASSES[head]} needs {head!r}. {hint}"
            )
        return cls.heads[head]

    def get_config(self):
        policy = keras.dtype_policies.serialize(self.dtype_policy)
        return {"name": self.name, "tokenizer": serialized(self.tokenizer), "dtype": policy} | {
            "config": self.config.to_dict()
        }

    @classmethod
    def from_config(cls, config):
        policy = keras.dtype_policies.deserialize(config["dtype"])
        model = cls(cls.config_class.from_dict(config["config"]), dtype=policy, name=config["name"])
        model.tokenizer = deserialized(config["tokenizer"])
        return model


def check_backbone(head, backbone):
    """Raise `InputError` if what a head, a class, is to stand on is no backbone."""
    if not isinstance(backbone, Backbone):
        hint = ""
        if isinstance(backbone, str):
            hint = f" A checkpoint is loaded by {head.__name__}.from_pretrained({backbone!r})."
        raise InputError(
            f"{head.__name__} stands on a backbone, e.g. Bert(config) or the `backbone` of another model. "
            f"Received: {backbone!r:.60} ({type(backbone).__name__}).{hint}"
        )


def untied_if_held(config, folder, table, head):
    """A config with `tie_word_embeddings=False` where a folder has a head that is not the token embedding.

    The config of the mT5 of transformers 5 says "tied" all the same.
    """
    tensors = folder.tensors
    if not config.tie_word_embeddings or head not in tensors or np.array_equal(tensors[head].T, tensors[table]):
        return config
    return config.replace(tie_word_embeddings=False)


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


def _architectures(base):
    """The classes below a base that are architectures."""
    found = [base] if base.model_type else []
    return found + [cls for sub in base.__subclasses__() for cls in _architectures(sub)]
