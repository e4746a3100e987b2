"""NEZHA, RoFormer and RoFormerV2: the contract, every form of a checkpoint, and which family a folder holds."""

import json
import shutil

import keras
import numpy as np
import pytest

from nlpgen import (
    Bert,
    BertConfig,
    CausalLM,
    MaskedLM,
    NextSentence,
    Nezha,
    NezhaConfig,
    PooledEncoder,
    RoFormer,
    RoFormerConfig,
    RoFormerV2,
    RoFormerV2Config,
)
from nlpgen.checkpoints import open_folder
from nlpgen.checkpoints.safetensors import WEIGHTS, write_safetensors
from nlpgen.errors import ConfigError, InputError
from nlpgen.models.inspect import convert, describe
from tests.helpers import GOLDEN, IDS, SEGMENTS, SMALL, array, assert_close, check_model, random_weights

FAMILIES = {
    "bert": (Bert, BertConfig),
    "nezha": (Nezha, NezhaConfig),
    "roformer": (RoFormer, RoFormerConfig),
    "roformer_v2": (RoFormerV2, RoFormerV2Config),
}
X = {"token_ids": IDS, "segment_ids": SEGMENTS}


def new(family, model=None, dtype=None, **options):
    cls, config_class = FAMILIES[family]
    backbone = cls(config_class(**SMALL | options), dtype=dtype)
    model = backbone if model is None else model(backbone)
    model.build()
    return random_weights(model)


@pytest.fixture
def typed(tmp_path):
    """A golden folder whose config names its family."""

    def copy(family):
        folder = tmp_path / "typed"
        shutil.copytree(GOLDEN / f"b4k_{family}", folder, ignore=shutil.ignore_patterns("*.npz", "*.md"))
        _change_config(folder, model_type=family)
        return folder

    return copy


def _change_config(folder, **fields):
    path = folder / ("config.json" if (folder / "config.json").exists() else "bert_config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def _tensors(folder):
    tensors = open_folder(folder).tensors
    return {name: np.asarray(tensors[name]) for name in tensors}


@pytest.mark.backends
@pytest.mark.parametrize(
    ("family", "model", "options"),
    [
        ("nezha", MaskedLM, {}),
        ("roformer", MaskedLM, {}),
        ("roformer_v2", MaskedLM, {}),
        ("nezha", None, {"type_vocab_size": 0, "max_relative_position": 2}),
        ("roformer", None, {"residual_attention_scores": True}),
        ("roformer_v2", None, {"shared_segment_embeddings": True}),
    ],
)
def test_contract(family, model, options, tmp_path):
    check_model(new(family, model, **options), tmp_path)


@pytest.mark.backends
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("application", ["lm", "unilm"])
def test_no_token_sees_what_the_application_hides(family, application):
    """A later token of the text, or of its second segment, changes nothing before it."""
    model = new(family, MaskedLM, application=application)
    before, other = array(model(X)), IDS.copy()
    other[1, 5] = 30
    after = array(model({**X, "token_ids": other}))
    np.testing.assert_array_equal(after[:, :5], before[:, :5])
    assert np.abs(after[1, 5:] - before[1, 5:]).max() > 1e-3
    sees = new(family, MaskedLM, application="encoder")
    assert np.abs(array(sees({**X, "token_ids": other}))[1, 0] - array(sees(X))[1, 0]).max() > 1e-3


@pytest.mark.backends
@pytest.mark.parametrize("family", FAMILIES)
def test_shared_segments_are_rows_of_the_token_table(family):
    model = new(family, shared_segment_embeddings=True)
    table = array(model.embeddings.token.embeddings)
    assert model.embeddings.segment is None
    no_position = {"position_ids": np.zeros_like(IDS)}
    plain = new(family, type_vocab_size=0)
    for old, weight in zip(plain.weights, model.weights, strict=True):
        old.assign(weight)
    # The token table of `plain` moved by a segment's row gives what the segment gives.
    plain.embeddings.token.embeddings.assign(table + table[9])
    segments = {"segment_ids": np.full_like(IDS, 9)}
    x = {"token_ids": IDS, **no_position}
    assert_close(array(model({**x, **segments})), array(plain(x)))


@pytest.mark.backends
@pytest.mark.parametrize("family", ["nezha", "roformer", "roformer_v2"])
def test_only_distances_between_positions_count(family):
    """All positions moved alike change nothing, in one text or another; stretched ones do."""
    model = new(family)
    places = np.stack([np.arange(7), np.arange(7)])
    expected = array(model(X))
    assert_close(array(model({**X, "position_ids": places})), expected)
    assert_close(array(model({**X, "position_ids": places + np.array([[5], [300]])})), expected, 1e-4)
    assert np.abs(array(model({**X, "position_ids": places * 2})) - expected).max() > 1e-2
    positions = np.array([[4, 0, 0], [1, 6, 2]])
    some = array(model({**X, "position_ids": places * 2, "positions": positions}))
    full = array(model({**X, "position_ids": places * 2}))
    assert_close(some, np.take_along_axis(full, positions[..., None], axis=1))


@pytest.mark.parametrize("family", ["nezha", "roformer", "roformer_v2"])
def test_round_trip_through_all_formats_is_bit_equal(family, typed, tmp_path):
    source = typed(family)
    first = _tensors(source)
    for i, format in enumerate(["nlpgen", "huggingface", "nlpgen", "tensorflow"]):
        convert(source, tmp_path / str(i), format)
        source = tmp_path / str(i)
        found = describe(source)
        assert found.architecture == FAMILIES[family][0].__name__
        assert found.heads == (["masked_lm"] if family == "roformer_v2" else ["masked_lm", "pooler", "next_sentence"])
        assert found.missing == []
        assert None not in {tensor["weight"] for tensor in found.tensors.values()}
    last = _tensors(source)
    assert first.keys() == last.keys()
    assert all(np.array_equal(first[name], last[name]) for name in first)
    if family != "roformer_v2":
        prefixes = {name.split(".")[0] for name in open_folder(tmp_path / "1").tensors._tensors}
        assert prefixes == {family, "cls"}


def test_transformers_reads_what_we_write(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = new("roformer", MaskedLM)
    model.save_pretrained(tmp_path / "out", "huggingface")
    peer, info = transformers.RoFormerForMaskedLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert set(info["missing_keys"]) <= {"roformer.encoder.embed_positions.weight"}  # which it computes
    assert not info["unexpected_keys"]
    with torch.no_grad():
        ids, segments = (torch.tensor(x).long() for x in (IDS, SEGMENTS))
        out = peer.eval()(ids, attention_mask=(ids != 0).long(), token_type_ids=segments).logits
    assert_close(array(model(X)), out)
    peer.save_pretrained(tmp_path / "theirs")  # with that table: a warning of what is not read would fail
    assert_close(array(MaskedLM.from_pretrained(tmp_path / "theirs")(X)), out)


def test_ported_nezha(typed, tmp_path):
    """As ports from before transformers had it: names and model_type of BERT, and the sinusoids as tensors."""
    source = typed("nezha")
    convert(source, tmp_path / "hf", "huggingface")
    file = open_folder(tmp_path / "hf").tensors._tensors
    tensors = {
        ("bert." + name.removeprefix("nezha.") if name.startswith("nezha.") else name): np.asarray(file[name])
        for name in file
    }
    tensors["bert.encoder.layer.0.attention.self.relative_positions_encoding.positions_encoding"] = np.zeros((4, 4, 12))
    write_safetensors(tmp_path / "hf" / WEIGHTS, tensors)
    _change_config(tmp_path / "hf", model_type="bert", max_relative_position=64)
    model = MaskedLM.from_pretrained(tmp_path / "hf")
    assert type(model.backbone) is Nezha
    np.testing.assert_array_equal(array(model(X)), array(MaskedLM.from_pretrained(source)(X)))
    with pytest.raises(ConfigError, match=r"not those of a Bert. Use Nezha"):
        Bert.from_pretrained(tmp_path / "hf")


def test_ported_roformer_v2(typed, tmp_path):
    """As its port has it: model_type "roformer", and what differs in two more fields."""
    source = typed("roformer_v2")
    convert(source, tmp_path / "hf", "huggingface")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert (config["norm_type"], config["use_bias"]) == ("rms_norm", False)
    _change_config(tmp_path / "hf", model_type="roformer")
    model = MaskedLM.from_pretrained(tmp_path / "hf")
    assert type(model.backbone) is RoFormerV2
    np.testing.assert_array_equal(array(model(X)), array(MaskedLM.from_pretrained(source)(X)))
    with pytest.raises(ConfigError, match=r"not those of a RoFormer. Use RoFormerV2"):
        RoFormer.from_pretrained(tmp_path / "hf")


def test_nezha_and_roformer_have_the_same_tensors(tmp_path):
    """Only the config can tell them apart, so where it does not, nothing is guessed."""
    with pytest.raises(ConfigError, match=r"no `model_type`.*those of 'nezha' or 'roformer': say there which"):
        MaskedLM.from_pretrained(GOLDEN / "b4k_roformer")
    assert "'nezha' or 'roformer'" in describe(GOLDEN / "b4k_nezha").architecture
    with pytest.raises(ConfigError, match=r"model_type 'gpt9'. nlpgen reads: albert, bert"):
        MaskedLM.from_pretrained(GOLDEN / "b4k_nezha", model_type="gpt9")
    shutil.copytree(GOLDEN / "b4k_nezha", tmp_path / "marked")
    _change_config(tmp_path / "marked", use_relative_position=True)  # as in the releases
    assert type(MaskedLM.from_pretrained(tmp_path / "marked").backbone) is Nezha


@pytest.mark.parametrize(
    ("cls", "folder", "message"),
    [
        (Bert, "b4k_nezha", "not those of a Bert. Use Nezha or RoFormer"),
        (Bert, "b4k_roformer_v2", "not those of a Bert. Use RoFormerV2"),
        (RoFormer, "b4k_bert", "not those of a RoFormer. Use Bert"),
        (Nezha, "hf_roformer_mlm", "model_type 'roformer', but Nezha reads 'nezha'. Use RoFormer"),
        (RoFormerV2, "b4k_gpt2", "not those of a RoFormerV2. Use GPT2"),
        (NextSentence, "b4k_roformer_v2", "RoFormerV2 has no head 'next_sentence'. It has: masked_lm"),
        (CausalLM, "b4k_bert", "Bert has no head 'causal_lm'. It has: masked_lm .*, pooler .*, next_sentence"),
        (MaskedLM, "b4k_gpt2", "GPT2 has no head 'masked_lm'. It has: causal_lm"),
    ],
)
def test_the_wrong_class_says_the_right_one(cls, folder, message):
    with pytest.raises(ConfigError, match=message):
        cls.from_pretrained(GOLDEN / folder)


@pytest.mark.backends
@pytest.mark.parametrize("family", ["nezha", "roformer", "roformer_v2"])
def test_kept_tokens_give_their_columns(family, tmp_path):
    keep = [0, 5, 6, 7, 8, *range(60, 284, 2)]
    options = {"model_type": family}
    full = MaskedLM.from_pretrained(GOLDEN / f"b4k_{family}", **options)
    compound = {"甲乙": [70, 71]}
    small = MaskedLM.from_pretrained(GOLDEN / f"b4k_{family}", keep_tokens=keep, compound_tokens=compound, **options)
    ids = np.array([[2, 30, 31, 32, 3, 0, 0], [2, 40, 41, 90, 91, 92, 3]])
    out = array(small({"token_ids": ids}))
    assert_close(out[..., :-1], array(full({"token_ids": np.array(keep)[ids]}))[..., keep])
    table = array(full.backbone.embeddings.token.embeddings)[keep]
    assert_close(array(small.backbone.embeddings.token.embeddings)[-1], table[[70, 71]].mean(axis=0))
    small.save_pretrained(tmp_path / "small")
    again = MaskedLM.from_pretrained(tmp_path / "small")
    np.testing.assert_array_equal(array(again({"token_ids": ids})), out)
    assert again.tokenizer.vocab.tokens[-1] == "甲乙"


@pytest.mark.parametrize("family", ["nezha", "roformer"])
def test_pooler_and_next_sentence(family):
    model = NextSentence.from_pretrained(GOLDEN / f"b4k_{family}", model_type=family)
    hidden = array(model.backbone(X))
    tensors = open_folder(GOLDEN / f"b4k_{family}").tensors
    pooled = np.tanh(hidden[:, 0] @ tensors["bert/pooler/dense/kernel"] + tensors["bert/pooler/dense/bias"])
    expected = pooled @ tensors["cls/seq_relationship/output_weights"].T + tensors["cls/seq_relationship/output_bias"]
    assert_close(array(model(X)), expected)


@pytest.mark.parametrize(
    ("config_class", "change", "message"),
    [
        (NezhaConfig, {"hidden_size": 12}, "`hidden_size / num_attention_heads` must be even. Received: 3"),
        (NezhaConfig, {"max_relative_position": 0}, "`max_relative_position` must be from 1"),
        (NezhaConfig, {"use_relative_position": False}, "`use_relative_position` must be True"),
        (NezhaConfig, {"application": "seq2seq"}, "one of encoder, lm, unilm"),
        (RoFormerConfig, {"hidden_size": 12}, "must be even"),
        (RoFormerConfig, {"rotary_value": True}, "`rotary_value` must be False"),
        (RoFormerConfig, {"norm_type": "rms_norm"}, "`norm_type` must be 'layer_norm'"),
        (RoFormerV2Config, {"use_bias": True}, "`use_bias` must be False"),
        (RoFormerV2Config, {"condition_size": 4}, "norms are not conditional"),
        (
            NezhaConfig,
            {"application": "unilm", "shared_segment_embeddings": True},
            "may be true with 'encoder' and 'lm'",
        ),
        (BertConfig, {"add_cross_attention": True}, "`add_cross_attention` must be False"),
    ],
)
def test_config_is_checked(config_class, change, message):
    with pytest.raises(ConfigError, match=message):
        config_class.from_dict(SMALL | change)


def test_options_of_other_encoders_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"NezhaConfig has no field hierarchical_position. It has: .*application"):
        Nezha.from_pretrained(GOLDEN / "b4k_nezha", hierarchical_position=0.4)


def test_layer_norm_epsilon_is_the_config_s(tmp_path):
    """Trap 4: bert4keras has 1e-7 here whatever the model says; the releases have 1e-12."""
    for family in ("nezha", "roformer"):
        assert FAMILIES[family][0].from_pretrained(GOLDEN / f"b4k_{family}").config.layer_norm_eps == 1e-12
    shutil.copytree(GOLDEN / "b4k_nezha", tmp_path / "eps")
    _change_config(tmp_path / "eps", layer_norm_eps=0.5)
    model = Nezha.from_pretrained(tmp_path / "eps")
    assert {model.embeddings.norm.epsilon, *(block.ffn_norm.epsilon for block in model.blocks)} == {0.5}


@pytest.mark.backends
def test_models_that_share_a_backbone_do_so_after_saving(tmp_path):
    """Two models over one backbone object: in one `.keras` file, and in one folder."""
    mlm = new("nezha", MaskedLM)
    follows = NextSentence(mlm.backbone)
    follows.build()
    random_weights(follows.pooled.dense, 1)
    random_weights(follows.classifier, 2)
    expected = [array(mlm(X)), array(follows(X))]

    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in X}
    both = keras.Model(inputs, [mlm(inputs), follows(inputs)])
    both.save(tmp_path / "both.keras")
    both = keras.saving.load_model(tmp_path / "both.keras")
    first, second = (layer for layer in both.layers if isinstance(layer, MaskedLM | NextSentence))
    assert first.backbone is second.backbone
    assert len(both.weights) == len(mlm.weights) + 4
    for out, wanted in zip(both(X), expected, strict=True):
        np.testing.assert_array_equal(array(out), wanted)

    for format in ("nlpgen", "huggingface", "tensorflow"):
        mlm.save_pretrained(tmp_path / format, format, others=[follows])
        assert describe(tmp_path / format).heads == ["masked_lm", "pooler", "next_sentence"]
        first = MaskedLM.from_pretrained(tmp_path / format)
        kernel = first.backbone.blocks[0].up.kernel
        trained = array(kernel) + 1
        kernel.assign(trained)
        second = NextSentence.from_pretrained(tmp_path / format, backbone=first.backbone)
        assert second.backbone is first.backbone
        np.testing.assert_array_equal(array(kernel), trained)  # the folder's backbone did not come back
        kernel.assign(trained - 1)
        assert_close(array(second(X)), expected[1])


def test_what_cannot_be_shared(tmp_path):
    mlm, other = new("nezha", MaskedLM), NextSentence(new("nezha"))
    with pytest.raises(InputError, match=r"next_sentence.* has another than masked_lm"):
        mlm.save_pretrained(tmp_path / "out", others=[other])
    with pytest.raises(InputError, match="leave keep_tokens, application away"):
        PooledEncoder.from_pretrained(GOLDEN / "b4k_nezha", backbone=mlm.backbone, keep_tokens=[0, 1], application="lm")
    with pytest.raises(ConfigError, match=r"not those of a Nezha\. Use Bert"):
        PooledEncoder.from_pretrained(GOLDEN / "b4k_bert", backbone=mlm.backbone)
