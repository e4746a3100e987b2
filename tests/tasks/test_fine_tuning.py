"""The training loop that all classifiers share."""

import keras
import numpy as np
import pytest

from nlpgen import SequenceClassifier
from nlpgen.errors import InputError
from nlpgen.tasks import fine_tune
from nlpgen.training import state as states
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


SCORES = [0.5, 0.7, 0.7, 0.6]  # of the epochs; the best is the second


def kept_run(state=None, epochs=4, **changes):
    """History and weights of a small model, with a score that is the epoch's whoever trained it."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(8, 3))

    def batch(indices, length):
        return x[indices], x[indices, :2] ** 2, None

    def score():
        return SCORES[int(model.optimizer.iterations) // 2 - 1]

    options = {"batch_size": 4, "learning_rate": 0.1, "weight_decay": 0.01, "seed": 0, "loss": "mse", "score": score}
    history = fine_tune(model, [8] * 8, batch, epochs=epochs, state=state, **options | changes)
    return [each | {"seconds": 0} for each in history], model.get_weights()


def stopped_run(monkeypatch, state, writes, **changes):
    """Stop a run when it has written so many states."""
    save, done = states.save_state, []

    def stopping(*arguments):
        if len(done) == writes:
            raise KeyboardInterrupt
        done.append(save(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(states, "save_state", stopping)
        with pytest.raises(KeyboardInterrupt):
            kept_run(state, **changes)


@pytest.fixture(scope="module")
def whole_run():
    return kept_run()


def check_equal(run, whole):
    assert run[0] == whole[0]
    for ours, theirs in zip(run[1], whole[1], strict=True):
        assert np.array_equal(ours, theirs)


# Best and last of the first epoch, best and last of the second, last of the third, last of the fourth.
@pytest.mark.parametrize("writes", range(6))
def test_a_run_goes_on_from_wherever_it_was_stopped(whole_run, tmp_path, monkeypatch, writes):
    stopped_run(monkeypatch, tmp_path / "run", writes)
    check_equal(kept_run(tmp_path / "run"), whole_run)
    check_equal(kept_run(tmp_path / "run"), whole_run)  # what is kept is now the whole run


def test_a_run_without_scores_goes_on(tmp_path, monkeypatch):
    stopped_run(monkeypatch, tmp_path / "run", 2, score=None)
    check_equal(kept_run(tmp_path / "run", score=None), kept_run(score=None))


def test_a_run_that_was_stopped_after_its_best_was_kept_can_end_with_it(whole_run, tmp_path, monkeypatch):
    stopped_run(monkeypatch, tmp_path / "run", 3)
    history, weights = kept_run(tmp_path / "run", epochs=2)
    assert [each["score"] for each in history] == SCORES[:2]
    check_equal((history, weights), (history, whole_run[1]))


@pytest.mark.parametrize("writes", [1, 2])
def test_a_run_with_other_options_does_not_go_on(tmp_path, monkeypatch, writes):
    stopped_run(monkeypatch, tmp_path / "run", writes, settings={"data": "a", "shape": (1, 2)})
    with pytest.raises(InputError, match=r"run was started with other settings: weight_decay 0\.01, now 0\.02\. Use"):
        kept_run(tmp_path / "run", settings={"data": "a", "shape": (1, 2)}, weight_decay=0.02)
    with pytest.raises(InputError, match=r"other settings: seed 0, now 1, data 'a', now 'b'\. Use"):
        kept_run(tmp_path / "run", settings={"data": "b", "shape": (1, 2)}, seed=1)
