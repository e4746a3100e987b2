"""ALBERT, ELECTRA and RoBERTa against what bert4keras 0.11.5 and transformers 5.23 gave, recorded in tests/golden."""

import numpy as np
import pytest

from nlpgen import (
    Albert,
    Electra,
    ElectraGenerator,
    MaskedLM,
    NextSentence,
    PooledEncoder,
    ReplacedTokenDetector,
    Roberta,
)
from nlpgen.checkpoints import open_folder, unnamed_weights
from nlpgen.errors import ConfigError
from nlpgen.models.inspect import HEADS, convert, describe
from tests.helpers import GOLDEN, array, assert_close

# folder: (backbone, heads)
FOLDERS = {
    "b4k_albert": (Albert, ["masked_lm", "pooler", "next_sentence"]),
    "b4k_electra": (Electra, ["replaced_tokens"]),
    "hf_albert_mlm": (Albert, ["masked_lm"]),
    "hf_albert_pretraining": (Albert, ["masked_lm", "pooler", "next_sentence"]),
    "hf_electra_disc": (Electra, ["replaced_tokens"]),
    "hf_electra_mlm": (ElectraGenerator, ["masked_lm"]),
    "hf_roberta_mlm": (Roberta, ["masked_lm"]),
}
# bert4keras normalizes ALBERT with an epsilon of 1e-7, whatever the config says.
ALBERT = {"layer_norm_eps": 1e-7}


VARIANTS = [
    ("b4k_albert", "encoder", Albert, ALBERT, "sequence"),
    ("b4k_albert", "mlm_linear", MaskedLM, ALBERT, "mlm"),
    ("b4k_albert", "unilm", MaskedLM, {**ALBERT, "application": "unilm"}, "mlm"),
    ("b4k_albert", "albert_unshared", MaskedLM, {**ALBERT, "num_hidden_groups": 2}, "mlm"),
    ("b4k_albert", "pool", PooledEncoder, ALBERT, "pool"),
    ("b4k_electra", "encoder", Electra, {}, "sequence"),
    ("b4k_electra", "discriminator_linear", ReplacedTokenDetector, {}, "disc"),
    ("b4k_electra", "discriminator", ReplacedTokenDetector, {}, "disc"),
]


@pytest.mark.backends
@pytest.mark.parametrize(("folder", "variant", "cls", "options", "output"), VARIANTS)
def test_bert4keras(folder, variant, cls, options, output):
    golden = np.load(GOLDEN / folder / "golden.npz")
    ids = golden[f"{variant}/in0"]
    assert (ids == 0).any()
    out = array(
        cls.from_pretrained(GOLDEN / folder, **options)({"token_ids": ids, "segment_ids": golden[f"{variant}/in1"]})
    )
    if variant == "discriminator":  # with the sigmoid
        out = 1 / (1 + np.exp(-out))
    assert_close(out[..., None] if output == "disc" else out, golden[f"{variant}/out_{output}"])


@pytest.mark.parametrize("folder", ["b4k_albert", "b4k_electra"])
def test_every_variant_of_the_golden_files_is_tested(folder):
    recorded = {key.split("/")[0] for key in np.load(GOLDEN / folder / "golden.npz")}
    assert recorded == {variant for name, variant, *_ in VARIANTS if name == folder}


@pytest.mark.backends
@pytest.mark.parametrize(
    ("folder", "cls", "output"),
    [
        ("hf_albert_mlm", MaskedLM, "logits"),
        ("hf_albert_mlm", Albert, "hidden_states/2"),
        ("hf_albert_pretraining", MaskedLM, "prediction_logits"),
        ("hf_albert_pretraining", NextSentence, "sop_logits"),
        ("hf_electra_disc", ReplacedTokenDetector, "logits"),
        ("hf_electra_disc", Electra, "hidden_states/2"),
        ("hf_electra_mlm", MaskedLM, "logits"),
        ("hf_electra_mlm", ElectraGenerator, "hidden_states/2"),
        ("hf_roberta_mlm", MaskedLM, "logits"),
        ("hf_roberta_mlm", Roberta, "hidden_states/2"),
    ],
)
def test_transformers(folder, cls, output):
    golden = np.load(GOLDEN / folder / "golden.npz")
    ids, segments, mask = (golden[f"in/{name}"] for name in ("input_ids", "token_type_ids", "attention_mask"))
    assert (mask == (ids != 0)).all()
    assert (mask == 0).any()
    model = cls.from_pretrained(GOLDEN / folder)
    assert unnamed_weights(model) == []
    assert_close(array(model({"token_ids": ids, "segment_ids": segments})), golden[f"out/{output}"])


@pytest.mark.backends
@pytest.mark.parametrize(("folder", "cls"), [("hf_albert_mlm", Albert), ("hf_electra_mlm", ElectraGenerator)])
def test_the_first_layer_alone(folder, cls):
    golden = np.load(GOLDEN / folder / "golden.npz")
    model = cls.from_pretrained(GOLDEN / folder, num_hidden_layers=1)
    out = array(model({"token_ids": golden["in/input_ids"], "segment_ids": golden["in/token_type_ids"]}))
    assert_close(out, golden["out/hidden_states/1"])


def test_the_epsilon_of_albert_is_the_configs():
    """Trap 4: bert4keras takes 1e-7 for its own."""
    model = MaskedLM.from_pretrained(GOLDEN / "hf_albert_mlm")
    norms = [model.head.norm, model.backbone.embeddings.norm, model.backbone.blocks[0].ffn_norm]
    assert [norm.epsilon for norm in norms] == [1e-12] * 3


@pytest.mark.parametrize("folder", FOLDERS)
def test_round_trip_through_all_formats_is_bit_equal(folder, tmp_path):
    source = GOLDEN / folder
    for i, format in enumerate(["nlpgen", "huggingface", "tensorflow", "nlpgen", open_folder(source).format]):
        convert(source, tmp_path / str(i), format)
        source = tmp_path / str(i)
    first, last = open_folder(GOLDEN / folder).tensors, open_folder(source).tensors
    assert set(first) == set(last)
    assert all(np.array_equal(first[name], last[name]) for name in first)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_family_is_recognised_without_the_config(folder, tmp_path):
    cls, heads = FOLDERS[folder]
    for format in ("huggingface", "tensorflow"):
        convert(GOLDEN / folder, tmp_path / format, format)
        config = next((tmp_path / format).glob("*config.json"))
        config.write_text(config.read_text().replace("model_type", "untold"))
        found = describe(tmp_path / format)
        assert (found.architecture, found.heads, found.missing) == (cls.__name__, heads, [])
        assert None not in [tensor["weight"] for tensor in found.tensors.values()]
        assert type(HEADS[heads[0]].from_pretrained(tmp_path / format).backbone) is cls


@pytest.mark.parametrize("folder", FOLDERS)
def test_another_class_says_the_likely_one(folder, bert_folder):
    right, _ = FOLDERS[folder]
    wrong = Albert if right is not Albert else Electra
    with pytest.raises(ConfigError, match=rf"Use {right.__name__}\."):
        wrong.from_pretrained(GOLDEN / folder)
    with pytest.raises(ConfigError, match=r"Use Bert\."):
        right.from_pretrained(bert_folder)


@pytest.mark.backends
@pytest.mark.parametrize("folder", [name for name, (_, heads) in FOLDERS.items() if "masked_lm" in heads])
def test_fewer_tokens_give_the_same_logits(folder):
    """Padding is kept elsewhere than at 0, and one token is the average of two."""
    keep = [5, 6, 7, 8, 0, *range(100, 150)]
    whole = MaskedLM.from_pretrained(GOLDEN / folder)
    part = MaskedLM.from_pretrained(GOLDEN / folder, keep_tokens=keep, compound_tokens={"甲乙": [10, 11]})
    ids = np.array([[1, 10, 20, 0, 2, 30], [1, 7, 0, 2, 4, 4]], dtype="int32")
    out, expected = array(part({"token_ids": ids})), array(whole({"token_ids": np.array(keep)[ids]}))[..., keep]
    assert_close(out[..., :-1], expected)
    assert_close(out[..., -1], expected[..., [10, 11]].mean(axis=-1))
    assert part.fill_mask("今[MASK]天").candidates
