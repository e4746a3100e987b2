"""What a step minimizes, and which texts it reads."""

import numpy as np
import pytest

from nlpgen import MaskedLM
from nlpgen.prompts import Pattern, Scorer, Verbalizer
from nlpgen.prompts import training as module
from nlpgen.prompts.training import Losses, train
from tests.helpers import array, assert_close

TEXTS, POOL = ["房间很干净", "太差了，等了一个小时", "好"], [f"早餐一般{i}" for i in range(10)]
WORDS = {"a": "很", "b": "不太"}


@pytest.fixture(scope="module")
def scorer():
    lm = MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=1)
    return Scorer(lm, Pattern("[MASK]满意。{text}"), Verbalizer(WORDS), max_length=32)


def batches(scorer, monkeypatch, columns, targets, pool, losses, **options):
    """What `train` hands to `fine_tune`: its function from indices to a batch."""
    caught = {}
    monkeypatch.setattr(module, "fine_tune", lambda model, lengths, batch, **_: caught.update(batch=batch))
    train(scorer, columns, targets, pool, losses, seed=0, **options)
    return caught["batch"]


@pytest.mark.backends
@pytest.mark.parametrize("template", [False, True])
def test_a_step_against_its_formula(scorer, monkeypatch, template):
    losses = Losses(0.7, 0.3, 0.15, template, label_conditioning=0.4)
    targets = np.array([0, 1, 0])
    batch = batches(scorer, monkeypatch, {"text": TEXTS}, targets, {"text": POOL}, losses, batch_size=3)
    x, y, weights = batch(np.array([0, 1, 2]), 16)
    found = scorer.model(x)
    labels, tokens = (array(found[name]).astype("float64") for name in ("labels", "tokens"))
    log_p = labels - np.logaddexp.reduce(labels, axis=-1, keepdims=True)
    expected = -0.7 * np.mean(log_p[np.arange(3), targets])
    log_p = tokens - np.logaddexp.reduce(tokens, axis=-1, keepdims=True)
    parts = {"mlm": [], "conditioned": []}  # rows: three labelled and three unlabelled texts; three labelled ones
    for i, row in enumerate(y["tokens"]):
        for j, id in enumerate(row):
            if weights["tokens"][i, j]:
                own = log_p[i, j, id] if id >= 0 else np.log(-np.expm1(log_p[i, j, -1 - id]))
                parts["mlm" if i < 6 else "conditioned"].append(-own)
    expected += 0.3 * np.mean(parts["mlm"]) + 0.4 * np.mean(parts["conditioned"])
    scorer.model.compile("sgd", jit_compile=False)
    measured = scorer.model.test_on_batch(x, y, weights, return_dict=True)["loss"]
    assert_close(np.array(float(measured)), np.array(expected), 1e-5)


@pytest.mark.parametrize(("size", "each"), [(None, 3), (5, 5), (99, 10)])
def test_as_many_unlabelled_texts_as_asked_are_read_beside_the_labelled(scorer, monkeypatch, size, each):
    read = []
    row = module.MaskedRows.row
    monkeypatch.setattr(module.MaskedRows, "row", lambda self, index: read.append(int(index)) or row(self, index))
    batch = batches(
        scorer, monkeypatch, {"text": TEXTS}, [0, 1, 0], {"text": POOL}, Losses(mlm_weight=0.1), batch_size=3,
        unlabeled_batch_size=size,
    )  # fmt: skip
    for _ in range(4):
        batch(np.array([0, 1, 2]), 16)
    assert sorted(i for i in read if i < 3) == sorted([0, 1, 2] * 4)
    further = [i for i in read if i >= 3]
    assert len(further) == 4 * each
    assert set(further[:10]) == set(range(3, 13))  # all once before any twice


def test_without_labels_no_label_is_learned(scorer, monkeypatch):
    losses = Losses(mlm_weight=0.1, label_conditioning=1.0)
    batch = batches(scorer, monkeypatch, {"text": []}, [], {"text": POOL}, losses, batch_size=4)
    x, y, weights = batch(np.arange(4), 16)
    assert x["masked_ids"].shape[0] == 4  # none are conditioned on a label
    assert not weights["labels"].any()
    assert (y["tokens"] >= 0).all()
