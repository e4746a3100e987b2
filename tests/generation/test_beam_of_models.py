"""Beam search over the caches of real models, against what `generate` of transformers 5.23 gave.

One model of a kind runs on every backend; the others differ from it in what the golden outputs of the models test.
"""

import numpy as np
import pytest
from keras import ops

from nlpgen import CausalLM, Seq2SeqLM
from nlpgen.generation import Beam
from tests.helpers import GOLDEN, array, assert_close


@pytest.mark.parametrize(
    ("folder", "name", "end_id"),
    [
        pytest.param("hf_gpt2_lm", "beam3", 7, marks=pytest.mark.backends),
        pytest.param("hf_llama", "beam4", 2, marks=pytest.mark.backends),
        ("hf_qwen2", "beam4", 2),
        ("hf_qwen3", "beam4", 2),
    ],
)
def test_decoders_equal_transformers(folder, name, end_id):
    """Beams over a cache, after a prompt of five tokens."""
    golden = np.load(GOLDEN / folder / "golden.npz")
    expected, width, prompt = golden[f"generate/{name}"], int(name[-1]), 5
    (n_best, length), ids = expected.shape, expected[:1, :prompt]
    model = CausalLM.from_pretrained(GOLDEN / folder)

    def step(token_ids, state):
        cache, place = state
        inputs = {"token_ids": token_ids[:, None], "position_ids": ops.broadcast_to(place, (width, 1))}
        inputs["padding_mask"] = ops.ones((width, length), "bool")
        hidden, cache = model.backbone.encode_cached(model.backbone.embed(inputs), inputs, cache, place)
        return ops.log_softmax(model.logits(hidden)[:, 0], axis=-1), (cache, place + 1)

    inputs = {"token_ids": ids[:, :-1], "padding_mask": np.ones((1, length), "bool")}
    cache = model.backbone.empty_cache(1, length)
    _, cache = model.backbone.encode_cached(model.backbone.embed(inputs), inputs, cache, 0)
    state = cache, ops.convert_to_tensor(prompt - 1)
    found = Beam(width, 1.0, n_best).search(step, ids[:, -1], state, length - prompt, end_id)
    np.testing.assert_array_equal(array(found.token_ids)[0], expected[:, prompt:])
    if f"generate/{name}_scores" in golden:
        assert_close(array(found.scores)[0], golden[f"generate/{name}_scores"])


@pytest.mark.parametrize(
    ("folder", "name", "width"),
    [
        ("hf_t5_v1_0", "greedy", 1),
        ("hf_t5_v1_0", "beam3", 3),
        ("hf_mt5", "greedy", 1),
        pytest.param("hf_mt5", "beam3", 3, marks=pytest.mark.backends),
    ],
)
def test_t5_equals_transformers(folder, name, width):
    """Three sources at once, two of them padded."""
    golden = np.load(GOLDEN / folder / "golden.npz")
    expected, source = golden[f"generate/{name}"], {"token_ids": golden["in/input_ids"]}
    length, model = expected.shape[1], Seq2SeqLM.from_pretrained(GOLDEN / folder)
    backbone = model.backbone
    assert (expected[:, 0] == backbone.config.decoder_start_token_id).all()

    def step(token_ids, state):
        source, cache, place = state
        inputs = {**source, "decoder_token_ids": token_ids[:, None]}
        hidden, cache = backbone.encode_cached(backbone.embed_decoder(inputs), inputs, cache, place)
        return ops.log_softmax(model.logits(hidden)[:, 0], axis=-1), (source, cache, place + 1)

    read = {
        "source_keys_values": backbone.source_keys_values(backbone.encode_source(source)),
        "padding_mask": ops.convert_to_tensor(source["token_ids"] != 0),
    }
    state = read, backbone.empty_cache(len(expected), length), ops.convert_to_tensor(0)
    found = Beam(width, 1.0).search(step, expected[:, 0], state, length - 1, end_id=1)
    np.testing.assert_array_equal(array(found.token_ids)[:, 0], expected[:, 1:])
