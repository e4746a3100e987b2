"""Each layer against its formula in NumPy, and through its config."""

import keras
import ml_dtypes
import numpy as np
import pytest

from nlpgen import layers
from nlpgen.errors import InputError
from tests.helpers import array, assert_close, random_weights

pytestmark = pytest.mark.backends
X = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
IDS = np.array([[4, 2, 3, 0, 0], [1, 2, 3, 4, 5]], dtype="int32")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(x, gamma, beta, epsilon):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon) * gamma + beta


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_conditional_norm_in_half_precision(dtype):
    layer, half = layers.LayerNorm(condition_size=3), layers.LayerNorm(condition_size=3, dtype=dtype)
    for each in (layer, half):
        each.build(X.shape)
    half.set_weights(random_weights(layer).get_weights())
    condition = np.random.default_rng(1).normal(size=(2, 3)).astype("float32")
    found = half(X, condition)
    assert keras.backend.standardize_dtype(found.dtype) == half.compute_dtype
    eps = float(ml_dtypes.finfo(half.compute_dtype).eps)  # of the output's rounding and the condition's products
    expected = array(layer(X, condition))
    np.testing.assert_allclose(array(keras.ops.cast(found, "float32")), expected, rtol=eps, atol=eps)


def test_attention():
    layer = layers.MultiHeadAttention(8, 2)
    layer.build((None, None, 8))
    random_weights(layer)
    mask, previous = layers.padding_mask(IDS), np.random.default_rng(1).normal(size=(2, 2, 5, 5)).astype("float32")
    out, scores = (array(t) for t in layer(X, X, mask, previous))
    projections = (layer.query, layer.key, layer.value)
    q, k, v = ((X @ array(p.kernel) + array(p.bias)).reshape(2, 5, 2, 4) for p in projections)
    expected = np.einsum("bqhd,bkhd->bhqk", q, k) / 2 + previous
    assert_close(scores, expected)
    weights = softmax(np.where(IDS[:, None, None] != 0, expected, -np.inf))
    mixed = np.einsum("bhqk,bkhd->bqhd", weights, v).reshape(2, 5, 8)
    assert_close(out, mixed @ array(layer.output_projection.kernel) + array(layer.output_projection.bias))


@pytest.mark.parametrize("hidden", [None, 3])
def test_conditional_layer_norm(hidden):
    layer = layers.LayerNorm(1e-5, condition_size=4, condition_hidden_size=hidden, condition_hidden_act="tanh")
    layer.build((None, None, 8))
    condition = np.random.default_rng(2).normal(size=(2, 4)).astype("float32")
    plain = layer_norm(X, 1, 0, 1e-5)
    assert_close(array(layer(X, condition)), plain)  # a new layer changes nothing
    random_weights(layer)
    h = condition if hidden is None else np.tanh(condition @ array(layer.condition_hidden.kernel))
    gamma = array(layer.gamma) + (h @ array(layer.condition_gamma.kernel))[:, None]
    beta = array(layer.beta) + (h @ array(layer.condition_beta.kernel))[:, None]
    assert_close(array(layer(X, condition)), plain * gamma + beta)
    with pytest.raises(InputError, match="give `condition` of 4 values"):
        layer(X)


def test_hierarchical_positions():
    layer = layers.PositionEmbedding(4, 8, hierarchical=0.3)
    layer.build((None, None))
    random_weights(layer)
    table = array(layer.embeddings)
    u = (table - 0.3 * table[0]) / 0.7
    expected = [0.3 * u[p // 4] + 0.7 * u[p % 4] for p in range(16)]
    assert_close(array(layer(np.arange(16))), np.array(expected))
    assert_close(expected[:4], table)
    assert layer.longest == 16


@pytest.mark.parametrize("scaling", ["linear", "llama3"])
def test_rotary_speeds(scaling):
    """Of each pair of a LLaMA 3.1, by the cases of its paper."""
    size, base, factor, low, high, original = 128, 500000.0, 8.0, 1.0, 4.0, 8192
    options = {"rope_type": scaling, "factor": factor}
    if scaling == "llama3":
        options |= {"low_freq_factor": low, "high_freq_factor": high, "original_max_position_embeddings": original}
    expected, cases = [], set()
    for i in range(size // 2):
        speed = 1 / base ** (2 * i / size)
        length = 2 * np.pi / speed  # of one turn, in positions
        if scaling == "linear" or length > original / low:
            expected.append(speed / factor)
            cases.add("slow")
        elif length < original / high:
            expected.append(speed)
            cases.add("kept")
        else:
            share = (original / length - low) / (high - low)
            expected.append((1 - share) * speed / factor + share * speed)
            cases.add("between")
    assert cases == ({"slow"} if scaling == "linear" else {"slow", "kept", "between"})
    np.testing.assert_allclose(layers.rotary_speeds(size, base, options), expected, rtol=1e-12)
    plain, scaled = (layers.RotaryEmbedding(base, interleaved=False, scaling=s) for s in (None, options))
    x = np.random.default_rng(0).normal(size=(1, 1, 2, size)).astype("float32")
    angles = 1000 * np.array(expected)
    first, second = x[0, 0, 1, :64], x[0, 0, 1, 64:]
    turned = [first * np.cos(angles) - second * np.sin(angles), second * np.cos(angles) + first * np.sin(angles)]
    out = array(scaled(x, np.array([0, 1000])))
    assert_close(out[0, 0, 1], np.concatenate(turned), 1e-4)  # angles of 1000 have a float32 error of 6e-5
    assert_close(out[0, 0, 0], x[0, 0, 0])
    assert np.abs(out - array(plain(x, np.array([0, 1000])))).max() > 0.1


def test_relative_sinusoids():
    """Each number by the formula of the paper, for distances within reach and beyond it."""
    layer = layers.RelativeSinusoids(6, furthest=3)
    found = array(layer(np.arange(9)))
    for q, k, i in np.ndindex(9, 9, 6):
        angle = (min(max(k - q, -3), 3) + 3) / 10000 ** (2 * (i // 2) / 6)
        assert abs(found[q, k, i] - (np.cos if i % 2 else np.sin)(angle)) < 1e-6
    rows = np.array([[4, 0, 7], [1, 2, 8]])
    for row, batch in zip(rows, array(layer(rows)), strict=True):
        np.testing.assert_array_equal(batch, found[np.ix_(row, row)])


def test_relative_attention():
    """A vector of the pair is added to its key and its value, in each head alike."""
    layer = layers.MultiHeadAttention(8, 2)
    layer.build((None, None, 8))
    random_weights(layer)
    relative = np.random.default_rng(1).normal(size=(5, 5, 4)).astype("float32")
    out = array(layer(X, X, layers.padding_mask(IDS), relative=relative)[0])
    projections = (layer.query, layer.key, layer.value)
    q, k, v = ((X @ array(p.kernel) + array(p.bias)).reshape(2, 5, 2, 4) for p in projections)
    expected = np.zeros((2, 5, 2, 4))
    for b, i, h in np.ndindex(2, 5, 2):
        scores = (k[b, :, h] + relative[i]) @ q[b, i, h] / 2
        expected[b, i, h] = softmax(np.where(IDS[b] != 0, scores, -np.inf)) @ (v[b, :, h] + relative[i])
    projection = layer.output_projection
    assert_close(out, expected.reshape(2, 5, 8) @ array(projection.kernel) + array(projection.bias))


def test_masks():
    assert array(layers.padding_mask(IDS))[:, 0, 0].tolist() == (IDS != 0).tolist()
    assert array(layers.causal_mask(4))[0, 0].tolist() == np.tril(np.ones((4, 4), bool)).tolist()
    segments = np.array([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]])
    found = array(layers.prefix_mask(segments))[:, 0]
    for row, segment in zip(found, segments, strict=True):
        for i, j in np.ndindex(5, 5):
            assert row[i, j] == (segment[j] == 0 or j <= i)


@pytest.mark.parametrize(
    "layer",
    [
        layers.MultiHeadAttention(8, 2, dropout=0.1),
        layers.MultiHeadAttention(8, 2, key_size=3, normalization="squared_relu"),
        layers.GatedAttentionUnit(12, 4, use_bias=False, normalization="softmax_plus", rotary={"base": 100.0}),
        layers.TransformerBlock(8, 2, 16, "relu", norm={"epsilon": 1e-6}),
        layers.LayerNorm(1e-6, condition_size=3),
        layers.PositionEmbedding(5, 8, hierarchical=0.4),
        layers.RotaryEmbedding(1e6, interleaved=False, scaling={"rope_type": "linear", "factor": 2.0}),
        layers.PreNormBlock(
            8,
            4,
            12,
            gated=True,
            norm={"kind": "rms"},
            attention={"num_key_value_heads": 2, "head_size": 6, "rotary": {"base": 1e5}, "head_norm": 1e-6},
        ),
        layers.InputEmbeddings(20, 2, 10, 8, hierarchical=0.4),
        layers.InputEmbeddings(20, 0, None, 8, shared_segments=True),
        layers.RelativeSinusoids(8, furthest=5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_goes_through_its_config(layer):
    config = keras.saving.serialize_keras_object(layer)
    twin = keras.saving.deserialize_keras_object(config)
    assert keras.saving.serialize_keras_object(twin)["config"] == config["config"]
    shape = (None, None) if "mbedding" in type(layer).__name__ else (None, None, 8)
    for each in (layer, twin):
        each.build(shape)
    assert [w.shape for w in twin.weights] == [w.shape for w in layer.weights]


@pytest.mark.parametrize("name", layers.ACTIVATIONS)
def test_activations_are_saved_by_name(name):
    dense = keras.layers.Dense(2, layers.ACTIVATIONS[name])
    twin = keras.layers.Dense.from_config(dense.get_config())
    dense.build((None, 8))
    twin.build((None, 8))
    twin.set_weights(dense.get_weights())
    np.testing.assert_array_equal(array(twin(X)), array(dense(X)))


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match=r"multiple of `num_heads`. Received: hidden_size=8, num_heads=3"):
        layers.MultiHeadAttention(8, 3)
