"""LLaMA, Qwen2 and Qwen3: their contract, their configs, and transformers' own models as peers."""

import json
import shutil

import numpy as np
import pytest

from nlpgen import CausalLM, Llama, LlamaConfig, MaskedLM, Qwen2, Qwen2Config, Qwen3, Qwen3Config
from nlpgen.checkpoints import dump_weights, open_folder
from nlpgen.checkpoints.safetensors import INDEX, WEIGHTS, write_safetensors
from nlpgen.errors import ConfigError, InputError, WeightsMismatch
from nlpgen.models.inspect import convert, describe
from tests.helpers import GOLDEN, IDS, SMALL, array, assert_close, check_model, random_weights

GROUPED = SMALL | {"num_key_value_heads": 2, "pad_token_id": 0}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
MODELS = {
    "llama": (Llama, LlamaConfig, {"head_dim": 6, "rope_scaling": {"rope_type": "linear", "factor": 2.5}}),
    "llama-llama3": (
        Llama,
        LlamaConfig,
        {"attention_bias": True, "mlp_bias": True, "rope_scaling": LLAMA3, "tie_word_embeddings": True},
    ),
    "qwen2": (Qwen2, Qwen2Config, {"num_key_value_heads": 1, "rope_theta": 1e6}),
    "qwen3": (Qwen3, Qwen3Config, {"head_dim": 10, "num_key_value_heads": None, "tie_word_embeddings": True}),
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}
MODELS["qwen3-yarn"] = Qwen3, Qwen3Config, {"head_dim": 16, "rope_theta": 100.0, "rope_scaling": YARN}
GOLDENS = ["hf_llama", "hf_qwen2", "hf_qwen3"]


def small(name):
    """A built model of `MODELS` with its head and random weights."""
    cls, config, options = MODELS[name]
    model = CausalLM(cls(config(**GROUPED | options)))
    model.build()
    return random_weights(model)


def bits(model):
    return {name: (tensor.dtype.name, tensor.tobytes()) for name, tensor in dump_weights(model).items()}


def tensors_of(folder):
    tensors = open_folder(folder).tensors._tensors
    return {name: tensors[name] for name in tensors}


def hugging_face_folder(folder, like, config_changes=None, tensors=None):
    """A copy of a folder with other fields in its config, `None` to leave one out, or other tensors."""
    shutil.copytree(GOLDEN / like, folder)
    config = json.loads((folder / "config.json").read_text()) | (config_changes or {})
    config = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    if tensors is not None:
        write_safetensors(folder / WEIGHTS, tensors)
    return folder


@pytest.mark.backends
@pytest.mark.parametrize("name", MODELS)
def test_contract(name, tmp_path):
    check_model(small(name), tmp_path)


@pytest.mark.parametrize("name", MODELS)
def test_transformers_reads_what_we_write(name, tmp_path):
    """In several shards, with a row that is padded on the left."""
    torch, peer_class = _peer(name, "ForCausalLM")
    model = small(name)
    model.save_pretrained(tmp_path / "out", format="huggingface", max_shard_size=4000)
    peer, info = peer_class.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    _assert_equal(model, peer.eval(), torch)


@pytest.mark.parametrize("name", MODELS)
def test_we_read_what_transformers_writes(name, tmp_path):
    torch, peer_class = _peer(name, "ForCausalLM")
    cls, config, options = MODELS[name]
    fields = config(**GROUPED | options).to_hugging_face()
    torch.manual_seed(0)
    peer = peer_class(peer_class.config_class(**fields)).eval()
    with torch.no_grad():
        for weight in peer.parameters():
            weight.normal_(1.0 if weight.ndim == 1 else 0.0, 0.3)
    peer.save_pretrained(tmp_path / "peer", max_shard_size="5KB")
    assert (tmp_path / "peer" / INDEX).is_file()
    model = CausalLM.from_pretrained(tmp_path / "peer")  # a warning would fail
    assert type(model.backbone) is cls
    _assert_equal(model, peer, torch)

    peer.model.save_pretrained(tmp_path / "bare")
    bare = cls.from_pretrained(tmp_path / "bare")
    np.testing.assert_array_equal(array(bare({"token_ids": IDS})), array(model.backbone({"token_ids": IDS})))


def _peer(name, ending):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    return torch, getattr(transformers, MODELS[name][0].__name__ + ending)


def _assert_equal(model, peer, torch):
    ids = np.random.default_rng(0).integers(1, 50, (3, 20))
    mask = np.ones_like(ids)
    mask[1, :6] = 0
    positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)
    with torch.no_grad():
        expected = peer(torch.tensor(ids), torch.tensor(mask), torch.tensor(positions)).logits.numpy()
    out = array(model({"token_ids": ids, "padding_mask": mask, "position_ids": positions}))
    assert_close(out[mask == 1], expected[mask == 1])


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_round_trip_is_bit_equal(name, dtype, tmp_path):
    """Through both forms; half-precision weights keep their bits and their type."""
    model = small(name)
    model.save_pretrained(tmp_path / "0", dtype=dtype)
    expected = bits(CausalLM.from_pretrained(tmp_path / "0", dtype=dtype))
    assert {kind for kind, _ in expected.values()} == {dtype or "float32"}
    for i, form in enumerate(["huggingface", "nlpgen", "huggingface"], 1):
        again = CausalLM.from_pretrained(tmp_path / str(i - 1), dtype="auto")
        assert bits(again) == expected
        assert again.backbone.config == model.backbone.config.replace(**_said(model, form if i > 1 else None))
        again.save_pretrained(tmp_path / str(i), format=form)
    assert tensors_of(tmp_path / "1").keys() == tensors_of(tmp_path / "3").keys()


def _said(model, form):
    """What Hugging Face's form says though it is the default."""
    config = model.backbone.config
    return {"num_key_value_heads": config.key_value_heads, "head_dim": config.head_size} if form else {}


@pytest.mark.parametrize("folder", GOLDENS)
def test_conversion_is_bit_equal(folder, tmp_path):
    convert(GOLDEN / folder, tmp_path / "ours")
    convert(tmp_path / "ours", tmp_path / "theirs", "huggingface")
    expected, found = tensors_of(GOLDEN / folder), tensors_of(tmp_path / "theirs")
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    theirs = json.loads((tmp_path / "theirs" / "config.json").read_text())
    original = json.loads((GOLDEN / folder / "config.json").read_text())
    same = theirs.keys() & original.keys()
    assert {name: theirs[name] for name in same} == {name: original[name] for name in same}
    assert {"architectures", "bos_token_id", "eos_token_id", "head_dim"} & original.keys() <= same


def test_bfloat16_stays_what_it_is(tmp_path):
    """A file of bfloat16 is read and converted without a detour, and transformers finds bfloat16 again."""
    source, half = GOLDEN / "hf_qwen3", tmp_path / "half"
    convert(source, half, "huggingface", dtype="bfloat16")
    assert CausalLM.from_pretrained(half).variable_dtype == "float32"
    model = CausalLM.from_pretrained(half, dtype="auto")
    assert {weight.dtype for weight in model.weights} == {"bfloat16"}
    assert bits(model) == bits(CausalLM.from_pretrained(half, dtype="bfloat16"))
    convert(half, tmp_path / "again", "huggingface")
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (half / WEIGHTS).read_bytes()
    torch, peer_class = _peer("qwen3", "ForCausalLM")
    assert {p.dtype for p in peer_class.from_pretrained(half).parameters()} == {torch.bfloat16}


def test_shards(tmp_path):
    """No file above the limit unless by one tensor, an index of all, and nothing left of them afterwards."""
    model, folder = small("llama"), tmp_path / "out"
    model.save_pretrained(folder, format="huggingface", max_shard_size=3000)
    index = json.loads((folder / INDEX).read_text())
    shards = {path.name: tensors_of_file(path) for path in folder.glob("*.safetensors")}
    assert len(shards) > 3
    assert all(len(s) == 1 or sum(t.nbytes for t in s.values()) <= 3000 for s in shards.values())
    assert {name: file for file, tensors in shards.items() for name in tensors} == index["weight_map"]
    assert index["metadata"]["total_size"] == sum(t.nbytes for s in shards.values() for t in s.values())
    assert bits(CausalLM.from_pretrained(folder)) == bits(model)
    model.save_pretrained(folder, format="huggingface")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", WEIGHTS]
    model.save_pretrained(folder, format="huggingface", max_shard_size=3000)
    assert not (folder / WEIGHTS).exists()


def tensors_of_file(path):
    from safetensors.numpy import load_file

    return load_file(path)


@pytest.mark.parametrize(
    "options",
    [
        {"format": "nlpgen", "max_shard_size": 1000},
        {"format": "huggingface", "max_shard_size": "5GB"},
        {"format": "huggingface", "max_shard_size": 0},
    ],
)
def test_shard_sizes_are_checked(options, tmp_path):
    with pytest.raises(InputError, match=r"`max_shard_size` must be a whole number of bytes"):
        small("llama").save_pretrained(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_there_is_no_tensorflow_form(tmp_path):
    with pytest.raises(InputError, match=r"Llama has no TensorFlow form.*Use format='huggingface'"):
        small("llama").save_pretrained(tmp_path / "out", format="tensorflow")
    with pytest.raises(InputError, match="Qwen2 has no TensorFlow form"):
        convert(GOLDEN / "hf_qwen2", tmp_path / "out", "tensorflow")


def test_the_tensors_say_whether_the_head_is_tied(tmp_path):
    """Whatever the config says: a head of its own counts, a copy of the token embedding is none."""
    tensors = tensors_of(GOLDEN / "hf_qwen2")
    table = tensors["model.embed_tokens.weight"]
    tied = CausalLM.from_pretrained(GOLDEN / "hf_qwen2")
    copy = hugging_face_folder(tmp_path / "copy", "hf_qwen2", tensors=tensors | {"lm_head.weight": table})
    assert CausalLM.from_pretrained(copy).projection is None  # a warning would fail
    head = np.random.default_rng(0).normal(size=table.shape).astype("float32")
    other = hugging_face_folder(tmp_path / "other", "hf_qwen2", tensors=tensors | {"lm_head.weight": head})
    model = CausalLM.from_pretrained(other)
    assert model.backbone.config.tie_word_embeddings is False
    hidden = array(tied.backbone({"token_ids": IDS}))
    assert_close(array(model({"token_ids": IDS})), hidden @ head.T)
    assert_close(array(tied({"token_ids": IDS})), hidden @ table.T)

    del tensors["model.norm.weight"]
    bare = hugging_face_folder(tmp_path / "bare", "hf_qwen2", {"tie_word_embeddings": False}, tensors)
    with pytest.raises(WeightsMismatch) as error:
        CausalLM.from_pretrained(bare)
    assert "projection.kernel: the checkpoint has no `lm_head/kernel`" in str(error.value)
    assert "backbone.final_norm.gamma: the checkpoint has no `model/norm/gamma`" in str(error.value)


@pytest.mark.parametrize("folder", GOLDENS)
def test_the_family_is_known_by_its_tensors(folder, tmp_path):
    family = folder.removeprefix("hf_")
    silent = hugging_face_folder(tmp_path / "silent", folder, {"model_type": None})
    assert CausalLM.from_pretrained(silent).backbone.model_type == family
    for other in {"bert", "gpt2", "llama", "qwen2", "qwen3"} - {family}:
        wrong = hugging_face_folder(tmp_path / other, folder, {"model_type": other})
        with pytest.raises(ConfigError, match=f"has model_type '{other}'.*tensors are named as those of '{family}'"):
            CausalLM.from_pretrained(wrong)
        assert f"named as those of '{family}'" in describe(wrong).architecture


def test_the_wrong_class_says_what_is_there():
    with pytest.raises(ConfigError, match="model_type 'llama', but Qwen2 reads 'qwen2'"):
        Qwen2.from_pretrained(GOLDEN / "hf_llama")
    with pytest.raises(ConfigError, match=r"Llama has no head 'masked_lm'. It has: causal_lm"):
        MaskedLM.from_pretrained(GOLDEN / "hf_llama")
    with pytest.raises(ConfigError, match=r"Bert has no head 'causal_lm'. It has: masked_lm"):
        CausalLM.from_pretrained(GOLDEN / "b4k_bert")


@pytest.mark.parametrize("folder", GOLDENS)
def test_inspect(folder):
    found = describe(GOLDEN / folder)
    assert found.architecture == type(CausalLM.from_pretrained(GOLDEN / folder).backbone).__name__
    assert found.heads == ["causal_lm"]
    assert found.missing == []
    tensors = tensors_of(GOLDEN / folder)
    assert found.parameters == sum(tensor.size for tensor in tensors.values())
    assert found.tensors.keys() == tensors.keys()
    assert all(tensor["weight"] for tensor in found.tensors.values())


def test_the_first_layers_only():
    full = CausalLM.from_pretrained(GOLDEN / "hf_qwen3")
    first = CausalLM.from_pretrained(GOLDEN / "hf_qwen3", num_hidden_layers=1)  # a warning would fail
    full.backbone.blocks = full.backbone.blocks[:1]
    np.testing.assert_array_equal(array(first({"token_ids": IDS})), array(full({"token_ids": IDS})))


@pytest.mark.parametrize("folder", GOLDENS)
def test_keep_and_compound_tokens(folder, tmp_path):
    """The kept rows give the logits they gave; padding, start and end move with them."""
    keep = [1, 0, 7, 9, 2, *range(50, 100)]
    full = CausalLM.from_pretrained(GOLDEN / folder)
    model = CausalLM.from_pretrained(GOLDEN / folder, keep_tokens=keep, compound_tokens={"a": [2, 3]})
    config = model.backbone.config
    assert (config.bos_token_id, config.pad_token_id, config.eos_token_id) == (0, 1, 4)
    ids = np.array([[0, 2, 3, 10, 1, 1], [0, 4, 30, 31, 32, 9]])
    assert_close(array(model({"token_ids": ids}))[..., :-1], array(full({"token_ids": np.array(keep)[ids]}))[..., keep])
    rows = array(full.backbone.embeddings.token.embeddings)[[7, 9]]
    assert_close(array(model.backbone.embeddings.token.embeddings)[-1], rows.mean(axis=0))
    model.save_pretrained(tmp_path / "small")
    assert bits(CausalLM.from_pretrained(tmp_path / "small")) == bits(model)
    none = CausalLM.from_pretrained(GOLDEN / folder, keep_tokens=[5, 6]).backbone.config
    assert (none.bos_token_id, none.pad_token_id, none.eos_token_id) == (None, 0, None)


@pytest.mark.parametrize(
    ("released", "ours"),
    [
        ({"rope_theta": 5e5}, (5e5, None)),
        ({"rope_theta": 1000000, "rope_scaling": None}, (1000000, None)),
        ({"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, (5e5, None)),
        ({"rope_scaling": {"type": "linear", "factor": 4}}, (1e4, {"rope_type": "linear", "factor": 4})),
        ({"rope_parameters": LLAMA3 | {"rope_theta": 5e5}}, (5e5, LLAMA3)),
        (
            {"rope_scaling": {k: v for k, v in LLAMA3.items() if k != "original_max_position_embeddings"}},
            (1e4, LLAMA3 | {"original_max_position_embeddings": 20}),
        ),
    ],
)
def test_spellings_of_rotary_options(released, ours):
    config = LlamaConfig.from_dict(SMALL | released)
    assert (config.rope_theta, config.rope_scaling) == ours
    assert LlamaConfig.from_dict(config.to_hugging_face()).rope_scaling == config.rope_scaling


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (LlamaConfig, {"rope_scaling": YARN | {"beta_fast": 16}}, "'yarn' has no field beta_fast"),
        (LlamaConfig, {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "default, linear, yarn, llama3.*'dynamic'"),
        (LlamaConfig, {"rope_scaling": {"rope_type": ["linear"]}}, "default, linear, yarn"),
        (LlamaConfig, {"rope_scaling": {"rope_type": "linear"}}, "`factor` of `rope_scaling` must be a number above 0"),
        (LlamaConfig, {"rope_scaling": LLAMA3 | {"high_freq_factor": 1.0}}, "must be above `low_freq_factor`"),
        (LlamaConfig, {"rope_scaling": LLAMA3 | {"beta": 1.0}}, "'llama3' has no field beta"),
        (LlamaConfig, {"rope_parameters": {"full_attention": {}}}, "'default' has no field full_attention"),
        (LlamaConfig, {"rope_parameters": {"partial_rotary_factor": 0.5}}, "`partial_rotary_factor` must be 1.0"),
        (LlamaConfig, {"quantization_config": {"bits": 4}}, "`quantization_config` must be None"),
        (LlamaConfig, {"num_key_value_heads": 3}, "multiple of `num_key_value_heads`"),
        (LlamaConfig, {"num_attention_heads": 3}, "multiple of `num_attention_heads`"),
        (LlamaConfig, {"head_dim": 5}, "even width"),
        (LlamaConfig, {"num_attention_heads": 0}, "`num_attention_heads` must be from 1"),
        (LlamaConfig, {"rope_theta": 0}, "`rope_theta` must be above 0"),
        (LlamaConfig, {"eos_token_id": "2"}, "`eos_token_id` must be int or list or null"),
        (
            Qwen2Config,
            {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
            "attention within a window is not built. Received: true, 8 tokens in layers from 1 on",
        ),
    ],
)
def test_what_cannot_be_followed_is_refused(config, change, message):
    with pytest.raises(ConfigError, match=message):
        config.from_dict(SMALL | change)


@pytest.mark.parametrize(
    "change",
    [
        {"use_sliding_window": False, "sliding_window": 8, "max_window_layers": 1},
        {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2},
        {"use_sliding_window": True, "sliding_window": 20, "max_window_layers": 0},
        {"use_sliding_window": True, "sliding_window": None, "max_window_layers": 0},
    ],
)
def test_a_window_that_changes_nothing_is_fine(change):
    Qwen3Config.from_dict(SMALL | change)
