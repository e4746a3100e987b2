"""Learning from another classifier's probabilities."""

import keras
import numpy as np
import pytest

from nlpgen import Bert, TextClassifier
from nlpgen.errors import InputError
from nlpgen.tasks.text_classifier import SoftenedCrossentropy
from tests.helpers import array, assert_close

TEXTS = ["房间很干净", "太脏了", "服务真好", "又贵又差", "下次还来", "再也不来"]
SOFT = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])


@pytest.mark.backends
def test_the_loss_by_hand():
    logits = np.array([[1.0, -2.0, 0.5], [3.0, 3.0, -1.0]], "float32")
    targets = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]], "float32")
    log_p = logits / 3 - np.log(np.exp(logits / 3).sum(-1, keepdims=True))
    found = SoftenedCrossentropy(3.0, reduction=None)(targets, logits)
    assert_close(array(found), -9 * (targets * log_p).sum(-1), 1e-5)
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(SoftenedCrossentropy(3.0)))
    assert twin.temperature == 3.0


def test_the_probabilities_are_learned():
    """A student that has learned says what it was told, not only which class is likelier."""
    bert = Bert.from_pretrained("bert-tiny-zh", num_hidden_layers=1)
    student = TextClassifier(bert, max_length=16, epochs=60, batch_size=6, learning_rate=2e-3, dropout=0.0)
    student.fit_probabilities(TEXTS, SOFT, ["好", "差"], temperature=1.5)
    assert student.predict(TEXTS) == ["好", "差"] * 3
    assert np.abs(student.predict_proba(TEXTS) - SOFT).max() < 0.1


@pytest.mark.parametrize(("probabilities", "temperature"), [(SOFT[:3], 2.0), (SOFT.T, 2.0), (SOFT, 0)])
def test_bad_probabilities(probabilities, temperature):
    student = TextClassifier(Bert.from_pretrained("bert-tiny-zh", num_hidden_layers=1))
    with pytest.raises(InputError, match="Expected probabilities of 6 texts and 2 classes"):
        student.fit_probabilities(TEXTS, probabilities, ["好", "差"], temperature)
