import keras
import numpy as np
import pytest

from nlpgen import Bert, SequenceClassifier
from nlpgen.checkpoints import unnamed_weights
from nlpgen.errors import InputError
from nlpgen.models import SENTENCE_POOLINGS, SentenceEncoder
from tests.helpers import GOLDEN, array, assert_close
from tests.small_models import small_model

pytestmark = pytest.mark.backends


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "hf_bert_model" / "golden.npz")


def inputs(golden):
    return {"token_ids": golden["in/input_ids"], "segment_ids": golden["in/token_type_ids"]}


@pytest.mark.parametrize("pooling", SENTENCE_POOLINGS)
def test_what_transformers_computed(golden, pooling):
    """Pooled here from the hidden states that transformers gave for a batch with padding."""
    last, first = golden["out/last_hidden_state"], golden["out/hidden_states/0"]
    seen = golden["in/attention_mask"][..., None]
    expected = {
        "cls": last[:, 0],
        "last": np.stack([row[mask.sum() - 1] for row, mask in zip(last, seen, strict=True)]),
        "mean": (last * seen).sum(1) / seen.sum(1),
        "max": np.where(seen, last, -np.inf).max(1),
        "first_last_mean": ((first + last) / 2 * seen).sum(1) / seen.sum(1),
    }[pooling]
    encoder = SentenceEncoder(Bert.from_pretrained(GOLDEN / "hf_bert_model"), pooling)
    assert_close(array(encoder(inputs(golden))), expected)


def test_a_keras_file_and_the_classifier_on_the_same_vectors(golden, tmp_path):
    backbone = Bert.from_pretrained(GOLDEN / "hf_bert_model")
    encoder = SentenceEncoder(backbone, "first_last_mean")
    encoder.build()
    assert unnamed_weights(encoder) == []
    out = array(encoder(inputs(golden)))
    encoder.save(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(array(keras.saving.load_model(tmp_path / "encoder.keras")(inputs(golden))), out)
    classifier = SequenceClassifier(backbone, ["a", "b"], "first_last_mean")
    classifier.build()
    np.testing.assert_array_equal(array(classifier.vectors(inputs(golden))), out)


def test_wrong_poolings():
    with pytest.raises(InputError, match="`pooling` must be one of 'cls', 'last', 'mean'"):
        SentenceEncoder(small_model("bert", "masked_lm").backbone, "attention")
    with pytest.raises(InputError, match="Use pooling='last'"):
        SentenceEncoder(small_model("gpt2", "causal_lm").backbone, "cls")
