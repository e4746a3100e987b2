"""What goes wrong with files: each fault has an error that says what, where, expected against found, and what to do."""

import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nlpgen
from nlpgen import Bert, MaskedLM
from nlpgen.checkpoints import dump_weights, open_folder
from nlpgen.checkpoints.files import backup_of, replaced_folder
from nlpgen.checkpoints.folder import _manifest_sha256
from nlpgen.checkpoints.safetensors import WEIGHTS, write_safetensors
from nlpgen.errors import (
    CheckpointCorrupt,
    CheckpointNotFound,
    CheckpointWarning,
    ConfigError,
    InputError,
    NlpgenError,
    NonFiniteWeights,
    OutputError,
    UnsafeFormat,
    VocabularyError,
    WeightsMismatch,
)
from nlpgen.models.inspect import convert
from tests.helpers import GOLDEN

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 409100000\n"


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted") / "own"
    convert(GOLDEN / "b4k_bert", folder)
    return folder


@pytest.fixture
def own(tmp_path, converted):
    """A model in our own form."""
    return shutil.copytree(converted, tmp_path / "own")


@pytest.fixture
def hugging_face(tmp_path):
    """A model in Hugging Face's form."""
    folder = tmp_path / "hf"
    folder.mkdir()
    for name in ("config.json", "vocab.txt", WEIGHTS):
        shutil.copy(GOLDEN / "hf_bert_mlm" / name, folder / name)
    return folder


@pytest.fixture
def tensorflow(tmp_path, bert_folder):
    """A model in TensorFlow's form."""
    folder = tmp_path / "tf"
    shutil.copytree(bert_folder, folder, ignore=shutil.ignore_patterns("*.npz", "*.md"))
    return folder


def change(path, at, data):
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)


def test_missing_folder_names_what_is_near(own):
    with pytest.raises(CheckpointNotFound, match=r"no model at .*Did you mean own\?.*bert-tiny-zh"):
        MaskedLM.from_pretrained(own.parent / "owm")
    with pytest.raises(FileNotFoundError, match="Did you mean bert-tiny-zh"):
        MaskedLM.from_pretrained("bert-tiny-cn")


def test_empty_folder_and_one_without_weights(tmp_path):
    with pytest.raises(CheckpointNotFound, match=r"holds nothing; expected manifest.json"):
        MaskedLM.from_pretrained(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(CheckpointNotFound, match=r"holds notes.txt; expected"):
        MaskedLM.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", CheckpointCorrupt, "0 bytes"),
        (b"12345", CheckpointCorrupt, "5 bytes, too few"),
        (LFS, CheckpointCorrupt, r"Git LFS pointer.*real size 409100000.*git lfs pull"),
        (b"<!DOCTYPE html><title>404</title>", CheckpointCorrupt, r"starts with '<!DOCTYPE html.*web page"),
        (b'{"error":"Repository not found"}', CheckpointCorrupt, "web page or an error message"),
        (pickle.dumps({"a": 1}), UnsafeFormat, r"is a pickle.*nlpgen convert --trust-pickle"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), CheckpointCorrupt, "is a HDF5 file"),
        (
            (2**62).to_bytes(8, "little") + bytes(8),
            CheckpointCorrupt,
            r"header of 4,611,.* bytes, more than 100,000,000",
        ),
        ((500).to_bytes(8, "little") + b"{", CheckpointCorrupt, r"cut inside its header: expected 508.* found 9"),
        ((4).to_bytes(8, "little") + b"{{{{", CheckpointCorrupt, "damaged header"),
        (b"\x80", UnsafeFormat, "is a pickle"),
    ],
    ids=["empty", "short", "lfs", "html", "json", "pickle", "hdf5", "huge-header", "cut-header", "no-json", "one-byte"],
)
def test_what_is_no_safetensors_file(hugging_face, content, error, message):
    (hugging_face / WEIGHTS).write_bytes(content)
    with pytest.raises(error, match=message):
        MaskedLM.from_pretrained(hugging_face)


def test_torch_archives_are_pickles_whatever_their_name(hugging_face):
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.zeros(3)}, hugging_face / WEIGHTS)
    with pytest.raises(UnsafeFormat, match="is a pickle"):
        MaskedLM.from_pretrained(hugging_face)
    (hugging_face / WEIGHTS).rename(hugging_face / "pytorch_model.bin")
    with pytest.raises(UnsafeFormat, match=r"pytorch_model.bin is a pickle"):
        MaskedLM.from_pretrained(hugging_face)


def test_a_trusted_pickle_is_converted(hugging_face, tmp_path):
    torch = pytest.importorskip("torch")
    tensors = open_folder(hugging_face).tensors._tensors
    state = {name: torch.tensor(tensors[name]) for name in tensors}
    state["bert.embeddings.word_embeddings.weight"] = state["bert.embeddings.word_embeddings.weight"].bfloat16()
    torch.save(state, hugging_face / "pytorch_model.bin")
    expected = MaskedLM.from_pretrained(hugging_face)
    (hugging_face / WEIGHTS).unlink()
    convert(hugging_face, tmp_path / "out", dtype="float32", trust_pickle=True)
    found = MaskedLM.from_pretrained(tmp_path / "out")
    found, expected = dump_weights(found), dump_weights(expected)
    table = "bert/embeddings/word_embeddings"
    np.testing.assert_allclose(found.pop(table), expected.pop(table), rtol=2**-8)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)

    class Evil:
        def __reduce__(self):
            return os.system, ("echo evil",)

    torch.save({"a": Evil()}, hugging_face / "pytorch_model.bin")
    with pytest.raises(CheckpointCorrupt, match="PyTorch refuses"):
        convert(hugging_face, tmp_path / "evil", trust_pickle=True)
    assert not (tmp_path / "evil").exists()


def test_a_header_that_looks_like_a_pickle(hugging_face):
    """The length 0x80 0x02 … is one that pickles start with."""
    content = (hugging_face / WEIGHTS).read_bytes()
    length, padded = int.from_bytes(content[:8], "little"), 0x10280
    header = content[8 : 8 + length].ljust(padded)
    (hugging_face / WEIGHTS).write_bytes(padded.to_bytes(8, "little") + header + content[8 + length :])
    assert (hugging_face / WEIGHTS).read_bytes()[:2] == b"\x80\x02"
    MaskedLM.from_pretrained(hugging_face)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", {"model_type": ["bert"]}, "nlpgen reads: albert, bert"),
        ("config.json", {"position_embedding_type": "relative_key"}, "must be 'absolute'"),
        ("config.json", {"max_position_embeddings": 10**11}, "from 1 to 1,000,000"),
        ("config.json", {"layer_norm_eps": -1.0}, "above 0 and finite"),
        ("tokenizer_config.json", {"do_lower_case": "false"}, "must be true or false"),
    ],
)
def test_settings_that_cannot_be_followed(hugging_face, name, content, message):
    path = hugging_face / name
    old = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(old | content))
    with pytest.raises(ConfigError, match=message):
        MaskedLM.from_pretrained(hugging_face)


@pytest.mark.parametrize("name", [None, "", " ", 3])
def test_no_name_at_all(name):
    with pytest.raises(InputError, match="Give the name of a model or a folder"):
        MaskedLM.from_pretrained(name)


def test_a_file_that_is_nothing(tmp_path):
    (tmp_path / "passwd").write_text("root:x:0")
    with pytest.raises(CheckpointNotFound, match="a file of no kind that nlpgen reads"):
        MaskedLM.from_pretrained(tmp_path / "passwd")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / WEIGHTS).mkdir()
    with pytest.raises(CheckpointCorrupt, match="is a folder where weights are expected"):
        MaskedLM.from_pretrained(tmp_path / "model")


def test_a_type_on_disk_that_cannot_hold_the_weights(bert_folder, tmp_path):
    model = Bert.from_pretrained(bert_folder)
    with pytest.raises(InputError, match=r"must be 'float32', 'float16' or 'bfloat16'. Received: 'int8'"):
        model.save_pretrained(tmp_path / "x", dtype="int8")
    model.embeddings.norm.gamma.assign(np.full(48, 1e6))
    with pytest.raises(InputError, match=r"LayerNorm/gamma` has values up to 1e\+06, too large for float16"):
        model.save_pretrained(tmp_path / "x", dtype="float16")
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # TensorFlow's, seen by pytest.warns
def test_what_convert_leaves_behind_is_said(hugging_face, tmp_path):
    tensors = _all(hugging_face) | {"cls.seq_relationship.weight": np.ones((2, 48), "float32")}
    write_safetensors(hugging_face / WEIGHTS, tensors)
    with pytest.warns(CheckpointWarning, match=r"^1 tensor .* not read: cls.seq_relationship.weight"):
        convert(hugging_face, tmp_path / "out")


@pytest.mark.parametrize("cut", [1, 100, 50_000])
def test_truncated_data(hugging_face, own, cut):
    for folder in (hugging_face, own):
        with open(folder / WEIGHTS, "r+b") as file:
            file.truncate((folder / WEIGHTS).stat().st_size - cut)
    with pytest.raises(CheckpointCorrupt, match=r"promises 228,568 bytes, the file has"):
        MaskedLM.from_pretrained(hugging_face)
    with pytest.raises(CheckpointCorrupt, match=r"model.safetensors: expected .* bytes, found"):
        MaskedLM.from_pretrained(own)


def test_every_bit_flip_in_our_folder_is_found(own):
    generator = np.random.default_rng(0)
    for name in ("config.json", "vocab.txt", WEIGHTS, "manifest.json"):
        original = (own / name).read_bytes()
        for _ in range(20):
            at = int(generator.integers(len(original)))
            change(own / name, at, bytes([original[at] ^ (1 << int(generator.integers(8)))]))
            kinds = (CheckpointCorrupt, ConfigError) if name == "manifest.json" else CheckpointCorrupt
            with pytest.raises(kinds, match="manifest.json" if name == "manifest.json" else f"{name}: sha256 expected"):
                open_folder(own)
            (own / name).write_bytes(original)
    open_folder(own)


def test_files_of_another_model(own, hugging_face):
    shutil.copy(hugging_face / WEIGHTS, own / WEIGHTS)
    (own / "vocab.txt").unlink()
    with pytest.raises(CheckpointCorrupt) as error:
        MaskedLM.from_pretrained(own)
    assert "vocab.txt is missing" in str(error.value)
    assert "model.safetensors: " in str(error.value)


def test_a_newer_format(own):
    manifest = json.loads((own / "manifest.json").read_text())
    (own / "manifest.json").write_text(json.dumps(manifest | {"format_version": 99}))
    with pytest.raises(CheckpointCorrupt, match=r"format version 99.*pip install -U nlpgen"):
        MaskedLM.from_pretrained(own)
    for other in ({"files": {}}, {"tensors": {}}, {"format_version": True}, {"files": {"config.json": {}}}):
        (own / "manifest.json").write_text(json.dumps(manifest | other))
        with pytest.raises(CheckpointCorrupt, match=r"was changed after it was saved"):
            MaskedLM.from_pretrained(own)


def test_tensors_that_are_not_the_manifests(own):
    """The sums are right, but a tensor is not what the manifest lists: a folder put together by other means."""
    manifest = json.loads((own / "manifest.json").read_text())
    manifest["tensors"]["cls/predictions/output_bias"]["shape"] = [285]
    manifest["manifest_sha256"] = _manifest_sha256(manifest)
    (own / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointCorrupt, match=r"output_bias: expected .*\[285\].* found .*\[284\]"):
        MaskedLM.from_pretrained(own)


def test_damaged_tensorflow_checkpoint(tensorflow):
    data = tensorflow / "bert_model.ckpt.data-00000-of-00001"
    index = tensorflow / "bert_model.ckpt.index"
    whole = data.read_bytes()
    change(data, 100_000, b"\xff\xfe\xfd")
    with pytest.raises(CheckpointCorrupt, match=r"cannot be read.*[Cc]hecksum"):
        MaskedLM.from_pretrained(tensorflow)
    data.write_bytes(whole[:-20_000])
    with pytest.raises(CheckpointCorrupt, match="cannot be read"):
        MaskedLM.from_pretrained(tensorflow)
    data.unlink()
    with pytest.raises(CheckpointCorrupt, match=r"not bert_model.ckpt.data-00000-of-00001. Copy all files"):
        MaskedLM.from_pretrained(tensorflow)
    data.write_bytes(whole)
    index.write_bytes(b"x" * 200)
    with pytest.raises(CheckpointCorrupt, match=r"index cannot be read"):
        MaskedLM.from_pretrained(tensorflow)
    index.unlink()
    with pytest.raises(CheckpointNotFound, match=r"holds bert_config.json, .*; expected .*\*.index"):
        MaskedLM.from_pretrained(tensorflow)


def test_two_checkpoints_in_a_folder(tensorflow):
    for path in list(tensorflow.glob("bert_model.ckpt.*")):
        shutil.copy(path, tensorflow / path.name.replace("bert_model", "other"))
    with pytest.raises(CheckpointNotFound, match=r"2 TensorFlow checkpoints: bert_model.ckpt, other.ckpt"):
        MaskedLM.from_pretrained(tensorflow)
    MaskedLM.from_pretrained(tensorflow / "other.ckpt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"hidden_size": 48,}', r"config.json:1:20: not JSON"),
        ("[1]", "holds a list; expected an object"),
        ("[" * 100_000, "nested too deep"),
        ('{"model_type": "bert"}', r"`hidden_size` is missing"),
        ('{"model_type": "brt"}', r"model_type 'brt'. nlpgen reads: albert, bert"),
    ],
    ids=["comma", "list", "deep", "fields", "type"],
)
def test_bad_config(hugging_face, text, message):
    (hugging_face / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        MaskedLM.from_pretrained(hugging_face)


def test_config_with_a_byte_order_mark_or_missing(hugging_face):
    text = (hugging_face / "config.json").read_text()
    (hugging_face / "config.json").write_text("\ufeff" + text, encoding="utf-8")
    MaskedLM.from_pretrained(hugging_face)
    (hugging_face / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"expected one config.json"):
        MaskedLM.from_pretrained(hugging_face)


@pytest.mark.parametrize(
    ("layers", "message"), [(1, "1 layers, but the weights hold 2"), (12, "12 layers, but the weights hold 2")]
)
def test_wrong_layer_count(hugging_face, layers, message):
    _set_config(hugging_face, num_hidden_layers=layers)
    with pytest.raises(WeightsMismatch, match=message):
        MaskedLM.from_pretrained(hugging_face)


def test_the_first_layers_may_be_asked_for(hugging_face):
    assert len(Bert.from_pretrained(hugging_face, num_hidden_layers=1).blocks) == 1


def test_wrong_size(hugging_face):
    _set_config(hugging_face, hidden_size=64)
    with pytest.raises(WeightsMismatch, match=r"expected shape \(284, 64\), but .* has \(284, 48\)"):
        MaskedLM.from_pretrained(hugging_face)


def test_vocabulary_and_embedding(hugging_face):
    lines = (hugging_face / "vocab.txt").read_text().splitlines()
    (hugging_face / "vocab.txt").write_text("\n".join([*lines, "甲", "乙"]) + "\n")
    with pytest.raises(VocabularyError, match=r"286 tokens, but `bert/embeddings/word_embeddings` has 284 rows"):
        MaskedLM.from_pretrained(hugging_face)
    (hugging_face / "vocab.txt").write_text("\n".join(lines[:-2]) + "\n")
    with pytest.warns(CheckpointWarning, match=r"282 tokens, but .* 284 rows: the last ones belong to no token"):
        model = MaskedLM.from_pretrained(hugging_face)
    filled = model.fill_mask("今天[MASK]", top_k=282)
    assert len(filled.candidates[0]) == 282
    _set_config(hugging_face, vocab_size=300)
    (hugging_face / "vocab.txt").write_text("\n".join(lines) + "\n")
    with pytest.warns(CheckpointWarning, match="which count"):
        MaskedLM.from_pretrained(hugging_face)


def test_no_mask_token(hugging_face):
    text = (hugging_face / "vocab.txt").read_text().replace("[MASK]", "[MUSK]")
    (hugging_face / "vocab.txt").write_text(text)
    with pytest.raises(VocabularyError, match=r"no \[MASK\], so the model can fill no masks"):
        MaskedLM.from_pretrained(hugging_face).fill_mask("好[MASK]")


def test_nan_weights(hugging_face):
    tensors = _all(hugging_face)
    tensors["bert.encoder.layer.1.output.dense.weight"][3, 4] = np.nan
    write_safetensors(hugging_face / WEIGHTS, tensors)
    with pytest.raises(NonFiniteWeights, match=r"layer_1/output/dense/kernel: 1 of 4,608 values"):
        MaskedLM.from_pretrained(hugging_face)


def test_missing_head(hugging_face):
    tensors = {name: t for name, t in _all(hugging_face).items() if not name.startswith("cls.")}
    write_safetensors(hugging_face / WEIGHTS, tensors)
    with pytest.raises(WeightsMismatch, match=r"no masked-language-model head.*Bert.from_pretrained"):
        MaskedLM.from_pretrained(hugging_face)
    Bert.from_pretrained(hugging_face)


@pytest.mark.parametrize("what", ["norm", "bias"])
def test_untrained_head(hugging_face, what):
    tensors = _all(hugging_face)
    if what == "norm":
        tensors["cls.predictions.transform.LayerNorm.weight"][:] = 1
        tensors["cls.predictions.transform.LayerNorm.bias"][:] = 0
    else:
        tensors["cls.predictions.bias"][:] = 0
    write_safetensors(hugging_face / WEIGHTS, tensors)
    with pytest.warns(CheckpointWarning, match=r"looks untrained .*noise"):
        MaskedLM.from_pretrained(hugging_face)


def test_missing_shard(hugging_face):
    (hugging_face / WEIGHTS).rename(hugging_face / "model-00001-of-00002.safetensors")
    weight_map = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (hugging_face / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointCorrupt, match=r"missing: model-00002-of-00002.safetensors"):
        MaskedLM.from_pretrained(hugging_face)


def test_an_unknown_format_and_bad_targets(bert_folder, tmp_path):
    model = Bert.from_pretrained(bert_folder)
    with pytest.raises(ValueError, match=r"must be one of 'nlpgen', 'huggingface', 'tensorflow'. Received: 'onnx'"):
        model.save_pretrained(tmp_path / "x", format="onnx")
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        model.save_pretrained(tmp_path / "file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.docx").write_text("x")
    with pytest.raises(OutputError, match=r"holds thesis.docx, which .* would be lost"):
        model.save_pretrained(tmp_path / "full")
    assert (tmp_path / "full" / "thesis.docx").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "full"]


def test_a_full_disk_leaves_the_old_model(own, monkeypatch):
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    model = MaskedLM.from_pretrained(own)
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(OutputError, match=r"needs .* free. Make room"):
        model.save_pretrained(own)
    monkeypatch.undo()

    # Writing itself fails: no file of this process may be larger than 100,000 bytes for a moment.
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        for format in ("nlpgen", "huggingface", "tensorflow"):
            with pytest.raises(OutputError, match=r"could not be written.*intact"):
                model.save_pretrained(own, format=format)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before
    assert [p.name for p in own.parent.iterdir()] == ["own"]


def test_two_processes_that_save_at_once(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (tmp_path / f".out.{other.pid}.abc.new").mkdir()
        with (
            pytest.raises(OutputError, match=rf"written by process {other.pid}"),
            replaced_folder(tmp_path / "out", bool),
        ):
            pass
    finally:
        other.communicate(b"\n")
    with replaced_folder(tmp_path / "out", bool):  # the other one is dead: what it left is removed
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


# Without nlpgen's `__init__`, which loads TensorFlow: 20 starts of it would take minutes.
SAVER = """
import sys, types
for name, folder in (("nlpgen", sys.argv[2]), ("nlpgen.checkpoints", sys.argv[2] + "/checkpoints")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from nlpgen.checkpoints.files import replaced_folder
print("ready", flush=True)
generation = 0
while True:
    generation += 1
    with replaced_folder(sys.argv[1], lambda name: True) as work:
        for name in "abc":
            (work / name).write_text(str(generation) * 2000)
"""


def test_killed_while_saving_leaves_a_whole_folder(tmp_path):
    """20 kills at random moments of a loop that saves without pause."""
    folder = tmp_path / "model"
    with replaced_folder(folder, bool) as work:
        for name in "abc":
            (work / name).write_text("0")
    generator = np.random.default_rng(0)
    package = str(Path(nlpgen.__file__).parent)
    for _ in range(20):
        saver = subprocess.Popen([sys.executable, "-c", SAVER, str(folder), package], stdout=subprocess.PIPE)
        saver.stdout.readline()
        time.sleep(float(generator.uniform(0, 0.03)))
        saver.send_signal(signal.SIGKILL)
        saver.communicate()
        place = folder if folder.exists() else backup_of(folder)
        contents = {(place / name).read_text()[:1] for name in "abc"}
        assert len(contents) == 1
    with replaced_folder(folder, lambda name: True):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_model_is_found_where_a_crash_left_it(own):
    os.rename(own, backup_of(own))
    MaskedLM.from_pretrained(own)


def test_random_damage_never_gives_a_traceback_of_another_kind(hugging_face, tensorflow):
    """100 random flips, cuts and inserts in each file: an error of ours, or tensors of the promised shapes."""
    generator = np.random.default_rng(0)
    for path in (hugging_face / WEIGHTS, hugging_face / "config.json", tensorflow / "bert_model.ckpt.index"):
        original = path.read_bytes()
        for _ in range(100):
            content, at = bytearray(original), int(generator.integers(min(len(original), 6000)))
            kind = generator.integers(3)
            if kind == 0:
                content[at] ^= 1 << int(generator.integers(8))
            elif kind == 1:
                del content[at : at + int(generator.integers(1, 50))]
            else:
                content[at:at] = generator.bytes(3)
            path.write_bytes(content)
            try:
                folder = open_folder(path.parent)
                for name in folder.tensors:
                    assert np.asarray(folder.tensors[name]).shape == tuple(folder.tensors.shape(name))
            except NlpgenError:
                pass
        path.write_bytes(original)


def _all(folder):
    file = open_folder(folder).tensors._tensors
    return {name: file[name].copy() for name in file}


def _set_config(folder, **fields):
    config = json.loads((folder / "config.json").read_text()) | fields
    (folder / "config.json").write_text(json.dumps(config))
