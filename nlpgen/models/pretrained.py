"""Models that come from a folder and go into one."""

import functools
from collections import ChainMap

import keras
import numpy as np

from nlpgen.checkpoints import dump_weights, load_weights, open_folder
from nlpgen.errors import InputError
from nlpgen.models.export import FORMATS, export_onnx, export_saved_model, signature_of
from nlpgen.models.loading import over_shared, prepare, report_unread
from nlpgen.models.saving import save_models


class PretrainedModel(keras.Model):
    """A `keras.Model` with `from_pretrained` and `save_pretrained`.

    A subclass defines `checkpoint_names` (see `nlpgen.checkpoints`), `backbone` (unless it is one), `architecture`
    (from an open folder to the class of its backbone), `build` without arguments, and `call` with an argument
    `training`: `fit` says to no other model that it is training, and dropout would stay off.

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
        folder = open_folder(name_or_folder).with_type(model_type)
        if backbone is None:
            model, folder = prepare(cls, folder, dtype, keep_tokens, compound_tokens, config_changes, tokenizer)
            tensors = folder.tensors
        else:
            options = {"tokenizer": tokenizer, "dtype": dtype, "keep_tokens": keep_tokens}
            options |= {"compound_tokens": compound_tokens}
            given = [name for name, value in (options | config_changes).items() if value is not None]
            if given:
                raise InputError(f"A model that shares a `backbone` takes it as it is: leave {', '.join(given)} away.")
            model, folder = over_shared(cls, backbone, folder)
            tensors = ChainMap(dump_weights(backbone), folder.tensors)  # the backbone stays what it is
        used = load_weights(model, tensors, check_finite, where=folder.path)
        report_unread(model, folder, used, config_changes)
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
                by default, segments among them where the model tells them apart; a string is one name. `("token_ids",
                "positions")` gives logits at some positions only.
            verbose: whether Keras reports what it wrote.
            options: see `keras.Model.export`.

        Raises:
            InputError: if a name of `inputs` or `format` is unknown, or the model is not fit for ONNX.
            OutputError: if the result cannot be written.
            NlpgenError: if a library is missing.
        """
        if format not in FORMATS:
            raise InputError(f"`format` must be one of {', '.join(FORMATS)}. Received: {format!r}")
        if format != "onnx" and str(filepath).endswith(".onnx"):
            raise InputError(
                f"{filepath} has the name of an ONNX file, but `format` is {format!r}, a folder. Pass format='onnx', "
                "or give another name."
            )
        if not self.built:
            self.build()
        signature = signature_of(self, self.export_inputs if inputs is None else inputs)
        write = export_onnx if format == "onnx" else export_saved_model
        write(self, filepath, signature, verbose=verbose, **options)

    @property
    def export_inputs(self):
        """Names of the inputs that an exported model takes by default."""
        return self.backbone.export_inputs

    def check_inputs(self, inputs):
        """Raise `InputError` for inputs that the model would not read, see `Backbone.check_inputs`."""
        self.backbone.check_inputs(inputs)

    def __call__(self, inputs, *args, **kwargs):
        if isinstance(inputs, dict):  # here arrays are arrays still
            self.check_inputs(inputs)
        return super().__call__(inputs, *args, **kwargs)

    @functools.wraps(keras.Model.fit)
    def fit(self, x=None, *args, **kwargs):
        self._check_data(x)
        return super().fit(x, *args, **kwargs)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, x=None, *args, **kwargs):
        self._check_data(x)
        return super().evaluate(x, *args, **kwargs)

    @functools.wraps(keras.Model.predict)
    def predict(self, x, *args, **kwargs):
        self._check_data(x)
        return super().predict(x, *args, **kwargs)

    @functools.wraps(keras.Model.predict_on_batch)
    def predict_on_batch(self, x):
        self._check_data(x)
        return super().predict_on_batch(x)

    def _check_data(self, x):
        """Refuse arrays before Keras starts: on JAX it takes the weights out of the model meanwhile, and does not put
        them back when something is raised.
        """
        if isinstance(x, dict | np.ndarray):
            self.check_inputs(x)

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
        return {"name": self.name, "tokenizer": serialized(self.tokenizer), "backbone": serialized(self.backbone)}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        tokenizer, backbone = (deserialized(config.pop(part)) for part in ("tokenizer", "backbone"))
        model = cls(backbone, **config)
        model.tokenizer = tokenizer
        return model

    def get_build_config(self):
        return {"built": self.built}

    def build_from_config(self, config):
        self.build()


def serialized(value):
    """The config of an object, marked so that models which share it do so again in a `.keras` file.

    Keras marks by itself, but loses the first mark where configs are nested.
    """
    return None if value is None else keras.saving.serialize_keras_object(value) | {"shared_object_id": id(value)}


def deserialized(value):
    return None if value is None else keras.saving.deserialize_keras_object(value)
