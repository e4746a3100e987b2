"""Outputs and gradients of bert4keras 0.11.5 and transformers 5.23, recorded in tests/golden."""

import numpy as np
import pytest
from keras import ops

from nlpgen import Bert, MaskedLM, NextSentence, PooledEncoder
from nlpgen.checkpoints import load_weights, open_folder
from tests.helpers import GOLDEN, array, assert_close, gradients

pytestmark = pytest.mark.backends
B4K = GOLDEN / "b4k_bert"
KEEP = [0, 5, 6, 7, 8, *range(60, 284, 2)]
COMPOUND = {"甲乙": [70, 71], "丙丁": ([80, 81, 82], [1, 2, 3]), "戊己": [90]}
# variant: (class, options of from_pretrained, output, whether the golden is a softmax)
VARIANTS = {
    "encoder": (Bert, {}, "sequence", False),
    "mlm_linear": (MaskedLM, {}, "mlm", False),
    "mlm_softmax": (MaskedLM, {}, "mlm", True),
    "pool": (PooledEncoder, {}, "pool", False),
    "nsp_mlm": (NextSentence, {}, "nsp", True),
    "lm": (MaskedLM, {"application": "lm"}, "mlm", False),
    "unilm": (MaskedLM, {"application": "unilm"}, "mlm", False),
    "unilm_default_softmax": (MaskedLM, {"application": "unilm"}, "mlm", True),
    "residual_attention_scores": (MaskedLM, {"residual_attention_scores": True}, "mlm", False),
    "hierarchical_position": (MaskedLM, {"hierarchical_position": True}, "mlm", False),
    "hierarchical_position_0.2": (Bert, {"hierarchical_position": 0.2}, "sequence", False),
    "custom_position_ids": (MaskedLM, {}, "mlm", False),
    "keep_tokens": (MaskedLM, {"keep_tokens": KEEP}, "mlm", False),
    "compound_tokens": (MaskedLM, {"keep_tokens": KEEP, "compound_tokens": COMPOUND}, "mlm", False),
    "prefix": (MaskedLM, {}, "mlm", False),
    "segment_vocab_size_0": (MaskedLM, {"type_vocab_size": 0}, "mlm", False),
    "hidden_act_gelu_tanh": (MaskedLM, {"hidden_act": "gelu_tanh"}, "mlm", False),
    "hidden_act_relu": (MaskedLM, {"hidden_act": "relu"}, "mlm", False),
    "first_layer_only": (Bert, {"num_hidden_layers": 1}, "sequence", False),
    "layer_norm_cond": (MaskedLM, {"condition_size": 8}, "mlm", False),
    "layer_norm_cond_hidden": (
        MaskedLM,
        {"condition_size": 8, "condition_hidden_size": 12, "condition_hidden_act": "swish"},
        "mlm",
        False,
    ),
}
THIRD_INPUT = {"custom_position_ids": "position_ids"}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.filterwarnings("ignore:1 tensors of .* no part")  # the segment table, where it is left out
def test_bert4keras(variant):
    cls, options, name, softmax = VARIANTS[variant]
    golden = np.load(B4K / "golden.npz")
    model = cls.from_pretrained(B4K, **options)
    if "condition_size" in options:
        _set_conditions(model, golden, variant)
    out = array(model(_inputs(golden, variant)))
    if softmax:
        out = np.exp(out - out.max(-1, keepdims=True))
        out /= out.sum(-1, keepdims=True)
    assert_close(out, golden[f"{variant}/out_{name}"])


def test_bert4keras_both_heads_of_pretraining():
    golden = np.load(B4K / "golden.npz")
    out = array(MaskedLM.from_pretrained(B4K)(_inputs(golden, "nsp_mlm")))
    assert_close(out, golden["nsp_mlm/out_mlm"])


def test_bert4keras_pool_linear():
    golden = np.load(B4K / "golden.npz")
    model = PooledEncoder(Bert.from_pretrained(B4K), activation="linear")
    model.build()
    load_weights(model, open_folder(B4K).tensors)
    assert_close(array(model(_inputs(golden, "pool_linear"))), golden["pool_linear/out_pool"])


def test_every_variant_of_the_golden_file_is_tested():
    recorded = {key.split("/")[0] for key in np.load(B4K / "golden.npz")}
    assert recorded == {*VARIANTS, "pool_linear"}


@pytest.mark.parametrize("variant", ["lm", "unilm", "residual_attention_scores", "hierarchical_position"])
def test_positions_of_the_last_block_under_every_mask(variant):
    cls, options, _, _ = VARIANTS[variant]
    model, x = cls.from_pretrained(B4K, **options), _inputs(np.load(B4K / "golden.npz"), variant)
    positions = np.array([[5, 1, 1]] * len(x["token_ids"]))
    full = np.take_along_axis(array(model(x)), positions[..., None], axis=1)
    assert_close(array(model({**x, "positions": positions})), full)


def test_gradients_of_bert4keras():
    golden = np.load(B4K / "gradients.npz")
    labels, weights = golden["labels"], golden["weights"].astype("float32")

    def loss(logits):
        ce = -ops.take_along_axis(ops.log_softmax(logits), labels[..., None], axis=-1)[..., 0]
        return ops.sum(ops.multiply(ce, weights)) / weights.sum()

    model = MaskedLM.from_pretrained(B4K)
    value, found = gradients(model, {"token_ids": golden["in0"], "segment_ids": golden["in1"]}, loss)
    np.testing.assert_allclose(value, golden["loss"], rtol=1e-5)
    _compare_gradients(found, {key[5:]: golden[key] for key in golden if key.startswith("grad/")})


@pytest.mark.parametrize(
    ("folder", "cls", "output"),
    [
        ("hf_bert_mlm", MaskedLM, "logits"),
        ("hf_bert_mlm", Bert, "hidden_states/2"),
        ("hf_bert_model", Bert, "last_hidden_state"),
        ("hf_bert_model", PooledEncoder, "pooler_output"),
        ("hf_bert_pretraining", MaskedLM, "prediction_logits"),
        ("hf_bert_pretraining", NextSentence, "seq_relationship_logits"),
    ],
)
def test_transformers(folder, cls, output):
    golden = np.load(GOLDEN / folder / "golden.npz")
    ids, segments, mask = (golden[f"in/{name}"] for name in ("input_ids", "token_type_ids", "attention_mask"))
    assert (mask == (ids != 0)).all()
    assert (mask == 0).any()
    out = array(cls.from_pretrained(GOLDEN / folder)({"token_ids": ids, "segment_ids": segments}))
    assert_close(out, golden[f"out/{output}"])


def test_gradients_of_transformers():
    folder = GOLDEN / "hf_bert_mlm"
    golden = np.load(folder / "golden.npz")
    labels = golden["labels"]
    counted = (labels != -100).astype("float32")

    def loss(logits):
        index = np.where(labels < 0, 0, labels)[..., None]
        ce = -ops.take_along_axis(ops.log_softmax(logits), index, axis=-1)[..., 0]
        return ops.sum(ops.multiply(ce, counted)) / counted.sum()

    model = MaskedLM.from_pretrained(folder)
    inputs = {"token_ids": golden["in/input_ids"], "segment_ids": golden["in/token_type_ids"]}
    value, found = gradients(model, inputs, loss)
    np.testing.assert_allclose(value, golden["loss"], rtol=1e-5)
    tensors = open_folder(folder).tensors
    found = {tensors.original(name): g.T if name.endswith("/kernel") else g for name, g in found.items()}
    expected = {key[5:]: golden[key] for key in golden if key.startswith("grad/")}
    _compare_gradients({name: found[name] for name in expected}, expected)


def _inputs(golden, variant):
    inputs = {"token_ids": golden[f"{variant}/in0"]}
    if f"{variant}/in1" in golden:
        inputs["segment_ids"] = golden[f"{variant}/in1"]
    if f"{variant}/in2" in golden:
        inputs[THIRD_INPUT.get(variant, "condition")] = golden[f"{variant}/in2"]
    return inputs


def _compare_gradients(found, expected):
    """To 1e-4 of each tensor's scale; one that is 0 in exact arithmetic, as a key's bias, counts on the largest."""
    largest = max(np.abs(g).max() for g in expected.values())
    assert found.keys() >= expected.keys()
    for name, gradient in expected.items():
        scale = max(np.abs(gradient).max(), 1e-3 * largest)
        worst = np.abs(found[name] - gradient).max() / scale
        assert worst <= 1e-4, f"{name} differs by {worst:.1e}"


def _set_conditions(model, golden, variant):
    """The weights of conditional layer norm, which no checkpoint has; bert4keras makes the shift's first."""
    norms = {"Embedding-Norm": model.backbone.embeddings.norm, "MLM-Norm": model.head.norm}
    for i, block in enumerate(model.backbone.blocks):
        norms[f"Transformer-{i}-MultiHeadSelfAttention-Norm"] = block.attention_norm
        norms[f"Transformer-{i}-FeedForward-Norm"] = block.ffn_norm
    for name, norm in norms.items():
        keys = [key for key in golden if key.startswith(f"{variant}/weight/{name}/")]
        denses = [norm.condition_beta, norm.condition_gamma]
        if norm.condition_hidden is not None:
            denses.insert(0, norm.condition_hidden)
        for key, dense in zip(keys, denses, strict=True):
            dense.kernel.assign(golden[key])
