"""The training loop that all classifiers share."""

import keras
import numpy as np
import pytest

from nlpgen import SequenceClassifier
from nlpgen.tasks import fine_tune
from tests.tasks.helpers import tiny_bert


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="it counts what TensorFlow traces")
def test_a_step_is_traced_once():
    calls = []

    class Loss(keras.losses.SparseCategoricalCrossentropy):
        def call(self, y_true, y_pred):
            calls.append(y_pred.shape)
            return super().call(y_true, y_pred)

    model = SequenceClassifier(tiny_bert(), ["有", "无"])
    model.build()

    def batch(indices, length):
        return {"token_ids": np.full((len(indices), length), 5)}, np.array(indices) % 2, None

    options = {"batch_size": 4, "learning_rate": 1e-3, "weight_decay": 0.01, "seed": 0, "loss": Loss(from_logits=True)}
    for epochs in (3, 2):  # the second time with what is compiled
        assert len(fine_tune(model, [8] * 8, batch, epochs=epochs, **options)) == epochs
    assert calls == [(4, 2)]
