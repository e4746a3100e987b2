"""GPT, CDial-GPT and GPT2-ML: goldens of bert4keras 0.11.5, transformers' own class, the forms of the releases."""

import json
import shutil

import numpy as np
import pytest
from keras import ops

from nlpgen import GPT, GPT2, GPT2ML, CausalLM, GPT2Config, GPT2MLConfig, GPTConfig, MaskedLM
from nlpgen.checkpoints import dump_weights, open_folder
from nlpgen.checkpoints.hugging_face import to_hugging_face
from nlpgen.checkpoints.safetensors import WEIGHTS, write_safetensors
from nlpgen.errors import CheckpointWarning, ConfigError
from nlpgen.models.inspect import convert, describe
from tests.helpers import GOLDEN, IDS, SEGMENTS, SMALL, array, assert_close, check_model, random_weights

CDIAL, OPENAI, GPT2_ML = (GOLDEN / f"b4k_{name}" for name in ("gpt_cdial", "gpt_openai", "gpt2_ml"))
# bert4keras' epsilon for GPT, whatever the model says; the releases have 1e-5.
EPS = {"layer_norm_eps": 1e-12}
X = {"token_ids": IDS, "segment_ids": SEGMENTS}


def new(cls, model=None, dtype=None, **options):
    backbone = cls(cls.config_class(**SMALL | options), dtype=dtype)
    model = backbone if model is None else model(backbone)
    model.build()
    return random_weights(model)


def _tensors(folder):
    tensors = open_folder(folder).tensors
    return {name: np.asarray(tensors[name]) for name in tensors}


def _hugging_face_folder(folder, config, tensors, vocab=None):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    if vocab is not None:
        (folder / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    write_safetensors(folder / WEIGHTS, tensors)
    return folder


@pytest.mark.backends
@pytest.mark.parametrize(
    ("folder", "variant", "options"),
    [
        (CDIAL, "lm_linear", EPS),
        (CDIAL, "lm_softmax", EPS),
        (OPENAI, "lm_linear", EPS),
        (GPT2_ML, "lm_linear", {}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_bert4keras(folder, variant, options):
    golden = np.load(folder / "golden.npz")
    x = {"token_ids": golden[f"{variant}/in0"]}
    assert (x["token_ids"] == 0).any()
    if f"{variant}/in1" in golden:
        x["segment_ids"] = golden[f"{variant}/in1"]
        assert x["segment_ids"].max() > 2  # tokens
    out = CausalLM.from_pretrained(folder, **options)(x)
    assert_close(array(ops.softmax(out) if variant == "lm_softmax" else out), golden[f"{variant}/out_lm"])


@pytest.mark.backends
@pytest.mark.parametrize(
    ("cls", "model", "options"),
    [
        (GPT, CausalLM, {"shared_segment_embeddings": True}),
        (GPT, None, {"type_vocab_size": 2, "intermediate_size": None}),
        (GPT2ML, CausalLM, {}),
    ],
)
def test_contract(cls, model, options, tmp_path):
    check_model(new(cls, model, **options), tmp_path)


@pytest.mark.backends
@pytest.mark.parametrize("cls", [GPT, GPT2ML])
def test_with_a_cache_it_is_the_same(cls):
    """A text read in three parts, in a cache longer than it is."""
    model = new(cls, pad_token_id=None)
    ids = np.random.default_rng(0).integers(0, 50, (2, 9))
    cache, parts = model.empty_cache(2, 12), []
    for part in (slice(0, 5), slice(5, 6), slice(6, 9)):
        inputs = {"token_ids": ids[:, part], "position_ids": np.arange(9)[None, part].repeat(2, axis=0)}
        hidden, cache = model.encode_cached(model.embed(inputs), inputs, cache, part.start)
        parts.append(hidden)
    assert_close(array(ops.concatenate(parts, axis=1)), array(model({"token_ids": ids})))


@pytest.mark.parametrize(
    ("folder", "architecture"),
    [
        (CDIAL, "GPT"),
        (OPENAI, "GPT"),
        (GPT2_ML, "GPT2ML"),
        (GOLDEN / "b4k_gpt2", "GPT2"),
        (GOLDEN / "hf_gpt2_lm", "GPT2"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_round_trip_through_all_formats_is_bit_equal(folder, architecture, tmp_path):
    source, first = folder, _tensors(folder)
    own, other = "tensorflow", "huggingface"
    if folder.name.startswith("hf_"):
        own, other = other, own
    for i, format in enumerate(["nlpgen", other, "nlpgen", own]):
        convert(source, tmp_path / str(i), format)
        source = tmp_path / str(i)
        found = describe(source)
        assert found.architecture == architecture
        assert (found.heads, found.missing) == (["causal_lm"], [])
        assert None not in {tensor["weight"] for tensor in found.tensors.values()}
        assert type(CausalLM.from_pretrained(source).backbone).__name__ == found.architecture
    last = _tensors(source)
    assert first.keys() == last.keys()
    assert all(np.array_equal(first[name], last[name]) for name in first)


def test_segments_of_gpt2_are_tokens_where_they_are_asked_for(tmp_path):
    """As CDial's GPT2_LCCC has its speakers; and they stay so in Hugging Face's form."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder, segments = GOLDEN / "hf_gpt2_lm", SEGMENTS + 7
    ids, mask = torch.tensor(IDS).long(), torch.ones(IDS.shape).long()
    peer = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = peer(ids, token_type_ids=torch.tensor(segments).long(), attention_mask=mask).logits.numpy()
    x = {"token_ids": IDS, "segment_ids": segments, "padding_mask": np.ones_like(IDS)}
    model = CausalLM.from_pretrained(folder, shared_segment_embeddings=True)
    assert_close(array(model(x)), expected)
    model.save_pretrained(tmp_path / "out", "huggingface")
    assert_close(array(CausalLM.from_pretrained(tmp_path / "out")(x)), expected)
    plain = CausalLM.from_pretrained(folder)
    np.testing.assert_array_equal(array(plain(x)), array(plain({n: v for n, v in x.items() if n != "segment_ids"})))


def test_transformers_reads_what_we_write_and_back(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    options = {"intermediate_size": 64, "hidden_act": "gelu_tanh", "pad_token_id": None}
    model = new(GPT, CausalLM, shared_segment_embeddings=True, **options)
    model.save_pretrained(tmp_path / "ours", "huggingface")
    peer, info = transformers.OpenAIGPTLMHeadModel.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    with torch.no_grad():
        ids, segments = (torch.tensor(x).long() for x in (IDS, SEGMENTS))
        plain = peer.eval()(ids).logits
        both = peer(ids, token_type_ids=segments, attention_mask=(ids != 0).long()).logits
    assert_close(array(model({"token_ids": IDS})), plain)
    assert_close(array(model({**X, "padding_mask": IDS != 0})), both)
    peer.save_pretrained(tmp_path / "theirs")
    again = CausalLM.from_pretrained(tmp_path / "theirs")
    assert again.backbone.config.pad_token_id is None
    assert_close(array(again({"token_ids": IDS})), plain)
    assert_close(array(again({**X, "padding_mask": IDS != 0})), both)


def test_cdial_s_own_folder_and_its_conversion_for_bert4keras(tmp_path):
    """The one has `[CLS]` at 0 and `[PAD]` at 1, the other the two exchanged; config and names are the releases'."""
    model = new(GPT, CausalLM, hidden_act="gelu_tanh", intermediate_size=64, max_position_embeddings=513)
    tensors = dump_weights(model)  # in the order of the original vocabulary
    vocab = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[speaker1]", "[speaker2]", *map(chr, range(0x4E00, 0x4E00 + 44))]
    order = [1, 0, *range(2, 50)]
    config = {"afn": "gelu", "attn_pdrop": 0.1, "embd_pdrop": 0.1, "resid_pdrop": 0.1, "initializer_range": 0.02}
    config |= {"layer_norm_epsilon": 1e-5, "n_ctx": 512, "n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 513}
    config |= {"n_special": 0, "vocab_size": 50}
    theirs = to_hugging_face(tensors, GPT.hugging_face_names)
    theirs["lm_head.weight"] = theirs["transformer.tokens_embed.weight"]
    theirs["transformer.h.0.attn.bias"] = np.tril(np.ones((1, 1, 513, 513), "float32"))
    original = CausalLM.from_pretrained(_hugging_face_folder(tmp_path / "original", config, theirs, vocab))
    c = original.backbone.config
    assert (type(original.backbone), c.max_position_embeddings, c.pad_token_id) == (GPT, 513, 1)
    assert (c.layer_norm_eps, c.hidden_act, c.shared_segment_embeddings) == (1e-5, "gelu_tanh", True)

    exchanged = tmp_path / "exchanged"
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    swapped = CausalLM.from_pretrained(tmp_path / "copy", keep_tokens=order)
    swapped.save_pretrained(exchanged, "tensorflow")
    table = "gpt/embeddings/word_embeddings"
    written = _tensors(exchanged)
    rows = tensors[table]
    np.testing.assert_array_equal(written[table], np.concatenate([rows[1:2], rows[:1], rows[2:]]))
    assert (exchanged / "vocab.txt").read_text(encoding="utf-8").split()[:2] == ["[PAD]", "[CLS]"]
    converted = CausalLM.from_pretrained(exchanged)
    assert converted.backbone.config.pad_token_id == 0

    ids = np.array([[0, 4, 9, 10, 5, 11, 2], [0, 4, 12, 5, 2, 1, 1]])
    segments = np.array([[0, 4, 4, 4, 5, 5, 5], [0, 4, 4, 5, 5, 1, 1]])
    out = array(original({"token_ids": ids, "segment_ids": segments}))
    rank = np.argsort(order)
    assert_close(array(converted({"token_ids": rank[ids], "segment_ids": rank[segments]})), out[..., order])
    alone = array(original({"token_ids": ids[1:, :5], "segment_ids": segments[1:, :5]}))
    assert_close(alone, out[1:, :5])


def test_segments_are_tokens_where_the_file_has_no_table_for_them():
    """bert4keras has `shared_segment_embeddings` passed by hand."""
    assert CausalLM.from_pretrained(CDIAL).backbone.config.shared_segment_embeddings
    assert not CausalLM.from_pretrained(OPENAI).backbone.config.shared_segment_embeddings


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_gpt2_ml_in_its_port(prefix, tmp_path):
    """GPT-2's config and names beside one more norm; `vocab_size` is of the other release."""
    model = CausalLM.from_pretrained(GPT2_ML)
    theirs = to_hugging_face(dump_weights(model), GPT2ML.hugging_face_names)
    theirs = {name.replace("transformer.", prefix): tensor for name, tensor in theirs.items()}
    config = {"model_type": "gpt2", "activation_function": "gelu", "layer_norm_epsilon": 1e-5, "vocab_size": 80}
    config |= {"n_ctx": 32, "n_embd": 48, "n_head": 4, "n_layer": 2, "n_positions": 32, "n_inner": 96}
    vocab = (GPT2_ML / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    folder = _hugging_face_folder(tmp_path / "port", config, theirs, vocab)
    with pytest.warns(CheckpointWarning, match="says vocab_size 80, but .* has 284 rows, which count"):
        ported = CausalLM.from_pretrained(folder)
    assert type(ported.backbone) is GPT2ML
    ids = np.load(GPT2_ML / "golden.npz")["lm_linear/in0"]
    np.testing.assert_array_equal(array(ported({"token_ids": ids})), array(model({"token_ids": ids})))
    with pytest.raises(ConfigError, match=r"not those of a GPT2\. Use GPT2ML"):
        GPT2.from_pretrained(folder)


def test_gpt2_ml_as_released(tmp_path):
    """The config is mega.json, with the vocabulary of the other release; there is no type in it."""
    shutil.copytree(GPT2_ML, tmp_path / "mega", ignore=shutil.ignore_patterns("*.npz", "*.md"))
    path = tmp_path / "mega" / "bert_config.json"
    fields = json.loads(path.read_text()) | {"vocab_size": 80}
    path.unlink()
    (tmp_path / "mega" / "mega.json").write_text(json.dumps(fields))
    with pytest.warns(CheckpointWarning, match="mega.json says vocab_size 80, but .* has 284 rows, which count"):
        model = CausalLM.from_pretrained(tmp_path / "mega")
    assert (type(model.backbone), model.backbone.config.vocab_size) == (GPT2ML, 284)


@pytest.mark.parametrize("folder", [OPENAI, GPT2_ML], ids=lambda folder: folder.name)
@pytest.mark.parametrize("format", ["tensorflow", "huggingface"])
def test_first_layers_only(folder, format, tmp_path):
    """Layers beyond those asked for are no news, however they are numbered; a warning would fail."""
    convert(folder, tmp_path / "out", format)
    model = CausalLM.from_pretrained(tmp_path / "out", num_hidden_layers=1)
    whole = CausalLM.from_pretrained(folder)
    whole.backbone.blocks = whole.backbone.blocks[:1]
    assert_close(array(model({"token_ids": IDS})), array(whole({"token_ids": IDS})))


@pytest.mark.parametrize("config_class", [GPTConfig, GPT2Config, GPT2MLConfig])
def test_no_padding_unless_hugging_face_s_config_says_one(config_class):
    fields = {"n_embd": 16, "n_layer": 2, "n_head": 4, "vocab_size": 50}
    assert config_class.from_dict(fields).pad_token_id is None
    assert config_class.from_dict(fields | {"pad_token_id": 7}).pad_token_id == 7
    assert config_class.from_dict(SMALL).pad_token_id == 0  # bert4keras


@pytest.mark.parametrize("format", ["nlpgen", "tensorflow", "huggingface"])
def test_no_padding_is_no_padding_after_saving(format, tmp_path):
    """Where no id is padding, the first is a token like others."""
    model = new(GPT, CausalLM, pad_token_id=None, hidden_act="gelu_tanh")
    model.save_pretrained(tmp_path / "out", format)
    again = CausalLM.from_pretrained(tmp_path / "out")
    assert again.backbone.config.pad_token_id is None
    assert_close(array(again({"token_ids": IDS})), array(model({"token_ids": IDS})))
    kept = CausalLM.from_pretrained(tmp_path / "out", keep_tokens=[3, 0, 1])
    assert kept.backbone.config.pad_token_id is None


def test_kept_tokens_give_their_columns(tmp_path):
    keep = [0, 5, 6, 7, 8, *range(60, 284, 2)]
    ids = np.array([[2, 30, 31, 32, 3, 0, 0], [2, 40, 41, 90, 91, 92, 3]])
    for folder in (OPENAI, GPT2_ML):
        full = CausalLM.from_pretrained(folder)
        small = CausalLM.from_pretrained(folder, keep_tokens=keep, compound_tokens={"甲乙": [70, 71]})
        out = array(small({"token_ids": ids}))
        assert_close(out[..., :-1], array(full({"token_ids": np.array(keep)[ids]}))[..., keep])
        small.save_pretrained(tmp_path / folder.name)
        again = CausalLM.from_pretrained(tmp_path / folder.name)
        np.testing.assert_array_equal(array(again({"token_ids": ids})), out)


def test_hugging_face_s_gelu_is_the_tanh_formula(tmp_path):
    assert GPTConfig.from_dict({"n_embd": 16, "n_layer": 2, "n_head": 4, "vocab_size": 50}).hidden_act == "gelu_tanh"
    with pytest.raises(ConfigError, match=r"no activation 'gelu', only: gelu_tanh.* hidden_act=\"gelu_tanh\""):
        new(GPT, CausalLM, hidden_act="gelu").save_pretrained(tmp_path / "out", "huggingface")
    assert list(tmp_path.iterdir()) == []
    new(GPT, CausalLM, hidden_act="gelu").save_pretrained(tmp_path / "out", "tensorflow")
    assert CausalLM.from_pretrained(tmp_path / "out").backbone.config.hidden_act == "gelu"


@pytest.mark.parametrize(
    ("cls", "folder", "message"),
    [
        (GPT2, OPENAI, "not those of a GPT2. Use GPT"),
        (GPT, GPT2_ML, "not those of a GPT. Use GPT2ML"),
        (GPT2ML, GOLDEN / "hf_gpt2_lm", "not those of a GPT2ML. Use GPT2"),
        (MaskedLM, CDIAL, "GPT has no head 'masked_lm'. It has: causal_lm"),
    ],
)
def test_the_wrong_class_says_the_right_one(cls, folder, message):
    with pytest.raises(ConfigError, match=message):
        cls.from_pretrained(folder)


@pytest.mark.parametrize("config_class", [GPTConfig, GPT2MLConfig])
def test_config_is_checked(config_class):
    with pytest.raises(ConfigError, match="multiple of `num_attention_heads`"):
        config_class(**SMALL | {"hidden_size": 15})
    with pytest.raises(ConfigError, match="`tie_word_embeddings` must be True"):
        config_class.from_dict(SMALL | {"tie_word_embeddings": False})


def test_a_segment_table_of_its_own_has_rows():
    with pytest.raises(ConfigError, match="`type_vocab_size` must be 0 or more"):
        GPTConfig(**SMALL, type_vocab_size=-1)
