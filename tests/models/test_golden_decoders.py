"""Decoders against what bert4keras 0.11.5 and transformers 5.23 gave, recorded in tests/golden."""

import numpy as np
import pytest
from keras import ops

from nlpgen import CausalLM
from tests.helpers import GOLDEN, array, assert_close

pytestmark = pytest.mark.backends
TRANSFORMERS = ["hf_gpt2_lm", "hf_llama", "hf_qwen2", "hf_qwen3"]


@pytest.mark.parametrize(("folder", "variant"), [("b4k_gpt2", "lm_linear")])
def test_bert4keras(folder, variant):
    golden = np.load(GOLDEN / folder / "golden.npz")
    ids = golden[f"{variant}/in0"]
    assert (ids == 0).any()
    out = array(CausalLM.from_pretrained(GOLDEN / folder)({"token_ids": ids}))
    assert_close(out, golden[f"{variant}/out_lm"])


@pytest.mark.parametrize("folder", TRANSFORMERS)
def test_transformers(folder):
    golden = np.load(GOLDEN / folder / "golden.npz")
    model = CausalLM.from_pretrained(GOLDEN / folder)
    inputs = {"token_ids": golden["in/input_ids"]}
    if "in/attention_mask" in golden:
        inputs["padding_mask"] = golden["in/attention_mask"]
    assert_close(array(model(inputs)), golden["out/logits"])


@pytest.mark.parametrize("folder", TRANSFORMERS)
def test_with_a_cache_it_is_the_same(folder):
    """A text read in two parts, in a cache longer than it is, padded on the left or not."""
    model = CausalLM.from_pretrained(GOLDEN / folder)
    backbone = model.backbone
    ids = np.random.default_rng(0).integers(10, 250, (2, 9))
    mask = np.ones((2, 12), dtype=bool)
    mask[1, :3] = False
    position_ids = np.maximum(np.cumsum(mask[:, :9], axis=1) - 1, 0)
    whole = model({"token_ids": ids, "padding_mask": mask[:, :9], "position_ids": position_ids})
    cache, parts = backbone.empty_cache(2, 12), []
    for part in (slice(0, 5), slice(5, 6), slice(6, 9)):
        inputs = {"token_ids": ids[:, part], "padding_mask": mask, "position_ids": position_ids[:, part]}
        hidden, cache = backbone.encode_cached(backbone.embed(inputs), inputs, cache, part.start)
        parts.append(model.logits(hidden))
    together, whole = array(ops.concatenate(parts, axis=1)), array(whole)
    assert_close(together[0], whole[0])
    assert_close(together[1, 3:], whole[1, 3:])


@pytest.mark.parametrize("folder", TRANSFORMERS)
def test_the_likeliest_continuation(folder):
    """Twelve tokens after a prompt of five, each step reading one token and the cache."""
    expected = np.load(GOLDEN / folder / "golden.npz")["generate/greedy"]
    model = CausalLM.from_pretrained(GOLDEN / folder)
    backbone, (batch, length) = model.backbone, expected.shape
    ids, read, cache = expected[:, :5], 0, backbone.empty_cache(batch, length)
    while ids.shape[1] < length:
        positions = np.arange(read, ids.shape[1])
        inputs = {"token_ids": ids[:, read:], "position_ids": positions}
        hidden, cache = backbone.encode_cached(backbone.embed(inputs), inputs, cache, read)
        read = ids.shape[1]
        ids = np.concatenate([ids, array(model.logits(hidden[:, -1:])).argmax(axis=-1)], axis=1)
    np.testing.assert_array_equal(ids, expected)


def test_the_cache_of_transformers():
    """The logits of a prompt, and of the token after it."""
    golden = np.load(GOLDEN / "hf_gpt2_lm" / "golden.npz")
    model = CausalLM.from_pretrained(GOLDEN / "hf_gpt2_lm")
    backbone, prompt, next_id = model.backbone, golden["in/input_ids"][:1, :5], golden["cache/next_id"]
    hidden, cache = backbone.encode_cached(
        backbone.embed({"token_ids": prompt}), {"token_ids": prompt}, backbone.empty_cache(1, 6)
    )
    first = array(model.logits(hidden))
    assert_close(first, golden["cache/first_logits"])
    np.testing.assert_array_equal(first[:, -1:].argmax(-1), next_id)
    inputs = {"token_ids": next_id, "position_ids": np.array([[5]])}
    hidden, _ = backbone.encode_cached(backbone.embed(inputs), inputs, cache, 5)
    assert_close(array(model.logits(hidden)), golden["cache/second_logits"])
