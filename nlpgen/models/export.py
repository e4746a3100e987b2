"""A model as a SavedModel or an ONNX file, for programs that have neither nlpgen nor Keras."""

import os
import tempfile
import warnings
from pathlib import Path

import keras

from nlpgen.checkpoints.files import replaced_folder
from nlpgen.errors import InputError, NlpgenError, OutputError

FORMATS = ("tf_saved_model", "onnx")
TYPES = dict.fromkeys(
    ("token_ids", "segment_ids", "position_ids", "positions", "decoder_token_ids", "task_ids"), "int32"
) | dict.fromkeys(("padding_mask", "decoder_padding_mask"), "bool")


def signature_of(model, names):
    """The inputs of a model as Keras' `export` takes them, every length free.

    Raises:
        InputError: if a name is unknown to the model, or the tokens are not there.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    backbone = getattr(model, "backbone", model)
    specs = {name: keras.InputSpec(shape=(None, None), dtype=dtype, name=name) for name, dtype in TYPES.items()}
    size = getattr(backbone.config, "condition_size", None)
    if size is not None:
        specs["condition"] = keras.InputSpec(shape=(None, size), dtype="float32", name="condition")
    if "source" in backbone.input_names:
        specs["source"] = keras.InputSpec(
            shape=(None, None, backbone.config.hidden_size), dtype="float32", name="source"
        )
    known = [name for name in backbone.input_names if name in specs]
    needed = [name for name in ("token_ids", "decoder_token_ids") if name in backbone.export_inputs]
    if not set(needed) <= set(names) <= set(known):
        raise InputError(
            f"`inputs` must be some of {', '.join(known)}, with {' and '.join(needed)} among them. "
            f"Received: {', '.join(names) or 'nothing'}"
        )
    return [{name: specs[name] for name in names}]


def export_saved_model(model, folder, signature, **options):
    """Write a SavedModel whose endpoint `serve` takes a dict; a reader finds all of it or nothing.

    Raises:
        OutputError: if the folder holds something already, or cannot be written.
    """
    with replaced_folder(folder, lambda name: False) as work:
        keras.Model.export(model, work, format="tf_saved_model", input_signature=signature, **options)


def export_onnx(model, path, signature, **options):
    """Write an ONNX file; a reader finds the old one or the new one.

    Raises:
        InputError: if the model does not compute in float32.
        NlpgenError: if a library is missing.
        OutputError: if the file cannot be written.
    """
    if keras.config.backend() != "tensorflow":
        raise InputError(
            "An ONNX file with free lengths is written by the TensorFlow backend: KERAS_BACKEND=tensorflow."
        )
    if model.compute_dtype != "float32":
        raise InputError(f"ONNX needs a float32 model, this one computes in {model.compute_dtype}. Load it so.")
    try:
        import tf2onnx  # noqa: F401
    except ImportError:
        raise NlpgenError("Writing ONNX needs tf2onnx: pip install 'nlpgen[onnx]'") from None
    path = Path(path).expanduser()
    if path.is_dir():
        raise OutputError(f"{path} is a folder. Give the name of a file, e.g. model.onnx.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as work, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of NumPy, inside Keras' repair of tf2onnx
            written = Path(work, "model.onnx")
            keras.Model.export(model, written, format="onnx", input_signature=signature, **options)
            os.replace(written, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error}. Give another place.") from error
