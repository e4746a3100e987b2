import io

import keras
import numpy as np
import pytest

from nlpgen import Bert, BertConfig, MaskedLM
from nlpgen.errors import InputError, TrainingDiverged
from nlpgen.training import Run, WarmupStableDecay, adamw, pretrain, read_record
from nlpgen.training.flops import transformer_flops
from nlpgen.training.held_out import masked_accuracy, next_token_scores

# PyTorch draws dropout from a generator of its own, which is no part of a state.
DROPOUT = 0.0 if keras.config.backend() == "torch" else 0.1
CONFIG = BertConfig(40, 8, 2, 2, 16, hidden_dropout_prob=DROPOUT, attention_probs_dropout_prob=DROPOUT)


def batch(index, places=2):
    """Every token is the one before it plus one; the first place tells the rest."""
    rng = np.random.default_rng(index)
    ids = (rng.integers(5, 20, (8, 1)) + np.arange(6)).astype("int32")
    positions = np.tile(np.arange(1, 1 + places, dtype="int32"), (8, 1))
    targets = np.take_along_axis(ids, positions, axis=1)
    masked = ids.copy()
    np.put_along_axis(masked, positions, 4, axis=1)
    return {"token_ids": masked, "positions": positions}, targets, np.ones(targets.shape, "float32")


def batches(first):
    while True:
        yield batch(first)
        first += 1


def compiled(peak=0.02, steps=20, dtype="float32", accumulate=1, ema=None, **options):
    keras.utils.set_random_seed(1)
    model = MaskedLM(Bert(CONFIG.replace(**options), dtype=dtype))
    model.build()
    model.compile(adamw(WarmupStableDecay(peak, steps, 2, 4, accumulate), accumulate=accumulate, ema=ema))
    return model


def run_of(folder, **options):
    return Run(folder / "state", {"peak": 0.02}, tokens_per_batch=48, out=io.StringIO(), **options)


@pytest.mark.backends
def test_a_run_reports_evaluates_and_resumes_bit_for_bit(tmp_path):
    model = compiled()
    judged = {"all": batch(10**6)}
    judged = {name: (x["token_ids"], x["positions"], y, w) for name, (x, y, w) in judged.items()}

    def evaluate():
        return {name: entry["accuracy"] for name, entry in masked_accuracy(model, judged).items()}

    run = run_of(tmp_path, evaluate=evaluate, evaluate_every=3, flops_per_token=1e6, peak_flops=1e12)
    history = pretrain(model, batches, run, steps=20, window=5)
    assert [report["step"] for report in history] == [5, 10, 15, 20]
    assert ["held_out" in report for report in history] == [False, False, True, True]  # the last, too
    assert all(report["tokens_per_second"] > 0 and "flops_utilisation" in report for report in history)
    assert run.out.getvalue().count("tokens_per_second") == 4
    assert read_record(tmp_path / "state")["settings"] == {"peak": 0.02}

    halves = []
    for steps, seed in ((10, 1), (20, 2)):
        other = compiled()
        keras.utils.set_random_seed(seed)
        half = run_of(tmp_path / "half")
        if halves:
            half.resume(other)
        pretrain(other, batches, half, steps=steps, window=5)
        halves.append(other)
    for a, b in zip(model.get_weights(), halves[-1].get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()
    assert [report["loss"] for report in half.history] == [report["loss"] for report in history]


@pytest.mark.backends
def test_accumulation_and_average_resume_bit_for_bit_and_the_average_is_judged(tmp_path):
    """Both at once: gradients of two batches an update, and the average that is saved in the weights' place."""
    models, runs = [], []
    for steps, seed in ((8, 1), (4, 1), (8, 2)):
        model = compiled(steps=8, accumulate=2, ema=0.9)
        keras.utils.set_random_seed(seed)
        judged = {"all": batch(10**6)}
        judged = {name: (x["token_ids"], x["positions"], y, w) for name, (x, y, w) in judged.items()}
        run = run_of(
            tmp_path / f"{min(len(runs), 1)}",
            batches_per_update=2,
            evaluate=lambda model=model, judged=judged: masked_accuracy(model, judged)["all"],
            evaluate_every=2,
        )
        if len(runs) == 2:
            run.resume(model)
        pretrain(model, batches, run, steps=steps, window=2)
        models.append(model)
        runs.append(run)
    whole, first, resumed = runs
    assert [report["step"] for report in whole.history] == [2, 4, 6, 8]
    for a, b in zip(models[0].get_weights(), models[2].get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()
    for key in ("loss", "held_out"):
        assert [r.get(key) for r in resumed.history] == [r.get(key) for r in whole.history]
    # What was judged last is what `fit` left: the average, not the weights that the state holds beside it.
    assert whole.evaluate() == whole.history[-1]["held_out"]
    assert whole.history[1]["held_out"] == first.history[1]["held_out"]
    whole.resume(models[0])
    assert whole.evaluate() != whole.history[-1]["held_out"]


def test_it_learns_in_bfloat16(tmp_path):
    model = compiled(steps=200, dtype="mixed_bfloat16", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    history = pretrain(model, batches, run_of(tmp_path, writes=False), steps=200, window=40)
    assert history[-1]["loss"] < history[0]["loss"] / 1.5
    assert not (tmp_path / "state").exists()
    assert all(weight.dtype == "float32" for weight in model.trainable_variables)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_state(tmp_path):
    model, run = compiled(), run_of(tmp_path)
    pretrain(model, batches, run, steps=5, window=5)
    model.head.bias.assign(np.full(40, np.nan))
    with pytest.raises(TrainingDiverged, match="The loss is nan at step 10"):
        pretrain(model, batches, run, steps=10, window=5)
    assert read_record(tmp_path / "state")["step"] == 5


def test_windows_must_fit(tmp_path):
    for steps, window in ((0, 5), (60, 50)):
        with pytest.raises(InputError, match=f"steps={steps}, window={window}"):
            pretrain(compiled(), batches, run_of(tmp_path), steps, window)
    run = run_of(tmp_path)
    run.step = 7
    with pytest.raises(InputError, match="the saved step 7"):
        pretrain(compiled(), batches, run, steps=20, window=5)


def test_scores_by_hand():
    class Fixed:
        def predict_on_batch(self, inputs):
            return np.log(np.array([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]], "float32"))

    targets, weights = np.array([[0, 2]]), np.array([[1.0, 1.0]])
    expected = -(np.log(0.5) + np.log(0.1)) / 2
    found = next_token_scores(Fixed(), [({}, targets, weights)])
    assert found == {"accuracy": 0.5, "loss": pytest.approx(expected), "tokens": 2}
    half = next_token_scores(Fixed(), [({}, targets, np.array([[1.0, 0.0]]))])
    assert half == {"accuracy": 1.0, "loss": pytest.approx(-np.log(0.5)), "tokens": 1}
    rows = {"a": (np.zeros((1, 4), int), np.zeros((1, 2), int), targets, weights)}
    assert masked_accuracy(Fixed(), rows)["all"] == {"accuracy": 0.5, "loss": pytest.approx(expected), "tokens": 2}


def test_the_last_batch_is_filled_up_and_not_counted():
    """Devices that share a batch need as many rows in the last one."""

    class Sizes:
        def __init__(self):
            self.sizes = []

        def predict_on_batch(self, inputs):
            self.sizes.append(len(inputs["token_ids"]))
            return np.eye(8, dtype="float32")[inputs["token_ids"]]

    ids = np.arange(7)[:, None]
    model, targets = Sizes(), np.where(ids < 5, ids, 0)
    rows = {"a": (ids, np.zeros((7, 1), int), targets, np.ones((7, 1)))}
    assert masked_accuracy(model, rows, batch_size=4)["a"]["accuracy"] == pytest.approx(5 / 7)
    assert masked_accuracy(model, rows, batch_size=16)["a"]["accuracy"] == pytest.approx(5 / 7)
    assert model.sizes == [4, 4, 16]


def test_operations_of_a_step_by_hand():
    config = BertConfig(100, 8, 1, 2, 32)
    # One block of 4 projections, 2 feed-forward products, 2 of attention over 16 tokens; head dense and output.
    whole = 3 * (4 * 2 * 64 + 2 * 2 * 8 * 32 + 2 * 2 * 8 * 16 + 2 * 64 + 2 * 8 * 100)
    assert transformer_flops(config, 16) == whole
    # At 4 of 16 positions: keys and values of all, the rest of the only block and the head of a quarter.
    quarter = 2 * 2 * 64 + (2 * 2 * 64 + 2 * 2 * 8 * 32 + 2 * 2 * 8 * 16 + 2 * 64 + 2 * 8 * 100) / 4
    assert transformer_flops(config, 16, places=4) == 3 * quarter
    # A block more is computed at every position.
    more = 3 * (4 * 2 * 64 + 2 * 2 * 8 * 32 + 2 * 2 * 8 * 16)
    assert transformer_flops(config.replace(num_hidden_layers=2), 16, places=4) == 3 * quarter + more
