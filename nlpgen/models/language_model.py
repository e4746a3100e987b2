"""What models that guess tokens share: the loss, and the head of those that guess the next one."""

import functools

import keras
from keras import ops

from nlpgen.checkpoints import under
from nlpgen.models.architectures import architecture_of
from nlpgen.models.backbone import check_backbone
from nlpgen.models.pretrained import PretrainedModel


class LanguageModel(PretrainedModel):
    """A `PretrainedModel` that gives logits of tokens, and can be trained without further ado.

    `fit` takes batches `(inputs, targets, weights)`, as `nlpgen.data` makes them: ids to guess, `(batch, n)`, where the
    model gives logits `(batch, n, vocab_size)`, and how much each counts, 0 for padding. Keras warns of a generator
    unless it is told `shuffle=False`.
    """

    def compile(self, optimizer=None, loss=None, **options):
        """Keras' `compile`, with defaults.

        Args:
            optimizer: Adam at 5e-5 by default, for training a checkpoint further; `nlpgen.training.adamw` is what
                models are pretrained with.
            loss: by default the cross-entropy, averaged over the weights of the targets, and with it the accuracy as a
                weighted metric.
            options: see `keras.Model.compile`; `jit_compile` is the model's own by default.
        """
        if loss is None:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
            options = {"weighted_metrics": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]} | options
        optimizer = keras.optimizers.Adam(5e-5) if optimizer is None else optimizer
        super().compile(optimizer, loss, **{"jit_compile": self.jit_compile} | options)

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        if not self.compiled:
            self.compile()
        return super().fit(*args, **kwargs)


class NextTokenModel(LanguageModel):
    """A `LanguageModel` that gives the logits of the token that follows each.

    Its head is the token embedding itself, or a projection of its own where the config says
    `tie_word_embeddings=False`.

    A subclass defines `head_name`, which of the heads of the backbone it is.
    """

    architecture = staticmethod(architecture_of)
    head_name = None

    def __init__(self, backbone, **kwargs):
        check_backbone(type(self), backbone)
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        backbone.head_names(self.head_name)  # raises for one without
        self.backbone = backbone
        self.tokenizer = backbone.tokenizer
        c, self.projection = backbone.config, None
        if not getattr(c, "tie_word_embeddings", True):
            self.projection = keras.layers.Dense(
                c.vocab_size,
                use_bias=False,
                kernel_initializer=keras.initializers.TruncatedNormal(stddev=c.initializer_range),
                name="projection",
                dtype=self.dtype_policy,
            )

    @property
    def checkpoint_names(self):
        return under("backbone", self.backbone.checkpoint_names) | self.backbone.head_names(self.head_name)

    def build(self, input_shape=None):
        if not self.backbone.built:
            self.backbone.build()
        if self.projection is not None:
            self.projection.build((None, None, self.backbone.config.hidden_size))

    def call(self, inputs, training=None):
        return self.logits(self.backbone(inputs))

    def logits(self, hidden, token_ids=None):
        """Hidden states to logits.

        Args:
            hidden: `(…, hidden_size)`.
            token_ids: `(k,)`; only the logits of these tokens.

        Returns:
            `(…, vocab_size)` or `(…, k)`.
        """
        if self.projection is not None:
            logits = self.projection(hidden)
            return logits if token_ids is None else ops.take(logits, token_ids, axis=-1)
        table = self.backbone.embeddings.token.embeddings
        if token_ids is not None:
            table = ops.take(table, token_ids, axis=0)
        table = ops.cast(table, hidden.dtype)
        if len(hidden.shape) == 2:  # a step of `generate`: the table is read as it lies
            return ops.transpose(ops.matmul(table, ops.transpose(hidden)))
        return ops.matmul(hidden, ops.transpose(table))
