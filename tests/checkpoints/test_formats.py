"""Every form of a checkpoint gives the same model, and writes back the same bits."""

import json

import numpy as np
import pytest
import safetensors.numpy

from nlpgen import Bert, MaskedLM, NextSentence, embedded_models
from nlpgen.checkpoints import dump_weights, open_folder
from nlpgen.checkpoints.safetensors import WEIGHTS, write_safetensors
from nlpgen.checkpoints.tensorflow import write_tensorflow
from nlpgen.errors import CheckpointWarning
from nlpgen.models.inspect import convert, describe
from tests.helpers import GOLDEN, IDS, array


def tensors_of(folder):
    tensors = open_folder(folder).tensors
    return {name: np.asarray(tensors[name]) for name in tensors}


def test_round_trip_through_all_formats_is_bit_equal(bert_folder, tmp_path):
    """TensorFlow → ours → Hugging Face → ours → TensorFlow, with pooler and next-sentence head."""
    source = bert_folder
    for i, format in enumerate(["nlpgen", "huggingface", "nlpgen", "tensorflow"]):
        convert(source, tmp_path / str(i), format)
        source = tmp_path / str(i)
    first, last = tensors_of(bert_folder), tensors_of(source)
    assert first.keys() == last.keys()
    assert all(first[name].dtype == last[name].dtype for name in first)
    assert all(np.array_equal(first[name], last[name]) for name in first)
    assert (source / "vocab.txt").read_bytes() == (bert_folder / "vocab.txt").read_bytes()


def test_tensorflow_itself_reads_what_we_write(bert_folder, tmp_path):
    import tensorflow as tf

    convert(bert_folder, tmp_path / "out", "tensorflow")
    ours = tf.train.load_checkpoint(str(tmp_path / "out"))  # through the `checkpoint` file
    theirs = tf.train.load_checkpoint(str(bert_folder / "bert_model.ckpt"))
    assert ours.get_variable_to_shape_map() == theirs.get_variable_to_shape_map()
    for name in ours.get_variable_to_shape_map():
        np.testing.assert_array_equal(ours.get_tensor(name), theirs.get_tensor(name))
    config = json.loads((tmp_path / "out" / "bert_config.json").read_text())
    assert config.items() >= json.loads((bert_folder / "bert_config.json").read_text()).items()


def test_transformers_reads_what_we_write(bert_folder, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    convert(bert_folder, tmp_path / "out", "huggingface")
    peer, info = transformers.BertForPreTraining.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    x = {"token_ids": IDS, "segment_ids": np.zeros_like(IDS)}
    with torch.no_grad():
        out = peer.eval()(torch.tensor(IDS).long(), torch.tensor(IDS != 0).long())
    np.testing.assert_allclose(array(MaskedLM.from_pretrained(tmp_path / "out")(x)), out.prediction_logits, atol=5e-5)
    follows = array(NextSentence.from_pretrained(tmp_path / "out")(x))
    np.testing.assert_allclose(follows, out.seq_relationship_logits, atol=5e-5)


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001"])
def test_a_prefix_or_any_of_its_files(bert_folder, suffix):
    assert open_folder(bert_folder / f"bert_model.ckpt{suffix}").format == "tensorflow"


def test_optimizer_slots_are_no_news(bert_folder, tmp_path):
    tensors = tensors_of(bert_folder)
    slots = {f"{name}/adam_m": t for name, t in tensors.items()} | {"global_step": np.array(5.0)}
    _tensorflow_folder(tmp_path, bert_folder, tensors | slots)
    MaskedLM.from_pretrained(tmp_path)  # a warning would fail


def test_what_is_not_read_is_said(bert_folder, tmp_path):
    _tensorflow_folder(tmp_path, bert_folder, tensors_of(bert_folder) | {"bert/strange": np.zeros(3)})
    with pytest.warns(CheckpointWarning, match=r"^1 tensor of .* is no part of .* was not read: bert/strange"):
        MaskedLM.from_pretrained(tmp_path)


def test_sharded_old_names_and_no_prefix(tmp_path):
    """As `bert-base-chinese` (gamma and beta), a bare encoder, and a file in two shards."""
    source = GOLDEN / "hf_bert_mlm"
    file = open_folder(source).tensors._tensors
    tensors = {name: file[name] for name in file}
    expected = array(MaskedLM.from_pretrained(source)({"token_ids": IDS}))

    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    old["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]
    old["cls.predictions.decoder.bias"] = old.pop("cls.predictions.bias")
    old["bert.embeddings.position_ids"] = np.arange(32)[None]
    _hugging_face_folder(tmp_path / "old", source, old)
    model = MaskedLM.from_pretrained(tmp_path / "old")  # a warning would fail
    np.testing.assert_array_equal(array(model({"token_ids": IDS})), expected)

    bare = {name.removeprefix("bert."): tensor for name, tensor in tensors.items() if name.startswith("bert.")}
    _hugging_face_folder(tmp_path / "bare", source, bare)
    np.testing.assert_array_equal(
        array(Bert.from_pretrained(tmp_path / "bare")({"token_ids": IDS})), array(model.backbone({"token_ids": IDS}))
    )

    _hugging_face_folder(tmp_path / "shards", source, {})
    (tmp_path / "shards" / WEIGHTS).unlink()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file_name, part in parts.items():
        write_safetensors(tmp_path / "shards" / file_name, {name: tensors[name] for name in part})
    index = {"weight_map": {name: file_name for file_name, part in parts.items() for name in part}}
    (tmp_path / "shards" / "model.safetensors.index.json").write_text(json.dumps(index))
    sharded = MaskedLM.from_pretrained(tmp_path / "shards")
    np.testing.assert_array_equal(array(sharded({"token_ids": IDS})), expected)


@pytest.mark.parametrize(("dtype", "bits"), [("float16", 11), ("bfloat16", 8)])
@pytest.mark.parametrize("format", ["nlpgen", "huggingface"])
def test_half_precision_files(bert_folder, tmp_path, dtype, bits, format):
    model = MaskedLM.from_pretrained(bert_folder)
    model.save_pretrained(tmp_path / "half", format=format, dtype=dtype)
    folder = open_folder(tmp_path / "half")
    assert {folder.tensors.dtype(name) for name in folder.tensors} == {dtype}
    half = dump_weights(MaskedLM.from_pretrained(tmp_path / "half"))
    for name, tensor in dump_weights(model).items():
        assert half[name].dtype == np.float32
        np.testing.assert_allclose(half[name], tensor, rtol=2.0**-bits, atol=1e-7)


def test_keep_and_compound_tokens_are_saved_with_the_model(bert_folder, tmp_path):
    keep = [0, 5, 6, 7, 8, 200, 201]
    model = MaskedLM.from_pretrained(bert_folder, keep_tokens=keep, compound_tokens={"今天天气": [5, 6]})
    assert model.tokenizer.vocab.tokens[-1] == "今天天气"
    model.save_pretrained(tmp_path / "small")
    again = MaskedLM.from_pretrained(tmp_path / "small")
    assert again.backbone.config.vocab_size == 8
    assert again.tokenizer.vocab == model.tokenizer.vocab
    x = {"token_ids": IDS[:, :5] % 8}
    np.testing.assert_array_equal(array(again(x)), array(model(x)))


def test_config_changes_are_saved_with_the_model(bert_folder, tmp_path):
    model = MaskedLM.from_pretrained(bert_folder, application="unilm", hidden_act="gelu_tanh", condition_size=3)
    model.save_pretrained(tmp_path / "out")
    assert MaskedLM.from_pretrained(tmp_path / "out").backbone.config == model.backbone.config


def test_a_saved_folder_replaces_the_old_one_whole(bert_folder, tmp_path):
    model = MaskedLM.from_pretrained(bert_folder)
    model.save_pretrained(tmp_path / "out")
    (tmp_path / "out" / "README.md").write_text("our card")
    model.save_pretrained(tmp_path / "out", dtype="float16")
    assert (tmp_path / "out" / "README.md").read_text() == "our card"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    MaskedLM.from_pretrained(tmp_path / "out")


def test_embedded_models_are_as_they_were_saved():
    assert "bert-tiny-zh" in embedded_models()
    for name in embedded_models():
        assert describe(name).missing == []


def test_names_that_no_rule_knows_are_listed(tmp_path):
    strange = {name: np.ones((2, 3)) for name in ("a.layer_0.weight", "b.gamma", "c.weight_g", "d", "e.f.bias")}
    _hugging_face_folder(tmp_path / "x", GOLDEN / "hf_bert_mlm", strange)
    found = describe(tmp_path / "x")
    assert found.tensors.keys() == strange.keys()
    assert all(tensor["weight"] is None for tensor in found.tensors.values())


def test_describe(bert_folder):
    found = describe(GOLDEN / "hf_bert_pretraining")
    assert (found.architecture, found.format) == ("Bert", "huggingface")
    assert found.heads == ["masked_lm", "pooler", "next_sentence"]
    assert found.parameters == 58462
    weights = {name: tensor["weight"] for name, tensor in found.tensors.items()}
    assert weights["bert.encoder.layer.1.output.dense.weight"] == "backbone.blocks.1.down.kernel"
    assert None not in weights.values()
    assert describe(bert_folder).parameters == 58462
    assert describe(GOLDEN / "hf_bert_model").heads == ["pooler"]


def _tensorflow_folder(folder, like, tensors):
    for name in ("bert_config.json", "vocab.txt"):
        (folder / name).write_bytes((like / name).read_bytes())
    write_tensorflow(folder, tensors)


def _hugging_face_folder(folder, like, tensors):
    folder.mkdir()
    for name in ("config.json", "vocab.txt"):
        (folder / name).write_bytes((like / name).read_bytes())
    write_safetensors(folder / WEIGHTS, tensors)


def test_arrays_are_written_by_their_places_not_by_their_memory(tmp_path):
    table = np.arange(6, dtype="float32").reshape(2, 3)
    write_safetensors(tmp_path / WEIGHTS, {"table": table.T, "columns": np.asfortranarray(table), "one": np.float32(3)})
    read = safetensors.numpy.load_file(tmp_path / WEIGHTS)
    np.testing.assert_array_equal(read["table"], table.T)
    np.testing.assert_array_equal(read["columns"], table)
    assert read["one"].shape == ()
