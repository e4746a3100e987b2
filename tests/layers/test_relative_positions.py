"""T5's buckets by the published formula in exact arithmetic, by transformers, and what is made of them."""

import keras
import numpy as np
import pytest
from keras import ops

from nlpgen import layers
from tests.helpers import array, assert_close, random_weights

SIZES = [(32, 128), (32, 20), (8, 12), (4, 1000), (64, 256)]


def bucket(relative, num_buckets, max_distance, bidirectional):
    """`near + floor(log(n / near) / log(max / near) * far)`, compared in whole numbers: no logarithm, no rounding."""
    base = 0
    if bidirectional:
        num_buckets //= 2
        base = num_buckets if relative > 0 else 0
        n = abs(relative)
    else:
        n = max(-relative, 0)
    near = num_buckets // 2
    far = num_buckets - near
    if n < near:
        return base + n
    step = 0
    while step < far - 1 and n**far * near ** (step + 1) >= max_distance ** (step + 1) * near**far:
        step += 1
    return base + near + step


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), SIZES)
def test_buckets(num_buckets, max_distance, bidirectional):
    found = layers.relative_position_buckets(num_buckets, max_distance, bidirectional)
    distances = range(-max_distance, max_distance + 1)
    assert found.tolist() == [bucket(i, num_buckets, max_distance, bidirectional) for i in distances]
    assert set(found) <= set(range(num_buckets))


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), SIZES)
def test_buckets_of_transformers(num_buckets, max_distance, bidirectional):
    torch = pytest.importorskip("torch")
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    distances = np.arange(-2 * max_distance, 2 * max_distance + 1)
    options = bidirectional, num_buckets, max_distance
    expected = t5.T5Attention._relative_position_bucket(torch.tensor(distances), *options).numpy()
    found = layers.relative_position_buckets(num_buckets, max_distance, bidirectional)
    np.testing.assert_array_equal(found[np.clip(distances, -max_distance, max_distance) + max_distance], expected)


@pytest.mark.backends
@pytest.mark.parametrize("bidirectional", [True, False])
def test_bias(bidirectional):
    """For queries in the middle of a text, farther from the keys than the last bucket, and through its config."""
    layer = layers.RelativePositionBias(8, 3, max_distance=12, bidirectional=bidirectional)
    layer.build()
    random_weights(layer)
    queries, keys = np.array([7, 8, 40]), np.arange(30)
    out = array(layer(ops.convert_to_tensor(queries), ops.convert_to_tensor(keys)))
    table = array(layer.embeddings)
    buckets = [[bucket(int(k - q), 8, 12, bidirectional) for k in keys] for q in queries]
    np.testing.assert_array_equal(out, table[buckets].transpose(2, 0, 1)[None])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()


@pytest.mark.backends
def test_cross_attention_block():
    """Its three parts, one after the other."""
    options = {"norm": {"kind": "rms"}, "attention": {"use_bias": False, "scale": 1.0, "head_size": 3}}
    block = layers.CrossAttentionBlock(8, 2, 16, activation="relu", **options)
    block.build((None, None, 8))
    random_weights(block)
    assert block.source_attention.scale == 1.0
    assert block.source_attention.query.bias is None
    generator = np.random.default_rng(0)
    sizes = (2, 5, 8), (2, 4, 8), (1, 2, 5, 5), (1, 2, 5, 4)
    x, source, bias, source_bias = (ops.convert_to_tensor(generator.normal(size=s), "float32") for s in sizes)
    mask = layers.causal_mask(5)
    source_mask = ops.convert_to_tensor([[1, 1, 1, 0], [1, 1, 1, 1]], "bool")[:, None, None]
    seen = block.attention_norm(x)
    h = x + block.attention(seen, seen, mask, bias)[0]
    h = h + block.source_attention(block.source_norm(h), source, source_mask, source_bias)[0]
    expected = array(h + block.feed_forward(block.ffn_norm(h)))
    options = {"attention_mask": mask, "source_mask": source_mask, "bias": bias, "source_bias": source_bias}
    kept = block.source_keys_values(source)
    assert_close(array(block(x, kept, **options)[0]), expected)
    positions = np.array([[3, 0], [2, 2]])
    some = array(block(x, kept, **options, positions=positions)[0])
    assert_close(some, np.take_along_axis(expected, positions[..., None], axis=1))
