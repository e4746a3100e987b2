"""A vector for each text: a pooled backbone, without weights of its own."""

import keras

from nlpgen.checkpoints import under
from nlpgen.layers import Pooling
from nlpgen.models.architectures import architecture_of
from nlpgen.models.classifier import check_pooling, pooled
from nlpgen.models.labels import check_text_backbone
from nlpgen.models.pretrained import PretrainedModel

SENTENCE_POOLINGS = ("cls", "last", "mean", "max", "first_last_mean")


@keras.saving.register_keras_serializable("nlpgen")
class SentenceEncoder(PretrainedModel):
    """Vectors of texts, what a `SequenceClassifier` without a pooler puts its dense layer on.

    A folder keeps the backbone only; a `.keras` file the pooling too.

    Args:
        backbone: a `Backbone`, which is shared, not copied.
        pooling: `"cls"`, `"last"`, `"mean"`, `"max"` or `"first_last_mean"`; see `SequenceClassifier`.

    Call arguments:
        inputs: those of the backbone.

    Returns:
        `(batch, hidden_size)`.
    """

    architecture = staticmethod(architecture_of)

    def __init__(self, backbone, pooling="mean", **kwargs):
        check_text_backbone(type(self), backbone)
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        check_pooling(pooling, SENTENCE_POOLINGS, backbone)
        self.backbone = backbone
        self.tokenizer = backbone.tokenizer
        self.pooling = pooling
        kind = "mean" if pooling == "first_last_mean" else pooling
        self.pool = Pooling(kind, name="pooling", dtype=self.dtype_policy)

    @property
    def checkpoint_names(self):
        return under("backbone", self.backbone.checkpoint_names)

    def build(self, input_shape=None):
        if not self.backbone.built:
            self.backbone.build()
        self.pool.build((None, None, self.backbone.config.hidden_size))

    def call(self, inputs, training=None):
        return pooled(self.backbone, self.pool, inputs, first_last=self.pooling == "first_last_mean")

    def get_config(self):
        return super().get_config() | {"pooling": self.pooling}
