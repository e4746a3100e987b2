"""Deep prompts against the sums that the papers write down, query by query."""

import numpy as np
import pytest
import scipy.special

from nlpgen.layers import PrefixEncoder
from nlpgen.prompts.prompt_model import PromptModel
from tests.helpers import IDS, SEGMENTS, array, assert_close
from tests.small_models import small_model

PREFIXES, LENGTH = 2, 3


def dense(layer, x):
    return x @ array(layer.kernel).astype("float64") + array(layer.bias)


def norm(layer, x):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.epsilon)
    return x * array(layer.gamma) + array(layer.beta)


def attention(layer, x, before):
    """Of one text: each query sees the prefix `(2, heads, places, head_size)` and all tokens."""
    (q, k, v), out = (dense(each, x) for each in (layer.query, layer.key, layer.value)), []
    for query in q:
        heads = []
        for h in range(layer.num_heads):
            own = slice(h * layer.head_size, (h + 1) * layer.head_size)
            keys, values = [*before[0, h], *k[:, own]], [*before[1, h], *v[:, own]]
            weights = np.exp([query[own] @ key / np.sqrt(layer.head_size) for key in keys])
            heads += sum(w * value for w, value in zip(weights / weights.sum(), values, strict=True)).tolist()
        out.append(heads)
    return dense(layer.output_projection, np.array(out))


def bert(backbone, ids, segments, prefix):
    """Hidden states of one text without padding; `prefix` is `(blocks, 2, heads, places, head_size)`."""
    tables = backbone.embeddings.token, backbone.embeddings.segment, backbone.embeddings.position
    x = sum(array(each.embeddings)[i] for each, i in zip(tables, (ids, segments, np.arange(len(ids))), strict=True))
    x = norm(backbone.embeddings.norm, x.astype("float64"))
    for block, before in zip(backbone.blocks, prefix, strict=True):
        x = norm(block.attention_norm, x + attention(block.attention, x, before))
        up = dense(block.up, x)
        up *= scipy.special.ndtr(up)  # GELU
        x = norm(block.ffn_norm, x + dense(block.down, up))
    return x


@pytest.mark.backends
@pytest.mark.parametrize("hidden_size", [None, 5])
def test_every_block_has_a_prefix_of_its_own(hidden_size):
    lm = small_model("bert", "masked_lm")
    backbone, generator = lm.backbone, np.random.default_rng(1)
    blocks, heads, size = len(backbone.blocks), 4, 4
    prefix = PrefixEncoder(LENGTH, blocks, heads, size, PREFIXES, hidden_size)
    prefix.build()
    for weight in prefix.weights:
        weight.assign(generator.normal(0, 0.7, weight.shape))
    model = PromptModel(lm, None, prefix=prefix)
    model.build()
    positions = np.array([[4, 0, 2], [1, 6, 3]])
    which = np.array([1, 0])
    found = array(model.hidden(IDS, positions, SEGMENTS, which))

    vectors = array(prefix.embeddings).astype("float64")
    if hidden_size is not None:
        vectors = dense(prefix.dense[1], np.tanh(dense(prefix.dense[0], vectors)))
    # As in P-tuning v2's code, where keys and values of a block stand beside each other.
    vectors = vectors.reshape(PREFIXES, LENGTH, 2 * blocks, heads, size)
    for row, (ids, segments) in enumerate(zip(IDS, SEGMENTS, strict=True)):
        n = np.count_nonzero(ids)
        pairs = np.array([vectors[which[row], :, i].transpose(1, 0, 2) for i in range(2 * blocks)])
        expected = bert(backbone, ids[:n], segments[:n], pairs.reshape(blocks, 2, heads, LENGTH, size))
        assert_close(found[row], expected[positions[row]], 1e-5)
