"""What works for every architecture, measured on a small model of each: the table of docs/architectures.md.

    python benchmarks/matrix.py --write

A model with random weights that are not small goes through every form and runtime. A mark at "write" says that the
form's own library, TensorFlow or safetensors, finds every weight in the file, bit-equal, under the name of the release.
All others compare outputs on a batch with padding: bit-equal after reading (what transformers wrote, where it has the
architecture), 1e-5 of scale on the other backends and in transformers, 1e-4 in ONNX Runtime, and in bfloat16 finite,
with a row that is all padding, and within 0.1 of scale. `make test-all` checks the same against bert4keras and
transformers, folder by folder; this script is the overview. "(✓)" marks a form that no other program here knows: it is
what our reader makes of our writer's files.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from machine import machine

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]
DOCUMENT = ROOT / "docs" / "architectures.md"
BEGIN, END = "<!-- the table of benchmarks/matrix.py -->", "<!-- its end -->"
COLUMNS = {
    "tensorflow_read": "TF read",
    "tensorflow_write": "TF write",
    "huggingface_read": "HF read",
    "huggingface_write": "HF write",
    "transformers": "= transformers",
    "nlpgen": "our folder",
    "keras": "`.keras`",
    "saved_model": "SavedModel",
    "onnx": "ONNX",
    "bfloat16": "bf16",
    "jax": "= on JAX",
    "torch": "= on PyTorch",
}
LIBRARIES = ("tensorflow", "tensorflow-cpu", "keras", "jax", "torch", "transformers", "onnxruntime")
# transformers 5.23 never had the first and the last, and has NEZHA no more.
NOT_IN_TRANSFORMERS = ("gpt2_ml", "nezha", "roformer_v2")
# By form, the architectures whose files no other program here writes or reads. Of ERNIE with tasks and of RoBERTa we
# know no TensorFlow release: their names are Hugging Face's, by the rule read backwards.
OURS_ALONE = {"tensorflow": ("ernie", "roberta"), "huggingface": NOT_IN_TRANSFORMERS}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the table into docs/architectures.md")
    parser.add_argument("--only", nargs="+", metavar="MODEL_TYPE", help="some architectures; the other rows stay")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        outputs_of_folders(Path(args.worker))
        return
    with tempfile.TemporaryDirectory() as work:
        results = measured(Path(work), args.only)
    head, rows = table(results)
    print("\n".join([*head, *rows]))
    if args.write:
        before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
        old, after = rest.split(END)
        known = {row.split(" | ")[0]: row for row in [*old.splitlines(), *rows] if row.startswith("| `")}
        where = old.splitlines()[-2] if args.only else f"Measured on {machine(*LIBRARIES)}."
        text = "\n".join([BEGIN, "", *head, *sorted(known.values(), key=str.lower), "", where, "", END])
        DOCUMENT.write_text(before + text + after, encoding="utf-8")


def measured(work, only=None):
    """`{architecture: {column: "yes", "—" or what is wrong}}`."""
    from tests.helpers import array
    from tests.small_models import MAIN, inputs_of, small_model

    warnings.filterwarnings("ignore", message=".* has no vocabulary")
    results, chosen = {}, [(name, head) for name, head in MAIN if only is None or name in only]
    for name, head in chosen:
        model = small_model(name, head)
        x = inputs_of(model)
        out = array(model(x))
        model.save_pretrained(work / name / "nlpgen")
        np.savez(work / name / "x.npz", **x)
        np.save(work / name / "tensorflow.npy", out)
        (work / name / "class.txt").write_text(type(model).__name__)
        results[name] = {column: attempt(check, model, x, out, work / name) for column, check in CHECKS.items()}
        print(name, results[name], file=sys.stderr, flush=True)
    for backend in ("jax", "torch"):
        environment = os.environ | {"KERAS_BACKEND": backend}
        done = subprocess.run([sys.executable, __file__, "--worker", str(work)], env=environment, check=False)
        for name, _ in chosen:
            path = work / name / f"{backend}.npy"
            results[name][backend] = (
                compared(np.load(path), np.load(work / name / "tensorflow.npy"), 1e-5)
                if done.returncode == 0 and path.is_file()
                else "no output"
            )
    return results


def outputs_of_folders(work):
    """Write what the saved models give on this process's backend."""
    import keras

    import nlpgen
    from tests.helpers import array

    warnings.filterwarnings("ignore", message=".* has no vocabulary")
    for folder in sorted(work.iterdir()):
        model = getattr(nlpgen, (folder / "class.txt").read_text()).from_pretrained(folder / "nlpgen")
        np.save(folder / f"{keras.config.backend()}.npy", array(model(dict(np.load(folder / "x.npz")))))


def attempt(check, *args):
    try:
        return check(*args)
    except Exception as error:  # the table says so
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def compared(found, expected, tolerance=0.0):
    """ "yes", or by how much of the scale the outputs differ."""
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    if found.shape != expected.shape:
        return f"shape {found.shape}, not {expected.shape}"
    error = np.abs(found - expected).max() / np.abs(expected).max()
    return "yes" if error <= tolerance else f"differs by {error:.1e}"


def tensorflow_write(model, x, out, folder):
    if not model.backbone.tensorflow_form:
        return "—"
    import tensorflow as tf

    from nlpgen.checkpoints import dump_weights

    model.save_pretrained(folder / "tensorflow", format="tensorflow")
    file = tf.train.load_checkpoint(str(folder / "tensorflow" / "bert_model.ckpt"))
    found = {name: file.get_tensor(name) for name in file.get_variable_to_shape_map()}
    return same_tensors(found, dump_weights(model))


def tensorflow_read(model, x, out, folder):
    if not model.backbone.tensorflow_form:
        return "—"
    return read_back(model, x, out, folder / "tensorflow")


def huggingface_write(model, x, out, folder):
    """The names are those of `hugging_face_names`; that they are the right ones is what transformers says."""
    import safetensors.numpy

    from nlpgen.checkpoints import dump_weights
    from nlpgen.checkpoints.hugging_face import to_hugging_face

    model.save_pretrained(folder / "huggingface", format="huggingface")
    found = safetensors.numpy.load_file(folder / "huggingface" / "model.safetensors")
    return same_tensors(found, to_hugging_face(dump_weights(model), model.backbone.hugging_face_names))


def huggingface_read(model, x, out, folder):
    source = folder / "huggingface"
    if model.backbone.model_type not in NOT_IN_TRANSFORMERS:
        peer_of(source).save_pretrained(folder / "transformers")
        source = folder / "transformers"
    return read_back(model, x, out, source)


def nlpgen_folder(model, x, out, folder):
    return read_back(model, x, out, folder / "nlpgen")


def read_back(model, x, out, folder):
    from tests.helpers import array

    model_type = model.backbone.model_type  # TensorFlow's configs do not say it
    return compared(array(type(model).from_pretrained(folder, model_type=model_type)(x)), out)


def same_tensors(found, expected):
    """ "yes", or the tensors that are missing, strange or changed."""
    wrong = found.keys() ^ expected.keys()
    wrong |= {name for name in found.keys() & expected.keys() if not np.array_equal(found[name], expected[name])}
    return f"wrong: {', '.join(sorted(wrong)[:3])}" if wrong else "yes"


def in_transformers(model, x, out, folder):
    if model.backbone.model_type in NOT_IN_TRANSFORMERS:
        return "—"
    import torch

    from nlpgen.models.backbone import INPUTS_THERE

    names = {ours: theirs for theirs, ours in INPUTS_THERE.items()}
    inputs = {names[name]: torch.tensor(value).long() for name, value in x.items()}
    mask = x["token_ids"] != (model.backbone.config.pad_token_id or 0)
    with torch.no_grad():
        logits = peer_of(folder / "huggingface")(**inputs, attention_mask=torch.tensor(mask).long()).logits.numpy()
    if "decoder_token_ids" in x:
        return compared(logits, out, 1e-5)
    return compared(np.where(mask.reshape(*mask.shape, *[1] * (out.ndim - 2)), logits, 0), masked(out, mask), 1e-5)


def peer_of(folder):
    """The model of transformers that a folder is for."""
    import transformers

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return getattr(transformers, config["architectures"][0]).from_pretrained(folder).eval()


def masked(out, mask):
    return np.where(mask.reshape(*mask.shape, *[1] * (out.ndim - 2)), out, 0)


def keras_file(model, x, out, folder):
    """Read in a process of its own, which knows nothing but `import nlpgen`."""
    model.save(folder / "model.keras")
    code = (
        "import sys, keras, numpy as np, nlpgen\n"
        "model = keras.saving.load_model(sys.argv[1] + '/model.keras')\n"
        "out = model(dict(np.load(sys.argv[1] + '/x.npz')))\n"
        "np.save(sys.argv[1] + '/keras.npy', keras.ops.convert_to_numpy(out))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True, cwd=ROOT)
    return compared(np.load(folder / "keras.npy"), out)


def saved_model(model, x, out, folder):
    import tensorflow as tf

    model.export(folder / "saved")
    loaded = tf.saved_model.load(str(folder / "saved"))
    return compared(loaded.serve({name: tf.constant(value) for name, value in x.items()}).numpy(), out, 1e-4)


def onnx(model, x, out, folder):
    import onnxruntime

    model.export(folder / "model.onnx", format="onnx")
    return compared(onnxruntime.InferenceSession(folder / "model.onnx").run(None, x)[0], out, 1e-4)


def bfloat16(model, x, out, folder):
    from keras import ops

    from tests.helpers import array

    half = type(model).from_pretrained(folder / "nlpgen", dtype="mixed_bfloat16")
    empty = {name: np.zeros_like(value) for name, value in x.items()}
    if not np.isfinite(array(ops.cast(half(empty), "float32"))).all():
        return "not finite"
    return compared(array(ops.cast(half(x), "float32")), out, 0.1)


# In the order in which they are made: what is read was written before.
CHECKS = {
    "tensorflow_write": tensorflow_write,
    "tensorflow_read": tensorflow_read,
    "huggingface_write": huggingface_write,
    "huggingface_read": huggingface_read,
    "transformers": in_transformers,
    "nlpgen": nlpgen_folder,
    "keras": keras_file,
    "saved_model": saved_model,
    "onnx": onnx,
    "bfloat16": bfloat16,
}


def table(results):
    """The head and the rows of a Markdown table."""
    from nlpgen import ARCHITECTURES

    head = ["| architecture | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "---|" * len(COLUMNS)]
    lines = []
    for name, result in results.items():
        cells = [cell(name, column, result[column]) for column in COLUMNS]
        lines.append(f"| `{ARCHITECTURES[name].__name__}` | " + " | ".join(cells) + " |")
    return head, lines


def cell(name, column, result):
    """A tick, in brackets where `OURS_ALONE` has the form of the column, or else what came out."""
    if result != "yes":
        return result
    return "(✓)" if name in OURS_ALONE.get(column.split("_")[0], ()) else "✓"


if __name__ == "__main__":
    main()
