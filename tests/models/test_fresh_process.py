"""Every architecture with every head, saved here and read by a process that knows no more than `import nlpgen`."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from nlpgen import MT5Encoder, T5Encoder
from tests.helpers import SMALL, array, random_weights
from tests.small_models import WITH_EVERY_HEAD, inputs_of, small_model

# All in one process: to start one takes longer than to read all the models.
READER = """
import json, sys
from pathlib import Path

import keras
import numpy as np

import nlpgen

work = Path(sys.argv[1])
for folder in (path for path in work.iterdir() if path.is_dir()):
    x = dict(np.load(folder / "x.npz"))
    cls = getattr(nlpgen, (folder / "class.txt").read_text())
    read = {"keras": keras.saving.load_model(folder / "model.keras"), "folder": cls.from_pretrained(folder / "model")}
    for kind, model in read.items():
        np.save(folder / f"{kind}.npy", keras.ops.convert_to_numpy(model(x)))
masked_lm = keras.saving.load_model(work / "embedded.keras")
(work / "filled.json").write_text(json.dumps(masked_lm.fill_mask(sys.argv[2]).candidates))
"""
TEXT = "今天天气很[MASK]。"
MODELS = {f"{name}-{head}": (name, head) for name, head in WITH_EVERY_HEAD}
ENCODERS = {"t5-encoder": T5Encoder, "mt5-encoder": MT5Encoder}


def make(name):
    if name in MODELS:
        return small_model(*MODELS[name], num_hidden_layers=1)
    cls = ENCODERS[name]
    model = cls(cls.config_class.from_dict(SMALL | {"num_hidden_layers": 1}))
    model.build()
    return random_weights(model)


@pytest.fixture(scope="module")
def work(tmp_path_factory, embedded):
    """A folder for each model, with what it gave here as `out.npy`, and there as `keras.npy` and `folder.npy`."""
    work = tmp_path_factory.mktemp("models")
    for name in (*MODELS, *ENCODERS):
        model, folder = make(name), work / name
        x = inputs_of(model)
        model.save_pretrained(folder / "model")
        model.save(folder / "model.keras")
        (folder / "class.txt").write_text(type(model).__name__)
        np.savez(folder / "x.npz", **x)
        np.save(folder / "out.npy", array(model(x)))
    embedded.save(work / "embedded.keras")
    command = [sys.executable, "-c", READER, str(work), TEXT]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONUTF8": "1"})
    assert done.returncode == 0, done.stderr
    return work


@pytest.mark.parametrize("kind", ["keras", "folder"])
@pytest.mark.parametrize("name", [*MODELS, *ENCODERS])
def test_it_gives_the_same_there(work, name, kind):
    np.testing.assert_array_equal(np.load(work / name / f"{kind}.npy"), np.load(work / name / "out.npy"))


def test_a_keras_file_fills_masks_by_itself(work, embedded):
    """Its tokenizer is in it."""
    (found,) = json.loads((work / "filled.json").read_text())
    (expected,) = embedded.fill_mask(TEXT).candidates
    assert [token for token, _ in found] == [token for token, _ in expected]
    np.testing.assert_allclose([p for _, p in found], [p for _, p in expected], rtol=1e-5)
