"""The pooler of BERT, and next-sentence prediction on it."""

from functools import partial

import keras

from nlpgen.checkpoints import under
from nlpgen.layers import ACTIVATIONS
from nlpgen.models.architectures import architecture_of
from nlpgen.models.backbone import check_backbone
from nlpgen.models.pretrained import PretrainedModel


@keras.saving.register_keras_serializable("nlpgen")
class PooledEncoder(PretrainedModel):
    """A vector for each text: a dense layer on the first token, as BERT pretrains it.

    Args:
        backbone: a `Backbone`.
        activation: a name in `ACTIVATIONS`.

    Call arguments:
        inputs: those of the backbone.

    Returns:
        `(batch, hidden_size)`.
    """

    architecture = staticmethod(partial(architecture_of, head="pooler"))

    def __init__(self, backbone, activation="tanh", **kwargs):
        check_backbone(type(self), backbone)
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        backbone.head_names("pooler")  # raises for one without
        self.backbone = backbone
        self.tokenizer = backbone.tokenizer
        self.activation = activation
        size = backbone.config.hidden_size
        self.dense = keras.layers.Dense(size, ACTIVATIONS[activation], name="dense", dtype=self.dtype_policy)

    def get_config(self):
        return super().get_config() | {"activation": self.activation}

    @property
    def checkpoint_names(self):
        return under("backbone", self.backbone.checkpoint_names) | self.backbone.head_names("pooler")

    def build(self, input_shape=None):
        if not self.backbone.built:
            self.backbone.build()
        self.dense.build((None, self.backbone.config.hidden_size))

    def call(self, inputs, training=None):
        return self.dense(self.backbone(inputs)[:, 0])


@keras.saving.register_keras_serializable("nlpgen")
class NextSentence(PretrainedModel):
    """Whether the second segment follows the first: logits `(batch, 2)` of (it follows, it does not).

    ALBERT's sentence-order prediction has the same form: (they are in order, they are exchanged).

    Args:
        backbone: a `Backbone`.

    Call arguments:
        inputs: those of the backbone; `segment_ids` tell the two segments apart.
    """

    architecture = staticmethod(partial(architecture_of, head="next_sentence"))

    def __init__(self, backbone, **kwargs):
        check_backbone(type(self), backbone)
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        backbone.head_names("next_sentence")  # raises for one without
        self.pooled = PooledEncoder(backbone, name="pooled")
        self.tokenizer = backbone.tokenizer
        self.classifier = keras.layers.Dense(2, name="classifier", dtype=self.dtype_policy)

    @property
    def backbone(self):
        return self.pooled.backbone

    @property
    def hugging_face_class(self):
        """The name of Hugging Face's class, with a place for the architecture's."""
        return self.backbone.next_sentence_class

    @property
    def checkpoint_names(self):
        names = under("pooled", self.pooled.checkpoint_names)
        return names | under("classifier", self.backbone.head_names("next_sentence"))

    def build(self, input_shape=None):
        self.pooled.build()
        self.classifier.build((None, self.backbone.config.hidden_size))

    def call(self, inputs, training=None):
        return self.classifier(self.pooled(inputs))
