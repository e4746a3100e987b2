"""What is written with kept keys and values, in batches, equals what the whole model says of the whole text.

The steps run uncompiled here: to trace sixteen architectures takes minutes. `test_generate.py` compiles.
"""

import numpy as np
import pytest

from nlpgen import ARCHITECTURES, UniLM
from nlpgen.generation import Beam
from nlpgen.models.decoding import Decoding
from tests.helpers import array, assert_close
from tests.small_models import small_model

ON_EVERY_BACKEND = ("gpt2", "llama", "t5", "nezha")
ROWS = [[5, 9, 14, 3, 22, 31, 7, 8, 40, 12], [6, 11, 2], [41, 30]]


def cases(head):
    names = [name for name, cls in ARCHITECTURES.items() if head in cls.heads]
    return [pytest.param(name, marks=[pytest.mark.backends] if name in ON_EVERY_BACKEND else []) for name in names]


@pytest.fixture(autouse=True)
def _uncompiled(monkeypatch):
    monkeypatch.setattr(Decoding, "run", Decoding.__call__)


def log_probs_of(lm, row, ids, condition=None):
    """The log-probabilities where `ids` were chosen, by one pass without a cache."""
    if "seq2seq_lm" in type(lm.backbone).heads:
        inputs = {"token_ids": [row], "decoder_token_ids": [[lm.backbone.config.start_token_id, *ids[:-1]]]}
        inputs["padding_mask"], inputs["decoder_padding_mask"] = [[True] * len(row)], [[True] * len(ids)]
        first = 0
    else:
        whole, first = [*row, *ids[:-1]], len(row) - 1
        inputs = {"token_ids": [whole], "padding_mask": [[True] * len(whole)]}
        if isinstance(lm, UniLM):
            inputs["segment_ids"] = [[0] * len(row) + [1] * (len(ids) - 1)]
    if condition is not None:
        inputs["condition"] = [condition]
    logits = array(lm({name: np.array(value) for name, value in inputs.items()}))[0, first:].astype("float64")
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def check(lm, conditions=None):
    """Two hypotheses for each of three prompts: their scores are the model's own, and not the batch's doing."""
    beam = Beam(2, n_best=2)
    together = lm.generate_ids(ROWS, beam, max_new_tokens=3, condition=conditions)
    for i, (row, found) in enumerate(zip(ROWS, together, strict=True)):
        assert len(found) == 2
        for ids, score in found:
            log_probs = log_probs_of(lm, row, ids, None if conditions is None else conditions[i])
            assert_close([score], [log_probs[np.arange(len(ids)), ids].sum()])
    if type(lm.backbone).model_type not in ON_EVERY_BACKEND:
        return
    alone = lm.generate_ids(ROWS[1:2], beam, max_new_tokens=3, condition=conditions and conditions[1:2])[0]
    assert [ids for ids, _ in alone] == [ids for ids, _ in together[1]]
    assert_close([score for _, score in alone], [score for _, score in together[1]])


@pytest.mark.parametrize("name", cases("causal_lm"))
def test_decoders(name):
    check(small_model(name, "causal_lm"))


@pytest.mark.parametrize("name", cases("seq2seq_lm"))
def test_seq2seq(name):
    check(small_model(name, "seq2seq_lm"))


@pytest.mark.parametrize("name", cases("masked_lm"))
def test_unilm(name):
    check(UniLM(small_model(name, "masked_lm")))


@pytest.mark.backends
@pytest.mark.parametrize("application", ["encoder", "lm"])
def test_conditional_norms(application):
    """Each prompt with a condition of its own, and residual attention scores."""
    options = {"application": application, "residual_attention_scores": True, "condition_size": 3}
    lm = UniLM(small_model("bert", "masked_lm", **options))
    conditions = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 2.0]]
    check(lm, conditions)
    first, other = (lm.generate_ids(ROWS[:1], condition=conditions[i : i + 1], max_new_tokens=3)[0] for i in (0, 2))
    assert abs(first[0][1] - other[0][1]) > 0.01


def test_unilm_that_continues_a_text():
    causal = UniLM(small_model("roformer", "masked_lm", application="lm"))
    check(causal)
    plain = small_model("roformer", "masked_lm", application="lm")
    ids = np.array([[5, 9, 4, 8, 12]])
    assert_close(array(causal({"token_ids": ids, "segment_ids": np.ones_like(ids)})), array(plain({"token_ids": ids})))


@pytest.mark.parametrize("name", ["bert", "nezha"])
def test_unilm_equals_the_encoder_with_its_mask(name):
    """Whatever `application` the encoder has."""
    one, other = (small_model(name, "masked_lm", application=application) for application in ("encoder", "unilm"))
    ids = np.array([[5, 9, 4, 8, 12, 0], [5, 9, 4, 8, 12, 7]])
    inputs = {"token_ids": ids, "segment_ids": np.array([[0, 0, 0, 1, 1, 1]] * 2)}
    assert_close(array(UniLM(one)(inputs)), array(other(inputs)))
