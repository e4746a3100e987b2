"""Configs: the fields of the released `config.json`, checked."""

import dataclasses
import difflib
import math
import types
import typing

from nlpgen.errors import ConfigError, with_article
from nlpgen.layers import ACTIVATIONS

LARGEST = 1_000_000  # of any width, count or length
# Activations that transformers calls otherwise.
HF_ACTIVATIONS = {"gelu_erf": "gelu", "gelu_tanh": "gelu_new"}
# What options of bert4keras' `build_transformer_model` are here.
BERT4KERAS = {
    "with_mlm": "`MaskedLM`, or `CausalLM` for a decoder",
    "with_pool": "`PooledEncoder`",
    "with_nsp": "`NextSentence`",
    "with_lm": "`CausalLM`, or `Seq2SeqLM` for a T5",
    "model": "`model_type`",
    "segment_vocab_size": "`type_vocab_size`",
    "return_keras_model": "of no need: every model is a Keras model",
    "config_path": "the folder, the first argument",
    "checkpoint_path": "the folder, the first argument",
    "max_position": "`max_position_embeddings`",
    "layer_norm_cond": "`condition_size`, and the input `condition`",
    "dropout_rate": "`hidden_dropout_prob`",
    "attention_dropout_rate": "`attention_probs_dropout_prob`",
    "ignore_invalid_weights": "left out: what does not fit is an error",
}
NUMBER = {float: (int, float), int: int}


class Config:
    """Base of the architectures' config dataclasses.

    Fields are named as in the released `config.json`, so that the file is the config. A field without a default must be
    in the file.

    Attributes:
        only: fields of released configs that are not ours, and the one value that we can follow.
        applications: values of the field `application`, where there is one.
        spellings: fields under other names in Hugging Face's config of the architecture, `{theirs: ours}`.

    Raises:
        ConfigError: with every field that is wrong.
    """

    only = {}
    applications = ()
    spellings = {}

    def __post_init__(self):
        problems = _type_problems(type(self), dataclasses.asdict(self)) or self.problems()
        if problems:
            raise ConfigError(_message(f"This is no {type(self).__name__}", problems))

    @classmethod
    def from_dict(cls, values, where="the config"):
        """Take the fields that the class knows out of a dict.

        Args:
            values: e.g. a parsed `config.json`; other fields are left aside.
            where: the file, for messages.

        Raises:
            ConfigError: with every field that is missing or wrong.
        """
        values = cls.translated(values)
        fields = {field.name: field for field in dataclasses.fields(cls)}
        known = {name: value for name, value in values.items() if name in fields}
        missing = [
            f"`{name}` is missing"
            for name, field in fields.items()
            if field.default is dataclasses.MISSING and name not in known
        ]
        missing += [
            f"`{name}` must be {value!r}, nothing else is built. Received: {values[name]!r}"
            for name, value in cls.only.items()
            if values.get(name, value) != value
        ]
        if missing:
            problems = missing + _type_problems(cls, known)
            raise ConfigError(_message(f"{where} does not describe {with_article(cls.__name__)}", problems))
        try:
            return cls(**known)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None

    @classmethod
    def translated(cls, values):
        """The values of a released config under our names; ours win where both are there."""
        return {cls.spellings.get(name, name): value for name, value in values.items()} | {
            name: value for name, value in values.items() if name not in cls.spellings
        }

    def problems(self):
        """What is wrong with the values, a list of sentences."""
        return []

    def to_dict(self):
        """The fields as they are written to `config.json`."""
        return dataclasses.asdict(self)

    def to_hugging_face(self):
        """The fields under Hugging Face's names."""
        theirs = {ours: name for name, ours in self.spellings.items()}
        values = self.to_dict()
        if isinstance(values.get("hidden_act"), str):
            values["hidden_act"] = HF_ACTIVATIONS.get(values["hidden_act"], values["hidden_act"])
        return {theirs.get(name, name): value for name, value in values.items()}

    def replace(self, **changes):
        """A config with other values, checked again.

        Raises:
            ConfigError: if a field is unknown or a value wrong.
        """
        unknown = sorted(changes.keys() - {field.name for field in dataclasses.fields(self)})
        if unknown:
            names = ", ".join(field.name for field in dataclasses.fields(self))
            hints = "".join(map(self._hint_for, unknown))
            if "application" in unknown:
                hints += self._having_application(changes["application"])
            raise ConfigError(f"{type(self).__name__} has no field {', '.join(unknown)}. It has: {names}.{hints}")
        return type(self).from_dict(self.to_dict() | changes, "the changed config")

    def _hint_for(self, name):
        """A sentence on what an unknown field is here, or nothing."""
        if name in BERT4KERAS:
            return f" bert4keras' `{name}` is {BERT4KERAS[name]} here."
        others = sorted(_name_of(cls) for cls in _architectures() if name in cls.__dataclass_fields__)
        if others:
            return f" `{name}` is a field of: {', '.join(others)}."
        near = difflib.get_close_matches(name, [field.name for field in dataclasses.fields(self)], n=1, cutoff=0.75)
        return f" Did you mean `{near[0]}` for `{name}`?" if near else ""

    @staticmethod
    def _having_application(value):
        """A sentence that names the architectures with this `application`."""
        names = sorted(_name_of(cls) for cls in _architectures() if value in cls.applications)
        return f" application={value!r} is an option of: {', '.join(names)}." if names else ""

    def _must_be_positive(self, *names):
        return [
            f"`{name}` must be from 1 to {LARGEST:,}. Received: {getattr(self, name)}"
            for name in names
            if not 1 <= getattr(self, name) <= LARGEST
        ]

    def _must_be_above_zero(self, *names):
        return [
            f"`{name}` must be above 0 and finite. Received: {getattr(self, name)}"
            for name in names
            if not 0 < getattr(self, name) < math.inf
        ]

    def _must_be_rate(self, *names):
        return [
            f"`{name}` must be from 0 to below 1. Received: {getattr(self, name)}"
            for name in names
            if not 0 <= getattr(self, name) < 1
        ]

    def _must_divide(self, part, whole):
        if getattr(self, whole) % getattr(self, part) == 0:
            return []
        return [f"`{whole}` must be a multiple of `{part}`. Received: {getattr(self, whole)} and {getattr(self, part)}"]

    def _must_be_activation(self, *names):
        return [
            f"`{name}` must be one of {', '.join(ACTIVATIONS)}. Received: {getattr(self, name)!r}"
            for name in names
            if getattr(self, name) not in ACTIVATIONS
        ]


def _name_of(cls):
    return cls.__name__.removesuffix("Config")


def _architectures():
    """The configs of architectures."""
    return [cls for cls in _configs(Config) if "is_abstract" not in vars(cls)]


def _configs(base):
    """The classes below a base."""
    return [cls for sub in base.__subclasses__() for cls in (sub, *_configs(sub))]


def _message(what, problems):
    return f"{what}:\n  " + "\n  ".join(problems) + "\nCorrect the fields."


def _type_problems(cls, values):
    kinds = typing.get_type_hints(cls)
    found = (_type_problem(name, kinds[name], value) for name, value in values.items())
    return [problem for problem in found if problem]


def _type_problem(name, kind, value):
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    for kind in kinds:
        if isinstance(value, NUMBER.get(kind, kind)) and (kind is bool or not isinstance(value, bool)):
            return None
    expected = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
    return f"`{name}` must be {expected}. Received: {value!r:.60} ({type(value).__name__})"
