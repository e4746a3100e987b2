"""safetensors files, one or several under an index."""

import json
import re
import struct
from pathlib import Path

import ml_dtypes  # noqa: F401  (makes bfloat16 a NumPy type)
import numpy as np
import safetensors
import safetensors.numpy

from nlpgen.checkpoints.files import read_json, refuse_what_is_no_weights, write_json
from nlpgen.errors import CheckpointCorrupt, CheckpointNotFound

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
MAX_HEADER_BYTES = 100_000_000


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
        name = self._file.get_slice(name).get_dtype()
        letters, bits = re.fullmatch(r"([A-Z]+)(\d*).*", name).groups()
        return kinds.get(letters, letters.lower()) + bits


class ShardedTensors:
    """The tensors of several files under one index (`model.safetensors.index.json`)."""

    def __init__(self, index):
        index = Path(index)
        weight_map = read_json(index).get("weight_map")
        if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
            raise CheckpointCorrupt(f"{index} has no `weight_map` of tensors to files. Take the file again.")
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


def write_safetensors(path, tensors):
    """Write a file with sorted names, so that equal tensors make equal files.

    Raises:
        OSError: if it cannot be written.
    """
    try:
        # The library writes the memory of an array in its own order, whatever its strides say.
        ordered = {name: np.asarray(tensor, order="C") for name, tensor in sorted(tensors.items())}
        safetensors.numpy.save_file(ordered, path, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:  # a full disk, say
        raise OSError(str(error)) from error
    Path(path).chmod(0o644)  # the library makes files that only their owner can read


def write_shards(folder, tensors, max_bytes):
    """Write `model.safetensors`, or several files and their index where it would hold more than `max_bytes`.

    Tensors go into files in the order of their names; one that is larger than `max_bytes` has a file of its own.

    Raises:
        OSError: if they cannot be written.
    """
    shards, size = [{}], 0
    for name, tensor in sorted(tensors.items()):
        if shards[-1] and size + tensor.nbytes > max_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    if len(shards) == 1:
        write_safetensors(folder / WEIGHTS, tensors)
        return
    files = {f"model-{i:05}-of-{len(shards):05}.safetensors": shard for i, shard in enumerate(shards, 1)}
    for file, shard in files.items():
        write_safetensors(folder / file, shard)
    total = sum(tensor.nbytes for tensor in tensors.values())
    weight_map = {name: file for file, shard in files.items() for name in shard}
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})


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
