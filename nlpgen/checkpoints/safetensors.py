"""safetensors files, and Hugging Face's names under TensorFlow's.

Everything inside nlpgen is named as in the TensorFlow releases. `HuggingFaceTensors` answers for those names out of a
file with PyTorch names, and `to_hugging_face` is the way back.
"""

import json
import re
import struct
from pathlib import Path

import ml_dtypes  # noqa: F401  (makes bfloat16 a NumPy type)
import numpy as np
import safetensors
import safetensors.numpy

from nlpgen.checkpoints.files import read_json, refuse_what_is_no_weights
from nlpgen.errors import CheckpointCorrupt, CheckpointNotFound

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000
# PyTorch's leaf → how else files spell it: the names of before 2020, and the alias of the tied head.
OTHER_SPELLINGS = {
    "LayerNorm.weight": "LayerNorm.gamma",
    "LayerNorm.bias": "LayerNorm.beta",
    "cls.predictions.bias": "cls.predictions.decoder.bias",
}
TIED = {
    "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


class SafetensorsFile:
    """The tensors of one safetensors file, read when asked for.

    Raises:
        CheckpointCorrupt, UnsafeFormat: if it is no such file, saying what it is.
    """

    def __init__(self, path):
        self.path = Path(path)
        refuse_what_is_no_weights(self.path)
        _check_size(self.path)
        try:
            self._file = safetensors.safe_open(self.path, framework="numpy")
        except safetensors.SafetensorError as error:
            raise CheckpointCorrupt(f"{self.path} is no safetensors file: {error}. Take the file again.") from None
        self._names = set(self._file.keys())

    def __contains__(self, name):
        return name in self._names

    def __iter__(self):
        return iter(sorted(self._names))

    def __len__(self):
        return len(self._names)

    def __getitem__(self, name):
        return self._file.get_tensor(name)

    def shape(self, name):
        """Shape of a tensor, without reading it."""
        return tuple(self._file.get_slice(name).get_shape())

    def dtype(self, name):
        """NumPy name of a tensor's type, without reading it."""
        kinds = {"F": "float", "I": "int", "U": "uint", "BF": "bfloat", "BOOL": "bool"}
        letters, bits = re.fullmatch(r"([A-Z]+)(\d*).*", self._file.get_slice(name).get_dtype()).groups()
        return kinds[letters] + bits


class ShardedTensors:
    """The tensors of several files under one index (`model.safetensors.index.json`)."""

    def __init__(self, index):
        index = Path(index)
        weight_map = read_json(index).get("weight_map")
        if not isinstance(weight_map, dict):
            raise CheckpointCorrupt(f"{index} has no `weight_map`. Take the file again.")
        missing = sorted({name for name in weight_map.values() if not (index.parent / name).is_file()})
        if missing:
            raise CheckpointCorrupt(f"{index} names files that are missing: {', '.join(missing)}. Copy them too.")
        files = {name: SafetensorsFile(index.parent / name) for name in sorted(set(weight_map.values()))}
        self._file_of = {tensor: files[name] for tensor, name in weight_map.items()}
        absent = [tensor for tensor, file in self._file_of.items() if tensor not in file]
        if absent:
            raise CheckpointCorrupt(
                f"{index} promises {absent[0]} in {self._file_of[absent[0]].path.name}, which does not have it "
                f"({len(absent)} such tensors). The files are of different models: copy all again."
            )

    def __contains__(self, name):
        return name in self._file_of

    def __iter__(self):
        return iter(sorted(self._file_of))

    def __len__(self):
        return len(self._file_of)

    def __getitem__(self, name):
        return self._file_of[name][name]

    def shape(self, name):
        return self._file_of[name].shape(name)

    def dtype(self, name):
        return self._file_of[name].dtype(name)


class HuggingFaceTensors:
    """Tensors with PyTorch names, asked for by TensorFlow names.

    Knows the old `gamma`/`beta`, the alias of the head's bias, and bare models without the `bert.` prefix.

    Args:
        tensors: a mapping from PyTorch names to arrays.
    """

    def __init__(self, tensors):
        self._tensors = tensors

    def __contains__(self, name):
        return self.original(name) is not None

    def __iter__(self):
        return iter(tf_name(name) for name in self._tensors)

    def __getitem__(self, name):
        tensor = self._tensors[self.original(name)]
        return tensor.T if name.endswith("/kernel") else tensor

    def shape(self, name):
        shape = self._tensors.shape(self.original(name))
        return shape[::-1] if name.endswith("/kernel") else shape

    def dtype(self, name):
        return self._tensors.dtype(self.original(name))

    def original(self, name):
        """The file's own name of a tensor, or `None`."""
        spelled = torch_name(name)
        spellings = [spelled]
        for ending, other in OTHER_SPELLINGS.items():
            if spelled.endswith(ending):
                spellings.append(spelled.removesuffix(ending) + other)
        for candidate in spellings + [s.partition(".")[2] for s in spellings if not s.startswith("cls.")]:
            if candidate in self._tensors:
                return candidate
        return None

    def unread(self, used):
        """Names in the file that no name in `used` stands for, save copies of tied weights."""
        taken = {self.original(name) for name in used}
        return [name for name in self._tensors if name not in taken and not self._is_copy(name)]

    def _is_copy(self, name):
        if name not in TIED:
            return False
        twins = [other for other in self._tensors if other.endswith(TIED[name])]
        return any(np.array_equal(self._tensors[name], self._tensors[twin]) for twin in twins)


def torch_name(name):
    """Spell a TensorFlow tensor name as Hugging Face's PyTorch ports of it do.

    >>> torch_name("bert/encoder/layer_0/output/dense/kernel")
    'bert.encoder.layer.0.output.dense.weight'
    """
    *scope, leaf = re.sub(r"layer_(\d+)", r"layer/\1", name).split("/")
    leaf = {
        "kernel": "weight",
        "gamma": "weight",
        "beta": "bias",
        "output_bias": "bias",
        "output_weights": "weight",
    }.get(leaf, leaf)
    if leaf.endswith("_embeddings"):
        leaf += ".weight"
    return ".".join([*scope, leaf])


def tf_name(name):
    """A guess at the TensorFlow spelling of a PyTorch name, to recognise an architecture by.

    >>> tf_name("bert.encoder.layer.0.output.dense.weight")
    'bert/encoder/layer_0/output/dense/kernel'
    """
    name = re.sub(r"layer\.(\d+)", r"layer_\1", name)
    name = re.sub(r"LayerNorm\.(weight|gamma)$", "LayerNorm.gamma", name)
    name = re.sub(r"LayerNorm\.(bias|beta)$", "LayerNorm.beta", name)
    name = re.sub(r"_embeddings\.weight$", "_embeddings", name)
    name = re.sub(r"^cls\.(\w+)\.(?:decoder\.)?bias$", r"cls.\1.output_bias", name)
    name = re.sub(r"^cls\.seq_relationship\.weight$", "cls.seq_relationship.output_weights", name)
    return re.sub(r"\.weight$", ".kernel", name).replace(".", "/")


def to_hugging_face(tensors):
    """TensorFlow names and layout to PyTorch names and layout."""
    return {
        torch_name(name): np.ascontiguousarray(tensor.T) if name.endswith("/kernel") else tensor
        for name, tensor in tensors.items()
    }


def write_safetensors(path, tensors):
    """Write a file with sorted names, so that equal tensors make equal files."""
    safetensors.numpy.save_file(dict(sorted(tensors.items())), path, metadata={"format": "pt"})
    Path(path).chmod(0o644)  # the library makes files that only their owner can read


def open_safetensors(folder):
    """Open `model.safetensors` of a folder, or its shards.

    Raises:
        CheckpointNotFound: if there is neither.
    """
    folder = Path(folder)
    if (folder / WEIGHTS).exists():
        return SafetensorsFile(folder / WEIGHTS)
    if (folder / INDEX).exists():
        return ShardedTensors(folder / INDEX)
    raise CheckpointNotFound(f"{folder} has no {WEIGHTS} and no {INDEX}.")


def _check_size(path):
    """Compare what the header promises with what the file has; the library's own messages do not say it."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        first = file.read(8)
        if len(first) < 8:
            raise CheckpointCorrupt(f"{path} has {size} bytes, too few for weights. Take the file again.")
        (length,) = struct.unpack("<Q", first)
        if length > MAX_HEADER_BYTES:
            raise CheckpointCorrupt(
                f"{path} is no safetensors file: it would have a header of {length:,} bytes, more than "
                f"{MAX_HEADER_BYTES:,}. Take the file again."
            )
        if 8 + length > size:
            raise CheckpointCorrupt(
                f"{path} is cut inside its header: expected {8 + length:,} bytes of it, found {size:,}. "
                "Take the file again."
            )
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise CheckpointCorrupt(f"{path} has a damaged header (no JSON). Take the file again.") from None
    promised = 8 + length + max(ends, default=0)
    if promised != size:
        raise CheckpointCorrupt(
            f"{path}: the header promises {promised:,} bytes, the file has {size:,}. Take the file again."
        )
