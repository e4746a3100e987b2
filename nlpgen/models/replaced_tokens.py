"""Replaced-token detection, the task of ELECTRA's discriminator."""

from functools import partial

import keras

from nlpgen.checkpoints import under
from nlpgen.layers import ACTIVATIONS
from nlpgen.models.architectures import architecture_of
from nlpgen.models.backbone import check_backbone
from nlpgen.models.pretrained import PretrainedModel


@keras.saving.register_keras_serializable("nlpgen")
class ReplacedTokenDetector(PretrainedModel):
    """For each token the logit that it is not the original one.

    Args:
        backbone: a `Backbone`, e.g. `Electra`.

    Call arguments:
        inputs: those of the backbone.

    Returns:
        Logits `(batch, length)`, or `(batch, n)` at `positions`; `keras.ops.sigmoid` makes them probabilities.
    """

    architecture = staticmethod(partial(architecture_of, head="replaced_tokens"))
    hugging_face_class = "{}ForPreTraining"

    def __init__(self, backbone, **kwargs):
        check_backbone(type(self), backbone)
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        self.backbone = backbone
        self.tokenizer = backbone.tokenizer
        c = backbone.config
        options = {
            "kernel_initializer": keras.initializers.TruncatedNormal(stddev=c.initializer_range),
            "dtype": self.dtype_policy,
        }
        self.dense = keras.layers.Dense(c.hidden_size, ACTIVATIONS[c.hidden_act], name="dense", **options)
        self.classifier = keras.layers.Dense(1, name="classifier", **options)

    @property
    def checkpoint_names(self):
        return under("backbone", self.backbone.checkpoint_names) | self.backbone.head_names("replaced_tokens")

    def build(self, input_shape=None):
        if not self.backbone.built:
            self.backbone.build()
        shape = (None, None, self.backbone.config.hidden_size)
        self.dense.build(shape)
        self.classifier.build(shape)

    def call(self, inputs, training=None):
        return self.classifier(self.dense(self.backbone(inputs)))[..., 0]
