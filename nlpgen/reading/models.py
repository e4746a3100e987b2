"""What reads a passage: slots of a masked language model, pointers to first and last tokens, or a UniLM that writes."""

import keras
from keras import ops

from nlpgen.checkpoints import under
from nlpgen.errors import InputError, WeightsMismatch
from nlpgen.models import MaskedLM, PretrainedModel, UniLM
from nlpgen.models.architectures import architecture_of
from nlpgen.models.labels import check_text_backbone, options_in
from nlpgen.reading.scoring import HIDDEN, pointer_span_scores, slot_span_scores
from nlpgen.tasks.fine_tuning import copy_of, seed_dropout

COLUMNS = ("columns", "column_mask", "distinct", "asked")  # inputs that the backbone has no use for


class OfReader:
    """What a `MaskedLM` needs that belongs to a reader.

    Args:
        backbone: a `Backbone` with a masked-language-model head.
        reader: settings of the reader, kept for it in `config.json`.
    """

    def __init__(self, backbone, reader=None, **kwargs):
        super().__init__(backbone, **kwargs)
        self.reader = reader

    @classmethod
    def like(cls, mlm, seed):
        """A model with the weights of a `MaskedLM`, which stays as it is; `seed` is that of dropout.

        Raises:
            InputError: if it is none, or has no tokenizer.
        """
        if not isinstance(mlm, MaskedLM):
            raise InputError(
                "`mlm` must be a MaskedLM, e.g. MaskedLM.from_pretrained('bert-tiny-zh'). "
                f"Received: {mlm!r:.80} ({type(mlm).__name__})"
            )
        if mlm.tokenizer is None:
            raise InputError("The model has no tokenizer. Load it from a folder with a vocabulary, or set `tokenizer`.")
        source = copy_of(mlm)
        model = cls(source.backbone)
        model.build()
        model.set_weights(source.get_weights())
        model.tokenizer = mlm.tokenizer
        seed_dropout(model, seed)
        return model

    @classmethod
    def over(cls, backbone, folder):
        return cls(backbone, **options_in(folder, ("reader",)))

    def head_config(self):
        return {} if self.reader is None else {"head": {"reader": self.reader}}

    def get_config(self):
        return super().get_config() | {"reader": self.reader}


@keras.saving.register_keras_serializable("nlpgen")
class WritingModel(OfReader, UniLM):
    """A `UniLM` that belongs to a reader."""


@keras.saving.register_keras_serializable("nlpgen")
class SlotModel(OfReader, MaskedLM):
    """A `MaskedLM` that scores the tokens of a passage in the slots of an answer.

    Call arguments:
        inputs: those of the backbone, with `positions` `(batch, slots)`, and

            - `columns` `(batch, 1 + length)`: places in `token_ids` of a `[SEP]` and of the passage's tokens, padded
              with any place;
            - `column_mask` of the same shape, false for padding;
            - `distinct` (optional) of the same shape, true at the first place of each token of the passage and of
              `[SEP]`: the softmax is then over these tokens alone, and only their logits are computed;
            - `asked` (optional) `(batch, slots)`, false at slots whose token is given: nothing is said of them, all log
              probabilities are 0.

    Returns:
        Log probabilities `(batch, slots, 1 + length)` in float32, `HIDDEN` for padding; without `columns` those logits
        that a `MaskedLM` gives.
    """

    def check_inputs(self, inputs):
        super().check_inputs(_without_columns(inputs))

    def call(self, inputs, training=None):
        if inputs.get("columns") is None:
            return super().call(inputs)
        hidden = self.backbone(_without_columns(inputs))  # (batch, slots, hidden_size)
        mask = ops.cast(inputs["column_mask"], "bool")[:, None, :]
        ids = ops.take_along_axis(inputs["token_ids"], inputs["columns"], axis=1)
        if inputs.get("distinct") is None:
            log_probs = ops.log_softmax(ops.cast(self.logits(hidden), "float32"))
            found = ops.take_along_axis(log_probs, ops.repeat(ids[:, None, :], hidden.shape[1], axis=1), axis=2)
        else:
            logits = self.own_logits(hidden, ids)
            counted = ops.where(ops.cast(inputs["distinct"], "bool")[:, None, :], logits, HIDDEN)
            found = logits - ops.logsumexp(counted, axis=2, keepdims=True)
        if inputs.get("asked") is not None:
            found = ops.where(ops.cast(inputs["asked"], "bool")[:, :, None], found, 0.0)
        return ops.where(mask, found, HIDDEN)

    def own_logits(self, hidden, token_ids):
        """Logits of tokens that differ from row to row.

        Args:
            hidden: `(batch, n, hidden_size)`.
            token_ids: `(batch, k)`.

        Returns:
            `(batch, n, k)`, computed in float32.
        """
        x = ops.cast(hidden if self.head is None else self.head(hidden), "float32")
        table = ops.take(self.backbone.embeddings.token.embeddings, token_ids, axis=0)  # (batch, k, size)
        logits = ops.matmul(x, ops.transpose(ops.cast(table, "float32"), (0, 2, 1)))
        if self.head is None:
            return logits
        return logits + ops.cast(ops.take(self.head.bias, token_ids, axis=0), "float32")[:, None, :]

    def span_scores(self, outputs, longest):
        """`slot_span_scores` of what the model gave."""
        return slot_span_scores(outputs)


@keras.saving.register_keras_serializable("nlpgen")
class PointerModel(PretrainedModel):
    """A backbone and a dense layer: scores of each token of a passage as the first and as the last of the answer.

    It reads and writes Hugging Face's `…ForQuestionAnswering`.

    Args:
        backbone: a `Backbone`.
        dropout: rate before the dense layer.
        reader: see `OfReader`.

    Call arguments:
        inputs: those of the backbone, with `columns` and `column_mask` as for `SlotModel`, the first column being
            `[CLS]`, which stands for no answer.

    Returns:
        Scores `(batch, 2, 1 + length)` in float32, `HIDDEN` for padding.
    """

    architecture = staticmethod(architecture_of)
    hugging_face_class = "{}ForQuestionAnswering"

    def __init__(self, backbone, dropout=0.1, reader=None, **kwargs):
        check_text_backbone(type(self), backbone)
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        self.backbone = backbone
        self.tokenizer = backbone.tokenizer
        self.reader = reader
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        initializer = keras.initializers.TruncatedNormal(stddev=getattr(backbone.config, "initializer_range", 0.02))
        self.pointers = keras.layers.Dense(2, kernel_initializer=initializer, name="pointers", dtype=self.dtype_policy)

    @classmethod
    def check_checkpoint(cls, folder, backbone_class):
        if "qa_outputs/kernel" not in folder.tensors:
            raise WeightsMismatch(
                f"{folder.path} has no pointers to spans (`qa_outputs`). Load it with the class that saved it, or "
                "train them on its encoder with nlpgen.SpanReader."
            )

    @classmethod
    def over(cls, backbone, folder):
        return cls(backbone, **options_in(folder, ("dropout", "reader")))

    def head_config(self):
        return {"head": {"dropout": self.dropout.rate, "reader": self.reader}}

    @property
    def checkpoint_names(self):
        return under("backbone", self.backbone.checkpoint_names) | {"pointers": "qa_outputs"}

    def build(self, input_shape=None):
        if not self.backbone.built:
            self.backbone.build()
        self.pointers.build((None, None, self.backbone.config.hidden_size))

    def check_inputs(self, inputs):
        super().check_inputs(_without_columns(inputs))

    def call(self, inputs, training=None):
        hidden = self.backbone(_without_columns(inputs) | {"positions": inputs["columns"]})
        scores = ops.cast(self.pointers(self.dropout(hidden)), "float32")
        mask = ops.cast(inputs["column_mask"], "bool")[:, None, :]
        return ops.where(mask, ops.transpose(scores, (0, 2, 1)), HIDDEN)

    def span_scores(self, outputs, longest):
        """`pointer_span_scores` of what the model gave, normalized for first and last tokens apart."""
        return pointer_span_scores(ops.log_softmax(outputs), longest)

    def get_config(self):
        return super().get_config() | {"dropout": self.dropout.rate, "reader": self.reader}


def _without_columns(inputs):
    """The inputs of the backbone; what is no dict, it refuses."""
    if not isinstance(inputs, dict):
        return inputs
    return {name: x for name, x in inputs.items() if name not in COLUMNS}
