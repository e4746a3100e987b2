"""A masked language model asked a cloze question: encoded patterns to label scores."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("nlpgen")
class PromptModel(keras.Model):
    """Label log scores from the masks of a pattern.

    A word scores the sum of its tokens' log probabilities at their masks, a label the log of the sum of its words'
    probabilities. The head computes the label words' rows only: what the whole vocabulary would add is the same for
    all labels.

    Args:
        masked_lm: a `MaskedLM`, which is shared, not copied.
        word_ids: `(words, masks)` ids of the label words.
        word_labels: `(words,)` index of each word's label.

    Call arguments:
        inputs: those of the masked language model, with `positions` `(batch, masks)`.

    Returns:
        `(batch, labels)`; their softmax are the labels' probabilities.
    """

    def __init__(self, masked_lm, word_ids, word_labels, **kwargs):
        super().__init__(dtype=masked_lm.dtype_policy, **kwargs)
        self.masked_lm = masked_lm
        self.word_ids = np.asarray(word_ids).tolist()
        self.word_labels = np.asarray(word_labels).tolist()
        self.jit_compile = masked_lm.jit_compile

    def build(self, input_shape=None):
        if not self.masked_lm.built:
            self.masked_lm.build()

    def call(self, inputs, training=None):
        hidden = self.masked_lm.backbone(inputs, training=training)  # (batch, masks, hidden_size)
        rows, columns = np.unique(self.word_ids, return_inverse=True)
        columns = columns.reshape(np.shape(self.word_ids))
        logits = ops.cast(self.masked_lm.logits(hidden, rows.astype("int32"), inputs.get("condition")), "float32")
        words = sum(ops.take(logits[:, m], columns[:, m], axis=-1) for m in range(columns.shape[1]))  # (batch, words)
        owners = np.array(self.word_labels)
        labels = [
            ops.logsumexp(ops.take(words, np.flatnonzero(owners == i), axis=-1), axis=-1)
            for i in range(owners.max() + 1)
        ]
        return ops.stack(labels, axis=-1)

    def get_config(self):
        masked_lm = keras.saving.serialize_keras_object(self.masked_lm)
        return {"masked_lm": masked_lm, "word_ids": self.word_ids, "word_labels": self.word_labels, "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"masked_lm": keras.saving.deserialize_keras_object(config["masked_lm"])})

    def get_build_config(self):
        return {"built": self.built}

    def build_from_config(self, config):
        self.build()
