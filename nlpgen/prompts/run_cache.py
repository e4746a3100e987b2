"""Finished runs of a comparison on disk, so that one that was interrupted goes on."""

import hashlib
import json
import os
import re
from pathlib import Path

import numpy as np

from nlpgen.errors import InputError
from nlpgen.version import __version__


class RunCache:
    """A folder with a JSON file for each run, under a fingerprint of all that the run depends on.

    Changed texts, arguments, weights or version of nlpgen make another file. A changed program does not: then give
    another folder.

    Args:
        folder: where; it is made if need be.
    """

    def __init__(self, folder):
        self.folder = Path(folder).expanduser()
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, title, depends_on):
        """The file of a run.

        Args:
            title: how people find it.
            depends_on: anything that `fingerprint` takes.
        """
        name = re.sub(r"[^\w-]+", "-", title)
        return self.folder / f"{name}.{fingerprint([__version__, depends_on])[:16]}.json"

    def read(self, path):
        """What was written to the file, or `None`.

        Raises:
            InputError: if it is no JSON.
        """
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path} is damaged: {error}. Delete it; its run will be made again.") from None

    def write(self, path, value):
        """Write the file; a reader finds all of it or nothing."""
        beside = path.with_name(f".{path.name}.{os.getpid()}.new")
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)


def fingerprint(value):
    """A hexadecimal number that is the same for equal values, and in every process.

    Args:
        value: strings, numbers, arrays, Keras models, lists and dicts of such, objects with such attributes.
    """
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest, value):
    """Tell `digest` the type and content of a value; both ends of a list are told, so that nesting counts."""
    digest.update(f"<{type(value).__module__}.{type(value).__qualname__} ".encode())
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype} {value.shape} ".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, dict):
        for pair in value.items():
            _feed(digest, pair)
    elif isinstance(value, list | tuple):
        for item in value:
            _feed(digest, item)
    elif hasattr(value, "get_params"):
        _feed(digest, value.get_params())
    elif hasattr(value, "get_weights"):
        digest.update(str(getattr(value, "dtype_policy", "")).encode())
        _feed(digest, [np.asarray(weight) for weight in value.get_weights()])
    elif callable(value) and hasattr(value, "__qualname__"):
        digest.update(f"{value.__module__}.{value.__qualname__}".encode())
    elif hasattr(value, "__dict__"):
        _feed(digest, vars(value))
    else:
        digest.update(repr(value).encode())
    digest.update(b">")
