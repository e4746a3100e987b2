"""Layers and functions against those of bert4keras 0.11.5, recorded in tests/golden/b4k_plain_layers."""

import re
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from nlpgen import layers
from nlpgen.layers import (
    ACTIVATIONS,
    GatedAttentionUnit,
    LayerNorm,
    MultiHeadAttention,
    RelativeSinusoids,
    RMSNorm,
    SinusoidalEmbedding,
)
from nlpgen.text import pad
from tests.helpers import GOLDEN, SHARED, array, assert_close

pytestmark = pytest.mark.backends
GOLD = np.load(GOLDEN / "b4k_plain_layers" / "golden.npz")


def inputs(case):
    return [GOLD[f"{case}/in{i}"] for i in range(9) if f"{case}/in{i}" in GOLD]


def weights(case):
    return [GOLD[f"{case}/w{i}"] for i in range(9) if f"{case}/w{i}" in GOLD]


def equals(found, case, output="y"):
    assert_close(array(found), GOLD[f"{case}/out_{output}"])


def filled(layer, case, order=None):
    """The layer with the recorded weights; `order` says which is which of ours."""
    layer.build(GOLD[f"{case}/in0"].shape)
    recorded = weights(case)
    targets = [layer.weights[i] for i in order] if order else layer.weights
    for target, value in zip(targets, recorded, strict=True):
        target.assign(value)
    return layer


@pytest.mark.parametrize(
    ("case", "layer", "order"),
    [
        ("ln", LayerNorm(1e-12), (1, 0)),
        ("ln_eps1e-12", LayerNorm(1e-12), (1, 0)),
        ("rms", RMSNorm(1e-6), None),
        ("ln_noparams", RMSNorm(1e-12, scale=False), None),
        ("ln_cond", LayerNorm(1e-12, condition_size=6), (1, 0, 3, 2)),
        ("ln_cond_hidden", LayerNorm(1e-12, 6, 5, "tanh"), (1, 0, 2, 4, 3)),
    ],
)
def test_norms(case, layer, order):
    case = f"layer_norm_{case}"
    equals(filled(layer, case, order)(*inputs(case)), case)


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("mha", {}),
        ("mha_keysize", {"key_size": 6}),
        ("mha_nobias_noscale", {"use_bias": False, "output_bias": False, "scale": 1.0}),
        ("mha_squared_relu", {"normalization": "squared_relu"}),
        ("mha_softmax_plus", {"normalization": "softmax_plus"}),
        ("mha_rotary", {"rotary": {}}),
    ],
)
def test_attention(case, options):
    layer = filled(MultiHeadAttention(16, 2, head_size=8, **options), case)
    x, mask = inputs(case)
    mask = mask.astype(bool)
    assert not mask.all()
    equals(layer(x, x, mask[:, None, None])[0], case, "masked")
    if f"{case}/out_nomask" in GOLD:
        equals(layer(x, x)[0], case, "nomask")


@pytest.mark.parametrize(
    ("case", "options"),
    [("gau", {}), ("gau_softmax_plus", {"normalization": "softmax_plus"}), ("gau_nobias", {"use_bias": False})],
)
@pytest.mark.parametrize("rotary", [None, {}])
def test_gated_attention_unit(case, options, rotary):
    layer = GatedAttentionUnit(24, 8, rotary=rotary, **options)
    x, mask = inputs(case)
    layer.build(x.shape)
    recorded = weights(case)
    biased = options.get("use_bias", True)
    projections = [layer.projection, layer.output_projection]
    dense = [recorded[:2], recorded[-2:]] if biased else [recorded[:1], recorded[-1:]]
    for projection, values in zip(projections, dense, strict=True):
        projection.set_weights(values)
    scales = recorded[2:6] if biased else recorded[1:3]  # offset and scale of queries, then of keys
    layer.scale.assign(np.stack(scales[1::2] if biased else scales))
    if biased:
        layer.offset.assign(np.stack(scales[::2]))
    mask = mask.astype(bool)[:, None]
    equals(layer(x, mask), case, "masked" if rotary is None else "rotary")


@pytest.mark.parametrize("kind", layers.NORMALIZATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_hidden_key_has_no_weight_and_nothing_visible_no_nan(kind, dtype):
    scores = ops.cast(np.random.default_rng(0).normal(0, 3, (2, 4, 6)), dtype)
    mask = np.ones((2, 1, 6), bool)
    mask[0, 0, 4:] = mask[1] = False
    found = array(ops.cast(layers.attention_weights(scores, mask, kind), "float32"))
    alone = array(ops.cast(layers.attention_weights(scores[:1, :, :4], None, kind), "float32"))
    assert np.isfinite(found).all()
    assert (found[0, :, 4:] == 0).all()
    np.testing.assert_allclose(found[0, :, :4], alone[0], atol=1e-6)


@pytest.mark.parametrize("cls", [GatedAttentionUnit, lambda n, **o: MultiHeadAttention(n, 2, **o)])
def test_an_unknown_normalization(cls):
    with pytest.raises(ValueError, match=r"must be one of softmax, softmax_plus, squared_relu\. Received: 'sparsemax'"):
        cls(8, normalization="sparsemax")


@pytest.mark.parametrize(
    ("case", "activation", "gated"),
    [("relu", "relu", False), ("gelu", "gelu", False), ("glu", "gelu", True), ("swish_glu", "swish", True)],
)
def test_feed_forward(case, activation, gated):
    """bert4keras' `activation=["gelu", "linear"]` is `gated=True`."""
    case = f"feed_forward_{case}"
    block = layers.TransformerBlock(16, 2, 20, activation, gated=gated)
    block.build((None, None, 16))
    recorded = weights(case)
    for i, layer in enumerate(filter(None, (block.gate, block.up, block.down))):
        layer.set_weights(recorded[2 * i : 2 * i + 2])
    equals(block.feed_forward(inputs(case)[0]), case)


def test_sinusoids():
    (x,) = inputs("sinusoidal_add")
    vectors = array(SinusoidalEmbedding(16)(np.arange(9)))
    equals(x + vectors, "sinusoidal_add")
    equals(inputs("sinusoidal_mul")[0] * (vectors + 1), "sinusoidal_mul")
    equals(vectors[None], "sinusoidal_zero")
    assert_close(GOLD["sinusoidal_concat/out_y"][1, :, 16:], array(vectors))
    equals(SinusoidalEmbedding(16)(np.arange(129)), "sinusoidal_initializer")


@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets_of_t5(bidirectional):
    recorded = GOLD[f"t5_buckets_bidirectional_{bidirectional}/out_ids"]
    distances = np.arange(recorded.shape[1]) - np.arange(recorded.shape[0])[:, None]
    buckets = layers.relative_position_buckets(32, 128, bidirectional)
    np.testing.assert_array_equal(buckets[np.clip(distances, -128, 128) + 128], recorded)


def test_distances_of_nezha():
    """Nine of them: four on each side."""
    layer, recorded = RelativeSinusoids(6, furthest=4), GOLD["relative_position_ids_9/out_ids"]
    found = array(layer(ops.arange(12)))[:, :10]
    np.testing.assert_array_equal(found, layer.table[recorded])


def test_rotary():
    (x,) = inputs("apply_rotary")
    turned = layers.RotaryEmbedding()(ops.transpose(x, (0, 2, 1, 3)))
    equals(ops.transpose(turned, (0, 2, 1, 3)), "apply_rotary")


@pytest.mark.parametrize("name", ["gelu_erf", "gelu_tanh", "swish"])
def test_activations(name):
    equals(ACTIVATIONS[name](ops.convert_to_tensor(inputs("activations")[0])), "activations", name)


def test_masks():
    np.testing.assert_array_equal(array(layers.causal_mask(6))[0, 0], GOLD["lm_mask/out_mask"])
    (segments,) = inputs("unilm_mask")
    np.testing.assert_array_equal(array(layers.prefix_mask(segments))[:, 0], GOLD["unilm_mask/out_mask"])


def test_padding():
    rows = [[1, 2, 3], [4], [5, 6]]
    np.testing.assert_array_equal(pad(rows), GOLD["sequence_padding/out_post"])
    np.testing.assert_array_equal(pad(rows, value=9), GOLD["sequence_padding/out_val"])
    np.testing.assert_array_equal(pad([row[:2] for row in rows], length=2), GOLD["sequence_padding/out_len2"])


# What bert4keras was recorded to give and nlpgen does not have, and why.
WITHOUT_A_TEST = {
    "memm_hidden4": "a maximum-entropy Markov model: the CRF takes its place, exact and no slower",
    "memm_hiddenNone": "see memm_hidden4",
    "orthogonally_resize": "makes larger models of trained ones; no loader of bert4keras calls it",
    "activations/out_leaky_relu": "no released model has it; Keras' own is `keras.activations.leaky_relu`",
    "crf_lr1/out_sparse_accuracy": "of the likeliest labels without transitions, which no decoder gives",
    "crf_lr100/out_sparse_accuracy": "see crf_lr1",
    "sequence_padding/out_pre": "models read padding at the end; what stands in front is the generation loop's",
    "sequence_padding/out_dims2": "rows of vectors come from models, which pad them before",
}


def test_every_recorded_case_is_tested_or_left_out_for_a_reason():
    """By the name of the case, or of the output, in the tests that read the recordings."""
    here = Path(__file__).parent
    tests = [here / f"test_{name}.py" for name in ("golden_layers", "crf", "heads")]
    source = "".join(path.read_text(encoding="utf-8") for path in (*tests, here.parent / "training/test_schedules.py"))
    source = source.partition("WITHOUT_A_TEST =")[0] + source.partition("\n}\n")[2]
    words = set(re.findall(r"\w[\w-]*", source))
    with np.load(GOLDEN / "b4k_layers" / "golden.npz") as file:
        recorded = {*GOLD.files, *file.files}
    outputs = {name for name in recorded if "/out_" in name}
    untested = {name for name in outputs if not _is_named(*name.split("/out_"), words)}
    assert untested == {name for name in WITHOUT_A_TEST if "/" in name}


def _is_named(case, output, words):
    parts = case.split("_")
    names = {"_".join(parts[i:]) for i in range(len(parts))} | {"_".join(parts[:i]) + "_" for i in range(len(parts))}
    output = output.removesuffix("_nomask")  # `{suffix}` in the test of the CRF
    return bool(names & words) and bool({output, f"out_{output}"} & words)


@pytest.mark.needs_data("golden/b4k_layers/golden.npz")
def test_what_is_left_out_of_the_recording():
    with np.load(SHARED / "golden" / "b4k_layers" / "golden.npz") as file:
        recorded = {name.split("/")[0] for name in file.files}
    with np.load(GOLDEN / "b4k_layers" / "golden.npz") as file:
        kept = {name.split("/")[0] for name in (*GOLD.files, *file.files)}
    assert recorded - kept == {name for name in WITHOUT_A_TEST if "/" not in name}
