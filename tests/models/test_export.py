"""Exported models give what the model gives, in runtimes that know nothing of nlpgen."""

import subprocess
import sys
from functools import partial

import keras
import numpy as np
import pytest

from nlpgen.errors import InputError, OutputError
from tests.helpers import IDS, SEGMENTS, TARGET_IDS, array, assert_close
from tests.small_models import MAIN, OF_BERT, inputs_of, small_model

pytestmark = pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="the TensorFlow backend writes both")
# One export of each architecture, one of each head, and what other inputs a graph may have.
MODELS = {f"{name}-{head}": partial(small_model, name, head) for name, head in dict.fromkeys([*MAIN, *OF_BERT])}
POSITIONS, PLACES = np.array([[4, 0, 0], [1, 6, 2]], "int32"), np.arange(14, dtype="int32").reshape(2, 7) % 5
OTHER_INPUTS = [
    ("bert", "masked_lm", {"positions": POSITIONS}, {}),
    ("bert", "masked_lm", {"condition": np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)}, {"condition_size": 3}),
    ("bert", "masked_lm", {"segment_ids": SEGMENTS}, {"application": "unilm"}),
    ("bert", "masked_lm", {"position_ids": PLACES, "padding_mask": PLACES != 3}, {}),
    ("ernie", "masked_lm", {"segment_ids": SEGMENTS, "task_ids": SEGMENTS + 1}, {}),
    ("openai-gpt", "causal_lm", {"segment_ids": IDS, "position_ids": PLACES}, {"shared_segment_embeddings": True}),
    ("llama", "causal_lm", {"position_ids": PLACES, "padding_mask": PLACES != 3}, {}),
    ("t5", "seq2seq_lm", {"decoder_token_ids": TARGET_IDS, "decoder_padding_mask": PLACES != 3}, {}),
    (
        "t5",
        "seq2seq_lm",
        {"decoder_token_ids": TARGET_IDS, "source": np.linspace(-2, 2, 224, dtype="float32").reshape(2, 7, 16)},
        {},
    ),
]
# All in one process: to start one takes longer than to read all the models.
READER = """
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

for folder in Path(sys.argv[1]).iterdir():
    model = tf.saved_model.load(str(folder / "saved"))
    np.save(folder / "found.npy", model.serve(dict(np.load(folder / "x.npz"))).numpy())
assert "nlpgen" not in sys.modules
"""


def check_onnx(model, inputs, feeds, path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model.export(path, format="onnx", inputs=inputs)
    session = onnxruntime.InferenceSession(path)
    for x in feeds:
        (out,), expected = session.run(None, x), array(model(x))
        seen = expected > -1e8  # not the pairs that a span tagger masks by -1e9
        np.testing.assert_array_equal(out[~seen], expected[~seen])
        assert_close(out[seen], expected[seen], 1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_onnx(name, tmp_path):
    model = MODELS[name](num_hidden_layers=1)
    check_onnx(model, None, [inputs_of(model, 1), inputs_of(model, 3, length=5)], tmp_path / "model.onnx")


@pytest.mark.parametrize(("name", "head", "inputs", "options"), OTHER_INPUTS)
def test_onnx_with_other_inputs(name, head, inputs, options, tmp_path):
    """Each of them changes what comes out, where it may be left out."""
    model = small_model(name, head, num_hidden_layers=1, **options)
    x = {"token_ids": IDS, **inputs}
    expected = array(model(x))
    needed = {"condition", "segment_ids"} if options.keys() & {"condition_size", "application"} else set()
    for left_out in inputs.keys() - needed - {"decoder_token_ids"}:
        other = array(model({name: value for name, value in x.items() if name != left_out}))
        assert other.shape != expected.shape or np.abs(other - expected).max() > 1e-3
    feeds = [{name: value[:1] for name, value in x.items()}, {name: np.concatenate([v] * 2) for name, v in x.items()}]
    check_onnx(model, tuple(x), feeds, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("name", "head", "options", "expected"),
    [
        ("bert", "next_sentence", {}, "token_ids segment_ids"),
        ("bert", "masked_lm", {"type_vocab_size": 0}, "token_ids"),
        ("bert", "masked_lm", {"type_vocab_size": 0, "shared_segment_embeddings": True}, "token_ids segment_ids"),
        ("roformer_v2", "classifier", {}, "token_ids segment_ids"),
        ("roberta", "masked_lm", {"type_vocab_size": 1}, "token_ids"),
        ("openai-gpt", "causal_lm", {}, "token_ids"),
        ("openai-gpt", "causal_lm", {"type_vocab_size": 3}, "token_ids segment_ids"),
        ("llama", "classifier", {}, "token_ids"),
        ("t5", "seq2seq_lm", {}, "token_ids decoder_token_ids"),
        ("t5", "classifier", {}, "token_ids"),
    ],
)
def test_segments_are_exported_where_there_are_some(name, head, options, expected):
    assert " ".join(small_model(name, head, **options).export_inputs) == expected


def test_onnx_of_a_backbone(tmp_path):
    model = small_model("bert", "masked_lm", num_hidden_layers=1).backbone
    x = {"token_ids": IDS, "segment_ids": SEGMENTS}
    check_onnx(model, tuple(x), [x], tmp_path / "model.onnx")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder for each model, with what it gives here as `out.npy` and in another process as `found.npy`."""
    work = tmp_path_factory.mktemp("saved")
    for name, head in MAIN:
        model, folder = small_model(name, head, num_hidden_layers=1), work / name
        x = inputs_of(model, 3, length=5)
        model.export(folder / "saved")
        np.savez(folder / "x.npz", **x)
        np.save(folder / "out.npy", array(model(x)))
    done = subprocess.run([sys.executable, "-c", READER, str(work)], cwd=work, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return work


@pytest.mark.parametrize("name", [name for name, _ in MAIN])
def test_saved_model_in_a_process_without_nlpgen(saved, name):
    assert_close(np.load(saved / name / "found.npy"), np.load(saved / name / "out.npy"), 1e-4)


def test_what_cannot_be_exported_is_said(tmp_path):
    model = small_model("bert", "masked_lm")
    with pytest.raises(InputError, match="`format` must be one of tf_saved_model, onnx"):
        model.export(tmp_path / "x", format="tflite")
    for names, received in (
        (("tokens",), "tokens"),
        (("token_ids", "task_ids"), "token_ids, task_ids"),
        ("segment_ids", "segment_ids"),
        ((), "nothing"),
    ):
        with pytest.raises(
            InputError, match=rf"`inputs` must be some of token_ids, .*, with token_ids among .*: {received}$"
        ):
            model.export(tmp_path / "x", inputs=names)
    with pytest.raises(InputError, match="with token_ids and decoder_token_ids among them"):
        small_model("t5", "seq2seq_lm").export(tmp_path / "x", inputs="token_ids")


def test_nothing_is_overwritten_or_half_written(tmp_path):
    model = small_model("bert", "masked_lm")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match=r"mine\.txt"):
        model.export(tmp_path / "there")
    with pytest.raises(OutputError, match="is a folder"):
        model.export(tmp_path / "there", format="onnx")
    half = small_model("bert", "masked_lm", dtype="bfloat16")
    with pytest.raises(InputError, match="float32"):
        half.export(tmp_path / "half.onnx", format="onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["there"]
