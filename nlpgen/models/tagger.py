"""Labels for tokens, and types for spans of tokens."""

import keras
from keras import ops

from nlpgen.checkpoints import open_folder, under
from nlpgen.errors import InputError, WeightsMismatch
from nlpgen.layers import CRF, EfficientGlobalPointer, GlobalPointer, multilabel_categorical_crossentropy, viterbi
from nlpgen.models.architectures import architecture_of
from nlpgen.models.classifier import token_mask
from nlpgen.models.labels import (
    CLASSIFIER,
    check_classifier,
    check_labels,
    check_text_backbone,
    label_fields,
    labels_in,
    options_in,
)
from nlpgen.models.pretrained import PretrainedModel

TAG_DECODERS = ("softmax", "crf")
POINTERS = {"global_pointer": GlobalPointer, "efficient_global_pointer": EfficientGlobalPointer}


@keras.saving.register_keras_serializable("nlpgen")
class SequenceTagger(PretrainedModel):
    """A backbone and a dense layer: logits of labels for each token. `nlpgen.TokenClassifier` trains it on strings.

    `compile` needs no loss: it is the cross-entropy of the tokens, or the negative log likelihood of the label
    sequences. Labels below 0, of special tokens and padding, do not count.

    Args:
        backbone: a `Backbone`.
        labels: names of the labels.
        decoder: `"crf"`, or `"softmax"`: each token for itself.
        dropout: rate before the dense layer.
        crf_lr_multiplier: see `nlpgen.layers.CRF`; pretrained weights want a learning rate that is far too low for
            transitions.
        max_length: most tokens of a text, special ones included, that the model was trained on; kept for its users.

    Call arguments:
        inputs: those of the backbone.

    Returns:
        Logits `(batch, length, labels)`.
    """

    architecture = staticmethod(architecture_of)
    hugging_face_class = "{}ForTokenClassification"

    def __init__(
        self, backbone, labels, decoder="crf", dropout=0.1, crf_lr_multiplier=100.0, max_length=None, **kwargs
    ):
        check_text_backbone(type(self), backbone)
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        if decoder not in TAG_DECODERS:
            raise InputError(f"`decoder` must be 'softmax' or 'crf'. Received: {decoder!r}")
        self.backbone = backbone
        self.tokenizer = backbone.tokenizer
        self.labels = check_labels(labels)
        self.decoder, self.max_length = decoder, max_length
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        initializer = keras.initializers.TruncatedNormal(stddev=getattr(backbone.config, "initializer_range", 0.02))
        self.classifier = keras.layers.Dense(
            len(self.labels), kernel_initializer=initializer, name="classifier", dtype=self.dtype_policy
        )
        self.crf_lr_multiplier = crf_lr_multiplier
        self.crf = CRF(len(self.labels), lr_multiplier=crf_lr_multiplier, name="crf") if decoder == "crf" else None

    @classmethod
    def check_checkpoint(cls, folder, backbone_class):
        check_classifier(folder, cls, "TokenClassifier")

    @classmethod
    def over(cls, backbone, folder):
        options = {"decoder": "softmax"} | options_in(folder, ("decoder", "dropout", "crf_lr_multiplier", "max_length"))
        return cls(backbone, labels_in(folder, folder.tensors.shape(CLASSIFIER)[-1]), **options)

    def head_config(self):
        return label_fields(self.labels, **self._options())

    @property
    def checkpoint_names(self):
        names = under("backbone", self.backbone.checkpoint_names) | {"classifier": "classifier"}
        return names if self.crf is None else names | {"crf.kernel": "crf/transitions"}

    def build(self, input_shape=None):
        if not self.backbone.built:
            self.backbone.build()
        self.classifier.build((None, None, self.backbone.config.hidden_size))
        if self.crf is not None:
            self.crf.build()

    def call(self, inputs, training=None):
        return self.classifier(self.dropout(self.backbone(inputs)))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        counts = ops.greater_equal(y, 0)
        labels = ops.where(counts, y, 0)
        logits = ops.cast(y_pred, "float32")
        if self.crf is not None:
            losses, weights = -self.crf(logits, labels, counts), ops.cast(ops.any(counts, axis=1), "float32")
        else:
            losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
            weights = ops.cast(counts, "float32")
        return _mean(losses, weights, sample_weight)

    def decode(self, logits, padding_mask, penalties=None):
        """The best labels by the scores of the whole sequence; see `CRF.decode`.

        Args:
            logits: `(batch, length, labels)`.
            padding_mask: bool `(batch, length)`, `True` where a token is to have a label.
            penalties: see `CRF.decode`.

        Returns:
            int32 `(batch, length)`.
        """
        if self.crf is not None:
            return self.crf.decode(logits, padding_mask, penalties)
        n = len(self.labels)
        return viterbi(logits, padding_mask, *(penalties or (ops.zeros((n, n)), ops.zeros((n,)), ops.zeros((n,)))))

    def get_config(self):
        return super().get_config() | {"labels": self.labels} | self._options()

    def _options(self):
        options = {"decoder": self.decoder, "dropout": self.dropout.rate, "crf_lr_multiplier": self.crf_lr_multiplier}
        return options | {"max_length": self.max_length}


@keras.saving.register_keras_serializable("nlpgen")
class SpanTagger(PretrainedModel):
    """A backbone and a GlobalPointer: scores of types for each span of tokens; nested spans are no problem.

    A span is of a type when its score is above 0. `compile` needs no loss: it is
    `multilabel_categorical_crossentropy` over the spans, for each type of each text.

    Args:
        backbone: a `Backbone`.
        labels: names of the types.
        decoder: `"global_pointer"` or `"efficient_global_pointer"`.
        head_size: see `GlobalPointer`.
        dropout: rate before it.
        max_length: most tokens of a text, special ones included, that the model was trained on; kept for its users.

    Call arguments:
        inputs: those of the backbone.

    Returns:
        Scores `(batch, labels, length, length)` of (type, first token, last token).
    """

    architecture = staticmethod(architecture_of)

    def __init__(
        self, backbone, labels, decoder="global_pointer", head_size=64, dropout=0.1, max_length=None, **kwargs
    ):
        check_text_backbone(type(self), backbone)
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        if decoder not in POINTERS:
            raise InputError(f"`decoder` must be one of {', '.join(map(repr, POINTERS))}. Received: {decoder!r}")
        self.backbone = backbone
        self.tokenizer = backbone.tokenizer
        self.labels = check_labels(labels)
        self.decoder, self.max_length = decoder, max_length
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.pointer = POINTERS[decoder](len(self.labels), head_size, name="pointer", dtype=self.dtype_policy)

    @classmethod
    def check_checkpoint(cls, folder, backbone_class):
        if "global_pointer/dense/kernel" not in folder.tensors:
            raise WeightsMismatch(
                f"{folder.path} has no GlobalPointer (`global_pointer/dense/kernel`). Load it with the class that it "
                "was saved with, or train one on its encoder with nlpgen.TokenClassifier."
            )

    @classmethod
    def over(cls, backbone, folder):
        options = options_in(folder, ("decoder", "head_size", "dropout", "max_length"))
        return cls(backbone, labels_in(folder), **options)

    def head_config(self):
        return label_fields(self.labels, **self._options())

    @property
    def checkpoint_names(self):
        names = under("backbone", self.backbone.checkpoint_names) | {"pointer.dense": "global_pointer/dense"}
        efficient = self.decoder == "efficient_global_pointer"
        return names | ({"pointer.types": "global_pointer/types"} if efficient else {})

    def build(self, input_shape=None):
        if not self.backbone.built:
            self.backbone.build()
        self.pointer.build((None, None, self.backbone.config.hidden_size))

    def call(self, inputs, training=None):
        return self.pointer(self.dropout(self.backbone(inputs)), token_mask(self.backbone, inputs))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        batch, types, length, _ = ops.shape(y_pred)
        y, y_pred = (ops.reshape(x, (batch, types, length * length)) for x in (y, y_pred))
        losses = multilabel_categorical_crossentropy(y, y_pred)
        return _mean(losses, ops.ones_like(losses), sample_weight)

    def get_config(self):
        return super().get_config() | {"labels": self.labels} | self._options()

    def _options(self):
        options = {"decoder": self.decoder, "head_size": self.pointer.head_size, "dropout": self.dropout.rate}
        return options | {"max_length": self.max_length}


def load_tagger(name_or_folder):
    """The `SpanTagger` or `SequenceTagger` that a folder holds; see `PretrainedModel.from_pretrained`."""
    spans = "global_pointer/dense/kernel" in open_folder(name_or_folder).tensors
    return (SpanTagger if spans else SequenceTagger).from_pretrained(name_or_folder)


def _mean(losses, weights, sample_weight):
    """The mean of `(batch, …)` losses by weights of the same shape, and by those of the rows `(batch,)`."""
    if sample_weight is not None:
        rows = ops.reshape(ops.cast(sample_weight, "float32"), (-1, *(1 for _ in weights.shape[1:])))
        weights = weights * rows
    return ops.sum(losses * weights) / ops.maximum(ops.sum(weights), 1e-7)
