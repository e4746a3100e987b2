"""Exported models give what the model gives, in runtimes that know nothing of nlpgen."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from nlpgen import GPT2, Bert, BertConfig, CausalLM, GPT2Config, MaskedLM, NextSentence
from nlpgen.errors import InputError, OutputError
from tests.helpers import IDS, SEGMENTS, SMALL, array, assert_close, random_weights
from tests.small_models import NAMES, inputs_of, small_model

tensorflow_only = pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="the TensorFlow backend writes it")
POSITIONS = np.array([[4, 0, 0], [1, 6, 2]], "int32")
MODELS = {
    "bert": (lambda: Bert(BertConfig(**SMALL)), ("token_ids", "segment_ids")),
    "masked_lm": (lambda: MaskedLM(Bert(BertConfig(**SMALL))), None),
    "masked_lm_at": (lambda: MaskedLM(Bert(BertConfig(**SMALL))), ("token_ids", "positions")),
    "masked_lm_condition": (lambda: MaskedLM(Bert(BertConfig(**SMALL, condition_size=3))), ("token_ids", "condition")),
    "unilm": (lambda: MaskedLM(Bert(BertConfig(**SMALL, application="unilm"))), ("token_ids", "segment_ids")),
    "next_sentence": (lambda: NextSentence(Bert(BertConfig(**SMALL))), ("token_ids", "segment_ids")),
    "gpt2": (lambda: CausalLM(GPT2(GPT2Config(**SMALL))), None),
}


def made(name):
    make, inputs = MODELS[name]
    model = make()
    model.build()
    return random_weights(model), inputs


def feed(inputs, rows):
    """Inputs of another batch and length than any that was seen while exporting."""
    condition = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)
    whole = {"token_ids": IDS, "segment_ids": SEGMENTS, "positions": POSITIONS, "condition": condition}
    return {name: np.concatenate([whole[name]] * rows)[: rows + 1] for name in inputs or ("token_ids",)}


@tensorflow_only
@pytest.mark.parametrize("name", MODELS)
def test_onnx(name, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model, inputs = made(name)
    model.export(tmp_path / "model.onnx", format="onnx", inputs=inputs)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for rows in (1, 3):
        x = feed(inputs, rows)
        (out,) = session.run(None, x)
        assert_close(out, array(model(x)), 1e-4)


@tensorflow_only
@pytest.mark.parametrize(("name", "head"), NAMES)
def test_onnx_of_every_architecture(name, head, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = small_model(name, head)
    model.export(tmp_path / "model.onnx", format="onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for rows in (1, 3):
        x = inputs_of(model, rows)
        (out,) = session.run(None, x)
        assert_close(out, array(model(x)), 1e-4)


@tensorflow_only
@pytest.mark.parametrize("name", ["masked_lm_at", "gpt2"])
def test_saved_model_in_a_process_without_nlpgen(name, tmp_path):
    model, inputs = made(name)
    model.export(tmp_path / "saved", inputs=inputs)
    x = feed(inputs, 3)
    np.savez(tmp_path / "x.npz", **x)
    code = (
        "import sys, numpy as np, tensorflow as tf\n"
        f"x = dict(np.load({str(tmp_path / 'x.npz')!r}))\n"
        f"model = tf.saved_model.load({str(tmp_path / 'saved')!r})\n"
        "out = model.serve(x).numpy()\n"
        "assert 'nlpgen' not in sys.modules\n"
        f"np.save({str(tmp_path / 'out.npy')!r}, out)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)
    assert_close(np.load(tmp_path / "out.npy"), array(model(x)), 1e-4)


def test_what_cannot_be_exported_is_said(tmp_path):
    model, _ = made("masked_lm")
    with pytest.raises(InputError, match="`format` must be one of tf_saved_model, onnx"):
        model.export(tmp_path / "x", format="tflite")
    with pytest.raises(InputError, match="`inputs` must be some of token_ids"):
        model.export(tmp_path / "x", inputs=("tokens",))


@tensorflow_only
def test_nothing_is_overwritten_or_half_written(tmp_path):
    model, _ = made("masked_lm")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match=r"mine\.txt"):
        model.export(tmp_path / "there")
    with pytest.raises(OutputError, match="is a folder"):
        model.export(tmp_path / "there", format="onnx")
    half = MaskedLM(Bert(BertConfig(**SMALL), dtype="bfloat16"))
    with pytest.raises(InputError, match="float32"):
        half.export(tmp_path / "half.onnx", format="onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["there"]
