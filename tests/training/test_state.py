import json

import keras
import numpy as np
import pytest

from nlpgen.errors import CheckpointCorrupt, CheckpointNotFound, InputError, WeightsMismatch
from nlpgen.training import adamw, check_settings, has_state, load_state, read_record, save_state
from nlpgen.training.state import RECORD, TENSORS

# PyTorch draws dropout from a generator of its own, which is no part of a state.
DROPOUT = 0.0 if keras.config.backend() == "torch" else 0.5


def compiled(units=4, seed=0, dropout=DROPOUT):
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((3,)), keras.layers.Dense(units), keras.layers.Dropout(dropout), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(adamw(0.01), "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    return model


def step(model, times):
    x = np.arange(12.0).reshape(4, 3)
    for _ in range(times):
        model.train_on_batch(x, x.sum(axis=1, keepdims=True))


@pytest.mark.backends
def test_a_run_goes_on_bit_for_bit(tmp_path):
    """Weights, moments and the random state of dropout: six steps are two and four."""
    whole = compiled()
    step(whole, 6)
    first = compiled()
    step(first, 2)
    save_state(tmp_path / "state", first, {"step": 2})
    second = compiled(seed=9)
    assert load_state(tmp_path / "state", second)["step"] == 2
    step(second, 4)
    for a, b in zip(whole.get_weights(), second.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_the_old_state_is_replaced_whole(tmp_path):
    model = compiled()
    for i in range(3):
        save_state(tmp_path / "state", model, {"step": i})
        assert read_record(tmp_path / "state")["step"] == i
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_a_failed_write_leaves_the_old_state(tmp_path):
    model = compiled()
    save_state(tmp_path / "state", model, {"step": 1})
    with pytest.raises(TypeError):
        save_state(tmp_path / "state", model, {"step": object()})
    assert load_state(tmp_path / "state", model)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_no_state(tmp_path):
    assert not has_state(tmp_path / "none")
    with pytest.raises(CheckpointNotFound, match="no run to resume"):
        load_state(tmp_path / "none", compiled())


def test_a_cut_state_is_refused(tmp_path):
    model = compiled()
    save_state(tmp_path / "state", model, {"step": 1})
    path = tmp_path / "state" / TENSORS
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CheckpointCorrupt, match="is not as it was saved"):
        load_state(tmp_path / "state", model)


def test_a_state_of_another_model_is_refused(tmp_path):
    save_state(tmp_path / "state", compiled(), {"step": 1})
    with pytest.raises(WeightsMismatch, match=r"expected shape \(3, 5\), found \(3, 4\)"):
        load_state(tmp_path / "state", compiled(units=5))
    with pytest.raises(WeightsMismatch, match="not in the model"):
        load_state(tmp_path / "state", compiled(dropout=0.0))


def test_settings_that_differ_are_all_named():
    saved = {"peak": 0.1, "steps": 5, "seed": 0}
    check_settings(saved, {"peak": 0.1, "steps": 9, "seed": 0}, {"steps"}, "run/state")
    with pytest.raises(InputError, match=r"run/state was .*peak 0.1, now 0.2, seed 0, now 1\. Use"):
        check_settings(saved, {"peak": 0.2, "steps": 9, "seed": 1}, {"steps"}, "run/state")


def test_the_record_is_json_that_a_person_can_read(tmp_path):
    save_state(tmp_path / "state", compiled(), {"step": 1, "settings": {"peak": 0.001}})
    assert json.loads((tmp_path / "state" / RECORD).read_text())["settings"] == {"peak": 0.001}
