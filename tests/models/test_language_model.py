import contextlib

import keras
import numpy as np
import pytest

from nlpgen import MaskedLM
from nlpgen.models import Bert, BertConfig
from tests.helpers import IDS, SMALL, array, assert_close, random_weights

pytestmark = pytest.mark.backends
INPUTS = {"token_ids": IDS, "positions": np.array([[1, 3], [2, 0]], "int32")}
TARGETS, WEIGHTS = np.array([[5, 7], [9, 0]], "int32"), np.array([[1.0, 1.0], [1.0, 0.0]], "float32")


def model(dropout=0.0):
    rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    model = MaskedLM(Bert(BertConfig(**SMALL, **rates)))
    model.build()
    return random_weights(model)


def test_the_loss_is_the_cross_entropy_of_what_counts():
    trained = model()
    logits = array(trained(INPUTS)).astype("float64")
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    truth = np.take_along_axis(log_p, TARGETS[..., None], axis=-1)[..., 0]
    trained.compile()
    loss, accuracy = trained.test_on_batch(INPUTS, TARGETS, WEIGHTS)
    assert_close(loss, -(truth * WEIGHTS).sum() / 3)
    assert_close(accuracy + 1, 1 + ((logits.argmax(axis=-1) == TARGETS) * WEIGHTS).sum() / 3)


def test_fit_works_at_once():
    trained = model()
    before = array(trained.backbone.embeddings.token.embeddings)
    history = trained.fit(
        ((INPUTS, TARGETS, WEIGHTS) for _ in range(30)), epochs=3, steps_per_epoch=10, shuffle=False, verbose=0
    )
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert set(history.history) == {"loss", "accuracy"}
    assert isinstance(trained.optimizer, keras.optimizers.Adam)
    assert not np.array_equal(array(trained.backbone.embeddings.token.embeddings), before)


def test_training_drops_out_and_judging_does_not():
    keras.utils.set_random_seed(0)
    trained = model(dropout=0.3)
    trained.compile(keras.optimizers.SGD(0.0))
    judged = [float(trained.test_on_batch(INPUTS, TARGETS, WEIGHTS)[0]) for _ in range(2)]
    losses = {float(trained.train_on_batch(INPUTS, TARGETS, WEIGHTS)[0]) for _ in range(3)}
    assert judged[0] == judged[1]
    assert len(losses | {judged[0]}) == 4


def test_what_is_computed_anew_for_the_gradient_is_the_same():
    """As docs/bert4keras.md has it: whole blocks, but on TensorFlow activations only."""
    blocks = {"mode": "list_of_layers", "layer_names": ["block_0", "block_1"]}
    scope = {"mode": "activations"} if keras.config.backend() == "tensorflow" else blocks
    ends = []
    for options in (None, scope):
        with contextlib.nullcontext() if options is None else keras.RematScope(**options):
            trained = model()
        trained.compile(keras.optimizers.SGD(0.1))
        trained.train_on_batch(INPUTS, TARGETS, WEIGHTS)
        ends.append(trained.get_weights())
    for one, other in zip(*ends, strict=True):
        assert_close(one, other)


def test_what_was_compiled_stays(tmp_path):
    trained = model()
    trained.compile("sgd", "mse")
    trained.fit({"token_ids": IDS}, np.zeros((*IDS.shape, 50)), verbose=0)
    assert isinstance(trained.optimizer, keras.optimizers.SGD)
    model().save(tmp_path / "new.keras")
    assert not keras.saving.load_model(tmp_path / "new.keras").compiled
