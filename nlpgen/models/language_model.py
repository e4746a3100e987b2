"""What models that guess tokens share: the loss."""

import functools

import keras

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
