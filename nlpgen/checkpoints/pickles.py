"""PyTorch's pickles, for `nlpgen convert --trust-pickle` alone."""

from pathlib import Path

import numpy as np

from nlpgen.checkpoints.files import kind_of, read_json
from nlpgen.errors import CheckpointCorrupt, CheckpointNotFound, NlpgenError

NAMES = ("pytorch_model.bin", "model.safetensors", "pytorch_model.pt", "model.pt")
INDEX = "pytorch_model.bin.index.json"


class PickledTensors(dict):
    """Tensors of a PyTorch file by name, with the questions that a safetensors file answers."""

    def shape(self, name):
        return self[name].shape

    def dtype(self, name):
        return str(self[name].dtype)


def read_pickles(folder):
    """Read `pytorch_model.bin`, or its shards, through `torch.load(weights_only=True)`.

    Args:
        folder: a Hugging Face folder.

    Returns:
        `PickledTensors`.

    Raises:
        CheckpointNotFound: if there is no such file.
        CheckpointCorrupt: if PyTorch refuses it.
        NlpgenError: if PyTorch is not installed.
    """
    folder = Path(folder)
    if (folder / INDEX).is_file():
        weight_map = read_json(folder / INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
            raise CheckpointCorrupt(f"{folder / INDEX} has no `weight_map` of tensors to files. Take the file again.")
        paths = [folder / name for name in sorted(set(weight_map.values()))]
    else:
        paths = [folder / name for name in NAMES if (folder / name).is_file() and kind_of(folder / name) == "pickle"]
        paths = paths[:1] or sorted(p for p in folder.glob("*.bin") if kind_of(p) == "pickle")[:1]
    if not paths:
        raise CheckpointNotFound(f"{folder} holds no PyTorch pickle. Convert it without `--trust-pickle`.")
    try:
        import torch
    except ImportError:
        raise NlpgenError("Reading a pickle needs PyTorch: pip install 'nlpgen[torch]'") from None
    tensors = PickledTensors()
    for path in paths:
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise CheckpointCorrupt(
                f"{path}: PyTorch refuses to read it as plain weights ({reason}). Do not open it otherwise."
            ) from None
        if not isinstance(loaded, dict):
            raise CheckpointCorrupt(
                f"{path} holds a {type(loaded).__name__}, not a table of tensors. Save its `state_dict()`."
            )
        loaded = loaded.get("state_dict", loaded)
        tensors.update({name: _to_numpy(value) for name, value in loaded.items() if torch.is_tensor(value)})
    return tensors


def _to_numpy(tensor):
    import ml_dtypes
    import torch

    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return np.ascontiguousarray(tensor.numpy())
