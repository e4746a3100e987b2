"""Prefixes of keys and values, and vectors in place of tokens, against the same tokens in the text."""

import numpy as np
import pytest

from tests.helpers import IDS, array, assert_close
from tests.small_models import MAIN, small_model

pytestmark = pytest.mark.backends
ENCODERS = ["bert", "albert", "electra", "ernie", "roberta", "roformer"]
DECODERS = ["gpt2", "openai-gpt", "gpt2_ml", "llama", "qwen2", "qwen3"]


def backbone_of(name, **changes):
    head = dict(MAIN)[name]
    model = small_model(name, head, **changes)
    return getattr(model, "backbone", model)


@pytest.mark.parametrize("name", [*ENCODERS, "nezha", *DECODERS])
def test_token_vectors_stand_for_tokens(name):
    backbone = backbone_of(name)
    table = array(backbone.embeddings.token.embeddings)
    changed = np.where(IDS == 9, 10, IDS)  # the ids of hidden tokens do not matter, but that they are no padding
    found = array(backbone({"token_ids": changed, "token_vectors": table[IDS]}))
    assert_close(found, array(backbone({"token_ids": IDS})))
    assert np.abs(found - array(backbone({"token_ids": changed}))).max() > 1e-3


def keys_values(backbone, ids, positions):
    """Keys and values of every block, for tokens on their own: `(1, blocks, 2, heads, n, head_size)`."""
    inputs = {"token_ids": ids, "position_ids": positions}
    _, cache = backbone.encode_cached(backbone.embed(inputs), inputs)
    return np.stack([np.stack([array(part) for part in pair], axis=1) for pair in cache], axis=1)


@pytest.mark.parametrize("name", DECODERS)
def test_a_prefix_of_a_decoder_is_what_stood_before(name):
    backbone = backbone_of(name)
    ids = np.array([[5, 6, 7, 8, 9, 10, 11]], "int32")
    whole = array(backbone({"token_ids": ids}))
    prefix = keys_values(backbone, ids[:, :3], np.arange(3)[None])
    found = array(backbone({"token_ids": ids[:, 3:], "position_ids": np.arange(3, 7)[None], "prefix": prefix}))
    assert_close(found, whole[:, 3:])


@pytest.mark.parametrize("name", ENCODERS)
def test_a_prefix_of_an_encoder_with_one_layer_is_what_stood_before(name):
    backbone = backbone_of(name, num_hidden_layers=1)
    ids = np.array([[5, 6, 7, 8, 9, 10, 0], [5, 6, 7, 12, 13, 0, 0]], "int32")
    positions = np.arange(7)[None].repeat(2, 0)
    whole = array(backbone({"token_ids": ids, "position_ids": positions}))
    first = {"token_ids": ids[:, :3], "position_ids": positions[:, :3]}
    pair = backbone.layer_blocks[0].attention.keys_values(backbone.embed(first), first["position_ids"])
    prefix = np.stack([array(part) for part in pair], axis=1)[:, None]
    rest = {"token_ids": ids[:, 3:], "position_ids": positions[:, 3:], "prefix": prefix}
    found = array(backbone(rest))
    assert_close(found[0, :3], whole[0, 3:6])
    assert_close(found[1, :2], whole[1, 3:5])
    some = array(backbone(rest | {"positions": np.array([[0, 2], [1, 0]], "int32")}))
    assert_close(some[0], found[0, [0, 2]])
    assert_close(some[1], found[1, [1, 0]])


def test_relative_positions_have_no_prefix():
    backbone = backbone_of("nezha")
    with pytest.raises(ValueError, match="relative positions"):
        backbone({"token_ids": IDS, "prefix": np.zeros((2, 2, 2, 4, 1, 4), "float32")})
