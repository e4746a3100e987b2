"""Pooling, GlobalPointer and its losses against their formulas, and against bert4keras."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from nlpgen import layers
from nlpgen.layers import (
    EfficientGlobalPointer,
    GlobalPointer,
    Pooling,
    QueryPooling,
    multilabel_categorical_crossentropy,
    sparse_multilabel_categorical_crossentropy,
)
from tests.helpers import GOLDEN, array, assert_close, random_weights

pytestmark = pytest.mark.backends
GOLD = np.load(GOLDEN / "b4k_layers" / "golden.npz")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 8)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=bool)


@pytest.mark.parametrize("kind", layers.POOLINGS)
def test_pooling_is_that_of_the_row_alone(kind):
    layer = Pooling(kind)
    layer.build(X.shape)
    random_weights(layer)
    found = array(layer(X, MASK))
    for row, mask, x in zip(found, MASK[:3], X, strict=False):
        x = x[mask]
        if kind == "attention":
            weights = np.exp(x @ array(layer.score.kernel))
            expected = (x * weights / weights.sum()).sum(0)
        else:
            expected = {"cls": x[0], "last": x[-1], "mean": x.mean(0), "max": x.max(0)}[kind]
        assert_close(row, expected)
    assert np.isfinite(found[3]).all()


def test_query_pooling_is_attention_of_learned_queries():
    """As Keras' own attention gives it, and as a row alone does."""
    layer = QueryPooling(3)
    layer.build(X.shape)
    queries, mask = np.tile(array(layer.queries), (3, 1, 1)), MASK[:3]
    expected = keras.layers.Attention()([queries, X[:3]], mask=[None, mask])
    found = array(layer(X[:3], mask))
    assert_close(found, array(expected))
    assert_close(array(layer(X[1:2, :3], mask[1:2, :3]))[0], found[1])
    assert np.isfinite(array(layer(X, MASK))).all()


@pytest.mark.parametrize("kind", layers.POOLINGS)
@pytest.mark.parametrize("dtype", ["float16", "mixed_bfloat16"])
def test_pooling_in_half_precision(kind, dtype):
    layer = Pooling(kind, dtype=dtype)
    long = np.full((2, 2000, 8), 60, dtype="float32")  # the sum is 120,000, more than float16 holds
    mask = np.array([[True], [False]]) & np.ones((2, 2000), dtype=bool)
    found = layer(long, mask)
    assert keras.backend.standardize_dtype(found.dtype) == layer.compute_dtype
    found = array(ops.cast(found, "float32"))
    np.testing.assert_allclose(found[0], 60, rtol=1e-2)
    assert np.isfinite(found).all()


def test_new_attention_pooling_is_the_mean():
    assert_close(array(Pooling("attention")(X, MASK))[:3], array(Pooling("mean")(X, MASK))[:3])


def test_pooling_of_bert4keras():
    x, mask = GOLD["global_pool/in0"], GOLD["global_pool/in1"]
    assert_close(array(Pooling("mean")(x, mask)), GOLD["global_pool/out_avg"])
    assert_close(array(Pooling("max")(x, mask)), GOLD["global_pool/out_max"])


POINTERS = sorted({key.split("/")[0] for key in GOLD if "global_pointer" in key})
OPTIONS = {"RoPE_False": {"rotary": False}, "tril_mask_False": {"causal": False}, "use_bias_False": {"use_bias": False}}


@pytest.mark.parametrize("case", POINTERS)
def test_pointers_of_bert4keras(case):
    cls = EfficientGlobalPointer if case.startswith("efficient") else GlobalPointer
    layer = cls(3, 8, **OPTIONS.get(case.partition("pointer_")[2], {}))
    x, mask = GOLD[f"{case}/in0"], GOLD[f"{case}/in1"]
    layer.build(x.shape)
    weights = [GOLD[f"{case}/w{i}"] for i in range(len(layer.weights))]
    assert f"{case}/w{len(weights)}" not in GOLD
    layer.set_weights(weights)
    for found, expected in (layer(x, mask), GOLD[f"{case}/out_masked"]), (layer(x), GOLD[f"{case}/out_nomask"]):
        found, there = array(found), np.isfinite(expected)
        assert_close(found[there], expected[there])
        assert (found[~there] == -1e9).all()


@pytest.mark.parametrize("cls", [GlobalPointer, EfficientGlobalPointer])
def test_pointer_by_the_formula(cls):
    """The scores of the articles, one span at a time, with rotation as a matrix of 2 × 2 blocks."""
    layer = cls(2, 4)
    layer.build(X.shape)
    random_weights(layer)
    found = array(layer(X, MASK))
    projected = (X @ array(layer.dense.kernel) + array(layer.dense.bias)).astype("float64")

    def rotation(position):
        out = np.zeros((4, 4))
        for i in range(2):
            angle = position * 10000 ** (-2 * i / 4)
            cos, sin = np.cos(angle), np.sin(angle)
            out[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[cos, -sin], [sin, cos]]
        return out

    for b, kind, i, j in itertools.product(range(4), range(2), range(5), range(5)):
        if not (MASK[b, i] and MASK[b, j] and i <= j):
            assert found[b, kind, i, j] == -1e9
            continue
        if cls is GlobalPointer:
            q, k = projected[b, i, kind * 8 : kind * 8 + 4], projected[b, j, kind * 8 + 4 : kind * 8 + 8]
            extra = 0
        else:
            q, k = projected[b, i, ::2], projected[b, j, 1::2]
            bounds = projected[b] @ array(layer.types.kernel) + array(layer.types.bias)
            extra = (bounds[i, 2 * kind + 1] + bounds[j, 2 * kind]) / 2
        expected = (rotation(i) @ q) @ (rotation(j) @ k) / 2 + extra
        assert found[b, kind, i, j] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("cls", [GlobalPointer, EfficientGlobalPointer])
@pytest.mark.parametrize("dtype", ["float16", "mixed_float16", "bfloat16"])
def test_pointers_are_finite_in_half_precision(cls, dtype):
    layer = cls(2, 4, dtype=dtype)
    scores = layer(30 * X, MASK)
    loss = multilabel_categorical_crossentropy(np.zeros((4, 2, 25)), ops.reshape(scores, (4, 2, 25)))
    assert np.isfinite(array(ops.cast(scores, "float32"))).all()
    assert np.isfinite(array(loss)).all()
    assert_close(array(loss)[3], np.zeros(2) + 1e-9, 1)  # nothing but masked spans: no loss


def definition(y_true, y_pred):
    """Both sums of the article as products over pairs: `log(1 + Σ exp(s_neg)) + log(1 + Σ exp(-s_pos))`."""
    y_pred = np.asarray(y_pred, dtype="float64")
    return np.log1p(((1 - y_true) * np.exp(y_pred)).sum(-1)) + np.log1p((y_true * np.exp(-y_pred)).sum(-1))


def test_multilabel_loss_by_definition():
    scores = RNG.normal(0, 3, (6, 9)).astype("float32")
    hard, soft = RNG.integers(0, 2, (6, 9)), RNG.uniform(size=(6, 9))
    hard[0], hard[1] = 0, 1
    for y in (hard, soft):
        assert_close(array(multilabel_categorical_crossentropy(y, scores)), definition(y, scores))


def test_sparse_is_dense():
    scores = RNG.normal(0, 3, (2, 3, 9)).astype("float32")
    given = np.array([[[1, 4, 8], [2, 0, 0], [0, 0, 0]], [[3, 2, 0], [5, 6, 7], [8, 0, 0]]])
    dense = np.zeros((2, 3, 9))
    for at in np.ndindex(2, 3):
        dense[at][given[at]] = 1
    dense[..., 0] = 0
    masked = scores.copy()
    masked[..., 0] = -np.inf
    found = array(sparse_multilabel_categorical_crossentropy(given, scores, mask_zero=True))
    assert_close(found, array(multilabel_categorical_crossentropy(dense, masked)))


def test_losses_of_bert4keras():
    def case(name, *numbers):
        return [GOLD[f"{name}/in{i}"] for i in numbers]

    def out(name, what="loss"):
        return GOLD[f"{name}/out_{what}"]

    name = "multilabel_categorical_crossentropy"
    assert_close(array(multilabel_categorical_crossentropy(*case(name, 0, 1))), out(name))
    assert_close(array(multilabel_categorical_crossentropy(*case(name, 2, 3))), out(name, "loss_with_minus_inf"))
    name = "multilabel_categorical_crossentropy_soft"
    assert_close(array(multilabel_categorical_crossentropy(*case(name, 0, 1))), out(name))
    name = "sparse_multilabel_categorical_crossentropy"
    assert_close(array(sparse_multilabel_categorical_crossentropy(*case(name, 0, 1))), out(name))
    found = sparse_multilabel_categorical_crossentropy(*case(name, 0, 1), mask_zero=True)
    assert_close(array(found), out(name, "loss_mask_zero"))


@pytest.mark.parametrize(
    "layer",
    [
        Pooling("attention"),
        QueryPooling(2),
        GlobalPointer(3, 8, rotary=False),
        EfficientGlobalPointer(3, 8, causal=False),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_head_goes_through_its_config(layer):
    config = keras.saving.serialize_keras_object(layer)
    twin = keras.saving.deserialize_keras_object(config)
    assert keras.saving.serialize_keras_object(twin)["config"] == config["config"]
    twin.build(X.shape)
    layer.build(X.shape)
    twin.set_weights([array(w) for w in random_weights(layer).weights])
    np.testing.assert_array_equal(array(twin(X, MASK)), array(layer(X, MASK)))


def test_wrong_options():
    with pytest.raises(ValueError, match="must be one of 'cls'"):
        Pooling("first")
    with pytest.raises(ValueError, match="must be even"):
        GlobalPointer(2, 7)
