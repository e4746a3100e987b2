"""A model's folder: found, checked, opened, and saved whole or not at all.

Three forms are read and written, and all look alike from inside: a `config.json`, a vocabulary, and tensors under their
TensorFlow names.

- `nlpgen`: `config.json`, `vocab.txt`, `model.safetensors`, and `manifest.json` with the SHA-256 of each file
- `huggingface`: `config.json`, `vocab.txt`, `model.safetensors` (or shards) with PyTorch names
- `tensorflow`: `bert_config.json`, `vocab.txt`, `bert_model.ckpt.*`
"""

import dataclasses
import difflib
import hashlib
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from nlpgen.checkpoints import catalog
from nlpgen.checkpoints.files import (
    check_replaceable,
    existing_folder,
    kind_of,
    read_json,
    refuse_what_is_no_weights,
    replaced_folder,
    sha256,
    write_json,
)
from nlpgen.checkpoints.hugging_face import HuggingFaceTensors, to_hugging_face
from nlpgen.checkpoints.pickles import read_pickles
from nlpgen.checkpoints.safetensors import INDEX, SHARD, WEIGHTS, open_safetensors, write_safetensors, write_shards
from nlpgen.checkpoints.tensorflow import SUFFIX, TensorFlowTensors, checkpoint_prefix, write_tensorflow
from nlpgen.errors import CheckpointCorrupt, CheckpointNotFound, ConfigError, InputError, UnsafeFormat

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
MAX_SHARD_SIZE = 5_000_000_000
FORMATS = ("nlpgen", "huggingface", "tensorflow")
OWN_NAMES = {
    "README.md",
    "bert_config.json",
    "checkpoint",
    "config.json",
    MANIFEST,
    WEIGHTS,
    INDEX,
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
}


@dataclasses.dataclass(frozen=True)
class ModelFolder:
    """An opened folder.

    Attributes:
        path: the folder.
        format: `"nlpgen"`, `"huggingface"` or `"tensorflow"`.
        config: the fields of its config.
        config_path: the file they come from.
        tensors: a mapping from TensorFlow names to arrays, with `shape`, `dtype`, `original` and `unread`.
        type_is_given: whether the `model_type` of the config is the user's, not that of the file.
    """

    path: Path
    format: str
    config: dict
    config_path: Path
    tensors: object
    type_is_given: bool = False

    @property
    def type_source(self):
        """Where the `model_type` comes from, for messages."""
        return "the argument `model_type`" if self.type_is_given else self.config_path

    def with_type(self, model_type):
        """The folder as one of an architecture that the user names; as it is for `None`."""
        if model_type is None:
            return self
        return dataclasses.replace(self, config=self.config | {"model_type": model_type}, type_is_given=True)

    def named_by(self, table):
        """The folder with its tensors under the names of an architecture; see `HuggingFaceTensors`."""
        return dataclasses.replace(self, tensors=self.tensors.named_by(table))


class OwnTensors:
    """The tensors of our own folders, which are named as in TensorFlow already."""

    def __init__(self, file):
        self._file = file
        self.shape, self.dtype = file.shape, file.dtype

    def __contains__(self, name):
        return name in self._file

    def __iter__(self):
        return iter(self._file)

    def __getitem__(self, name):
        return self._file[name]

    def named_by(self, table):
        """These tensors; only PyTorch's names differ by architecture."""
        return self

    def original(self, name):
        """The file's own name of a tensor, or `None`."""
        return name if name in self else None

    def unread(self, used):
        """Names in the file that are not in `used`."""
        return [name for name in self if name not in used]


def open_folder(name_or_folder, trust_pickle=False):
    """Open the folder of a model.

    Args:
        name_or_folder: a name of the catalog, a folder, or a weight file or checkpoint prefix in it.
        trust_pickle: whether PyTorch's pickles may be read.

    Returns:
        A `ModelFolder`.

    Raises:
        InputError: if it is no name or path.
        CheckpointNotFound: if there is nothing, or files are missing.
        CheckpointCorrupt: if a file is not what it should be, or differs from the manifest.
        UnsafeFormat: if the weights are a pickle, and `trust_pickle` is false.
        ConfigError: if the config cannot be read.
    """
    if not isinstance(name_or_folder, str | os.PathLike) or not str(name_or_folder).strip():
        raise InputError(f"Give the name of a model or a folder. Received: {name_or_folder!r:.80}")
    path = _find(name_or_folder)
    folder = path if path.is_dir() else path.parent
    if (folder / MANIFEST).is_file():
        verify(folder)
        return _opened(folder, "nlpgen", OwnTensors(open_safetensors(folder)))
    if trust_pickle:
        return _opened(folder, "huggingface", HuggingFaceTensors(read_pickles(folder)))
    if (folder / WEIGHTS).exists() or (folder / INDEX).exists():
        return _opened(folder, "huggingface", HuggingFaceTensors(open_safetensors(folder)))
    if not path.is_dir() or any(folder.glob("*.index")):
        return _opened(folder, "tensorflow", TensorFlowTensors(path))
    for candidate in sorted(p for p in folder.iterdir() if p.is_file() and p.suffix in (".bin", ".pt", ".pth", ".h5")):
        refuse_what_is_no_weights(candidate)
    raise CheckpointNotFound(
        f"{folder} holds {_listing(folder)}; expected {MANIFEST} (nlpgen), {WEIGHTS} (Hugging Face) or "
        "a TensorFlow checkpoint (*.index and *.data-00000-of-00001). Copy the weights there too."
    )


def verify(folder):
    """Compare every file of one of our folders, and every tensor's name, shape and type, with its manifest.

    Raises:
        CheckpointCorrupt: with all files and tensors that are missing or changed.
    """
    folder = Path(folder)
    path, manifest = folder / MANIFEST, read_json(folder / MANIFEST)
    version = manifest.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        raise CheckpointCorrupt(
            f"{folder} has format version {version}, this nlpgen reads up to {FORMAT_VERSION}. "
            "Install a newer nlpgen: pip install -U nlpgen"
        )
    if manifest.get("manifest_sha256") != _manifest_sha256(manifest):
        raise CheckpointCorrupt(
            f"{path} was changed after it was saved. Take the folder again, or save the model anew."
        )
    files = manifest["files"]
    with ThreadPoolExecutor(2) as pool:
        problems = [problem for problem in pool.map(lambda item: _problem(folder, *item), files.items()) if problem]
    if not problems:
        tensors = open_safetensors(folder)
        found = {name: {"shape": list(tensors.shape(name)), "dtype": tensors.dtype(name)} for name in tensors}
        wanted = manifest["tensors"]
        differ = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
        problems = [f"tensor {name}: expected {wanted.get(name)}, found {found.get(name)}" for name in differ]
    if problems:
        raise CheckpointCorrupt(
            f"{folder} is not as it was saved:\n  " + "\n  ".join(problems) + "\nTake the folder again."
        )


def check_save_target(folder):
    """Refuse at once what `save_folder` would refuse after hours of training.

    Raises:
        OutputError: if `folder` is a file, or holds what belongs to no model.
    """
    check_replaceable(folder, _is_ours)


def save_folder(folder, config, tensors, format="nlpgen", files=None, about=None, table=None, max_shard_size=None):
    """Write a model's folder; a reader finds the old one or the new one, never a part.

    Args:
        folder: where; an existing model folder is replaced.
        config: fields of `config.json`.
        tensors: `{TensorFlow name: array}`.
        format: one of `FORMATS`.
        files: further files, `{name: bytes}`: those of the tokenizer.
        about: further fields of the manifest.
        table: PyTorch's scopes, see `HuggingFaceTensors`.
        max_shard_size: see `PretrainedModel.save_pretrained`.

    Raises:
        InputError: if the format is unknown, or `max_shard_size` does not fit it.
        OutputError: if the folder cannot be written; what was there is intact.
    """
    if format not in FORMATS:
        raise InputError(f"`format` must be one of {', '.join(map(repr, FORMATS))}. Received: {format!r}")
    sized = format == "huggingface" and type(max_shard_size) is int and max_shard_size > 0
    if max_shard_size is not None and not sized:
        raise InputError(
            "`max_shard_size` must be a whole number of bytes, and is for format='huggingface' only. "
            f"Received: {max_shard_size!r}, format={format!r}"
        )
    size = sum(np.asarray(tensor).nbytes for tensor in tensors.values())
    with replaced_folder(folder, _is_ours, needs_bytes=size) as work:
        write_json(work / ("bert_config.json" if format == "tensorflow" else "config.json"), config)
        for name, content in (files or {}).items():
            (work / name).write_bytes(content)
        if format == "tensorflow":
            write_tensorflow(work, tensors)
        elif format == "huggingface":
            write_shards(work, to_hugging_face(tensors, table), max_shard_size or MAX_SHARD_SIZE)
        else:
            write_safetensors(work / WEIGHTS, tensors)
        if format == "nlpgen":
            _carry_card(folder, work)
            write_json(work / MANIFEST, _manifest(work, tensors, about or {}))


def _find(name_or_folder):
    path = existing_folder(os.path.expanduser(name_or_folder))
    if path.exists():
        if path.is_file() and not SUFFIX.search(path.name) and path.name not in (WEIGHTS, INDEX, MANIFEST):
            refuse_what_is_no_weights(path)
            if not checkpoint_prefix(path).with_name(f"{path.name}.index").is_file():
                raise CheckpointNotFound(
                    f"{path} is a file of no kind that nlpgen reads. Give the folder of the model, or the prefix of a "
                    "TensorFlow checkpoint."
                )
        return path
    if checkpoint_prefix(path).with_name(checkpoint_prefix(path).name + ".index").is_file():
        return path
    named = catalog.find(str(name_or_folder))
    if named is not None:
        return named
    if catalog.find(str(name_or_folder), catalog.TEXT_VAE):
        raise CheckpointNotFound(f"{name_or_folder} is a text auto-encoder: TextVAE.load and `nlpgen vae` read it.")
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside + catalog.names(), n=3, cutoff=0.5)
    raise CheckpointNotFound(
        f"There is no model at {name_or_folder}."
        + (f" Did you mean {', '.join(near)}?" if near else "")
        + f" Give a folder, or one of the embedded models: {', '.join(catalog.names()) or 'none'}."
    )


def _opened(folder, format, tensors):
    config_path = _config_path(folder)
    return ModelFolder(
        path=folder,
        format=format,
        config=read_json(config_path),
        config_path=config_path,
        tensors=tensors,
    )


def _config_path(folder):
    for name in ("config.json", "bert_config.json", "mega.json"):  # the last is GPT2-ML's
        if (folder / name).is_file():
            return folder / name
    others = sorted(p for p in folder.glob("*config*.json") if p.name != "tokenizer_config.json")
    if len(others) == 1:
        return others[0]
    raise ConfigError(
        f"{folder} holds {_listing(folder)}; expected one config.json or bert_config.json with the fields of the "
        "model. Copy it there from the release."
    )


def _problem(folder, name, entry):
    path = folder / name
    if path.parent != folder or not path.is_file():
        return f"{name} is missing"
    size = path.stat().st_size
    if size != entry["bytes"]:
        kind = kind_of(path)
        if kind == "pickle":
            raise UnsafeFormat(f"{path} is a pickle, not the file that was saved. Take the folder again.")
        return f"{name}: expected {entry['bytes']:,} bytes, found {size:,}" + (f" ({kind})" if kind != "other" else "")
    found = sha256(path)
    return None if found == entry["sha256"] else f"{name}: sha256 expected {entry['sha256']}, found {found}"


def _manifest_sha256(manifest):
    """Of everything in it but this sum itself."""
    rest = {name: value for name, value in manifest.items() if name != "manifest_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _manifest(work, tensors, about):
    manifest = {
        "format": "nlpgen",
        "format_version": FORMAT_VERSION,
        **about,
        "files": {
            path.name: {"sha256": sha256(path), "bytes": path.stat().st_size}
            for path in sorted(work.iterdir())
            if path.name != "README.md"  # a card may be edited
        },
        "parameters": sum(math.prod(tensor.shape) for tensor in tensors.values()),
        "tensors": {
            name: {"shape": list(tensor.shape), "dtype": str(tensor.dtype)} for name, tensor in sorted(tensors.items())
        },
    }
    return manifest | {"manifest_sha256": _manifest_sha256(manifest)}


def _carry_card(folder, work):
    """Keep the model card of a folder that is saved again."""
    card = Path(folder).expanduser() / "README.md"
    if card.is_file():
        (work / "README.md").write_bytes(card.read_bytes())


def _is_ours(name):
    return name in OWN_NAMES or SUFFIX.search(name) is not None or SHARD.fullmatch(name) is not None


def _listing(folder):
    names = sorted(p.name for p in folder.iterdir())
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "") if names else "nothing"
