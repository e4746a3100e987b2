"""Labels for whole texts: a pooled backbone and a dense layer."""

import keras
from keras import ops

from nlpgen.checkpoints import under
from nlpgen.errors import InputError
from nlpgen.layers import POOLINGS, Pooling
from nlpgen.models.architectures import architecture_of
from nlpgen.models.decoder import Decoder
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

OPTIONS = ("pooling", "dropout", "max_length")
SEQUENCE_POOLINGS = ("pooler", "first_last_mean", *POOLINGS)
FIRST = ("pooler", "cls")  # what looks at the first token
HUGGING_FACE_HEADS = ("albert", "bert", "ernie", "nezha")  # whose classifiers there are a pooler and a projection


@keras.saving.register_keras_serializable("nlpgen")
class SequenceClassifier(PretrainedModel):
    """A backbone, a pooling and a dense layer: logits of labels. `nlpgen.TextClassifier` trains it on strings.

    Args:
        backbone: a `Backbone`.
        labels: names of the labels.
        pooling: `"pooler"`, BERT's pretrained dense layer with tanh on the first token, where the architecture has one;
            `"first_last_mean"`, the mean over the tokens of embeddings and last hidden states (Gao et al., 2021,
            https://arxiv.org/abs/2104.08821); or a kind of `nlpgen.layers.Pooling`.
        dropout: rate before the dense layer.
        max_length: most tokens of a text, special ones included, that the model was trained on; kept for its users.

    Call arguments:
        inputs: those of the backbone.

    Returns:
        Logits `(batch, labels)`.
    """

    architecture = staticmethod(architecture_of)
    hugging_face_class = "{}ForSequenceClassification"

    def __init__(self, backbone, labels, pooling="cls", dropout=0.1, max_length=None, **kwargs):
        check_text_backbone(type(self), backbone)
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        check_pooling(pooling, SEQUENCE_POOLINGS, backbone)
        self.backbone = backbone
        self.tokenizer = backbone.tokenizer
        self.labels = check_labels(labels)
        self.pooling, self.max_length = pooling, max_length
        initializer = keras.initializers.TruncatedNormal(stddev=getattr(backbone.config, "initializer_range", 0.02))
        dense = {"kernel_initializer": initializer, "dtype": self.dtype_policy}
        self.pooler = self.pool = None
        if pooling == "pooler":
            self.pooler_names = backbone.head_names("pooler")
            self.pooler = keras.layers.Dense(backbone.config.hidden_size, "tanh", name="pooler", **dense)
        else:
            kind = "mean" if pooling == "first_last_mean" else pooling
            self.pool = Pooling(kind, name="pooling", dtype=self.dtype_policy)
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.classifier = keras.layers.Dense(len(self.labels), name="classifier", **dense)

    def check_format(self, format):
        if format == "huggingface" and (self.pooling != "pooler" or self.backbone.model_type not in HUGGING_FACE_HEADS):
            raise InputError(
                f"Hugging Face's classifiers stand on the pooler of {', '.join(HUGGING_FACE_HEADS)}; "
                f"transformers would read this one ({self.pooling!r} on {self.backbone.model_type!r}) as another. "
                "Save with format='nlpgen'."
            )

    @classmethod
    def check_checkpoint(cls, folder, backbone_class):
        check_classifier(folder, cls, "TextClassifier")

    @classmethod
    def over(cls, backbone, folder):
        options = {"pooling": "cls"} | options_in(folder, OPTIONS)
        pooler = backbone.heads.get("pooler", {}).get("dense")
        if "head" not in folder.config and pooler is not None and f"{pooler}/kernel" in folder.tensors:
            options["pooling"] = "pooler"  # Hugging Face's
        return cls(backbone, labels_in(folder, folder.tensors.shape(CLASSIFIER)[-1]), **options)

    def head_config(self):
        return label_fields(self.labels, pooling=self.pooling, dropout=self.dropout.rate, max_length=self.max_length)

    @property
    def checkpoint_names(self):
        names = under("backbone", self.backbone.checkpoint_names) | {"classifier": "classifier"}
        if self.pooler is not None:
            names["pooler"] = self.pooler_names["dense"]
        if self.pooling == "attention":
            names["pool.score"] = "pooling/score"
        return names

    def build(self, input_shape=None):
        if not self.backbone.built:
            self.backbone.build()
        size = self.backbone.config.hidden_size
        for layer, shape in (
            (self.pooler, (None, size)),
            (self.pool, (None, None, size)),
            (self.classifier, (None, size)),
        ):
            if layer is not None:
                layer.build(shape)

    def call(self, inputs, training=None):
        return self.classifier(self.dropout(self.vectors(inputs)))

    def vectors(self, inputs):
        """What the dense layer sees of each text, `(batch, hidden_size)`."""
        if self.pooler is not None:
            return self.pooler(self.backbone(inputs)[:, 0])
        return pooled(self.backbone, self.pool, inputs, first_last=self.pooling == "first_last_mean")

    def get_config(self):
        options = {"labels": self.labels, "pooling": self.pooling, "dropout": self.dropout.rate}
        return super().get_config() | options | {"max_length": self.max_length}


def check_pooling(pooling, known, backbone):
    """Raise `InputError` unless `pooling` is one of `known` that makes sense on the backbone."""
    if pooling not in known:
        raise InputError(f"`pooling` must be one of {', '.join(map(repr, known))}. Received: {pooling!r}")
    if pooling in FIRST and isinstance(backbone, Decoder):
        raise InputError(
            f"The first token of a {type(backbone).__name__} sees nothing of the text, so pooling={pooling!r} "
            "would be the same for all texts. Use pooling='last' or 'mean'."
        )


def pooled(backbone, pool, inputs, first_last=False):
    """One vector for each text, `(batch, hidden_size)`.

    Args:
        backbone: a `Backbone`.
        pool: a `Pooling`.
        inputs: those of the backbone.
        first_last: whether the mean of embeddings and last hidden states is pooled instead of the latter.
    """
    if not first_last:
        return pool(backbone(inputs), token_mask(backbone, inputs))
    backbone.check_inputs(inputs)
    first = backbone.embed(inputs)
    last = backbone.encode(first, inputs)
    if first.shape[-1] != last.shape[-1]:
        raise InputError(
            f"'first_last_mean' needs embeddings as wide as hidden states. {type(backbone).__name__} has "
            f"{first.shape[-1]} and {last.shape[-1]}: use 'mean'."
        )
    return pool((first + last) / 2, token_mask(backbone, inputs))


def token_mask(backbone, inputs):
    """Where there is a token: bool `(batch, length)`."""
    if inputs.get("padding_mask") is not None:
        return ops.cast(inputs["padding_mask"], "bool")
    pad = backbone.config.pad_token_id
    token_ids = ops.convert_to_tensor(inputs["token_ids"])
    return ops.ones_like(token_ids, dtype="bool") if pad is None else ops.not_equal(token_ids, pad)
