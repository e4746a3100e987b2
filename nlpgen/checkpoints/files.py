"""What lies on disk: what a file really is, JSON with good errors, folders saved whole or not at all."""

import contextlib
import glob
import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path

import numpy as np

from nlpgen.errors import CheckpointCorrupt, ConfigError, OutputError, UnsafeFormat

MAX_JSON_BYTES = 10_000_000
BACKUP = ".{name}.previous"


def kind_of(path):
    """What a weight file is by its first bytes, whatever its name.

    Returns:
        One of `"empty"`, `"pickle"`, `"git-lfs"`, `"web page"`, `"hdf5"`, `"zip"`, `"other"`; a PyTorch archive is a
        pickle.
    """
    with open(path, "rb") as file:
        head = file.read(512)
    if not head:
        return "empty"
    if head.startswith(b"version https://git-lfs"):
        return "git-lfs"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b'{"error', b'{"message')):
        return "web page"
    if head.startswith(b"PK\x03\x04"):
        return "pickle" if b"data.pkl" in head or b"/version" in head or b"/byteorder" in head else "zip"
    starts_pickle = head[0] == 0x80 and head[1:2] <= b"\x05" and head[8:9] != b"{"  # `{` opens safetensors' header
    if starts_pickle or any(module in head for module in (b"ctorch", b"cposix", b"cbuiltins")):
        return "pickle"
    return "hdf5" if head.startswith(b"\x89HDF\r\n\x1a\n") else "other"


def refuse_what_is_no_weights(path):
    """Raise the error that says what the file is instead of weights; return if nothing speaks against it."""
    path = Path(path)
    if path.is_dir():
        raise CheckpointCorrupt(f"{path} is a folder where weights are expected. Take the file again.")
    kind = kind_of(path)
    if kind == "empty":
        raise CheckpointCorrupt(f"{path} has 0 bytes. Take the file again.")
    if kind == "git-lfs":
        raise CheckpointCorrupt(
            f"{path} is a Git LFS pointer{_lfs_details(path)}, not the weights themselves. "
            "Run `git lfs pull` where it came from, then copy the file again."
        )
    if kind == "web page":
        start = path.read_bytes()[:40].decode("utf-8", "replace")
        raise CheckpointCorrupt(
            f"{path} starts with {start!r}: a web page or an error message, not weights. Download the file again."
        )
    if kind == "pickle":
        raise UnsafeFormat(
            f"{path} is a pickle (a PyTorch file), which can run code when it is read. Convert it once, if you trust "
            f"where it comes from: nlpgen convert --trust-pickle {path.parent} NEW_FOLDER"
        )
    if kind in ("hdf5", "zip"):
        raise CheckpointCorrupt(
            f"{path} is a {kind.upper()} file, not safetensors. "
            "Export the model as safetensors or as a TensorFlow checkpoint."
        )


def read_json(path):
    """Read a JSON object.

    Raises:
        ConfigError: if it is no JSON (with line and column), no object, over 10 MB, or nested too deep.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise ConfigError(f"{path} has {size:,} bytes; a config has at most {MAX_JSON_BYTES:,}. Is it the right file?")
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}. Mend the file there.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start}). Save it as UTF-8.") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deep for a config. Is it the right file?") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{path} holds a {type(value).__name__}; expected an object with the fields of the model.")
    return value


def write_json(path, value):
    """Write JSON that a person can read."""
    text = json.dumps(value, ensure_ascii=False, indent=1, default=plain_number)
    Path(path).write_text(text + "\n", encoding="utf-8")


def plain_number(value):
    """Python's number for one of NumPy's, which JSON does not know: what `json.dumps` takes as `default`."""
    if isinstance(value, np.number):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def sha256(path):
    """The hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_replaceable(folder, is_ours):
    """Refuse a folder that `replaced_folder` may not replace, see there.

    Raises:
        OutputError: if `folder` is a file or holds something else.
    """
    folder = Path(folder).expanduser()
    if folder.is_file():
        raise OutputError(f"{folder} is a file. Give the name of a folder.")
    if folder.is_dir():
        foreign = sorted(p.name for p in folder.iterdir() if not is_ours(f"{p.name}/" if p.is_dir() else p.name))
        if foreign:
            raise OutputError(
                f"{folder} holds {', '.join(foreign[:3])}, which belongs to no model of this kind and would be lost. "
                "Give a new or empty folder."
            )


@contextlib.contextmanager
def replaced_folder(folder, is_ours, needs_bytes=0):
    """Yield a new folder beside `folder` that takes its place when the block ends without an error.

    Written beside, synced, renamed: a reader finds the old folder or the new one. Between the two renames the old
    one stands at `backup_of(folder)`, where `existing_folder` finds it after a crash.

    Args:
        folder: where the result shall be.
        is_ours: function from the name of a file, or of a folder with `/` behind it, to whether the result has such a
            one; a folder with others in it is not replaced.
        needs_bytes: size of what will be written; checked against the free space.

    Raises:
        OutputError: if `folder` cannot be written or holds something else, with the old folder intact.
    """
    folder = Path(folder).expanduser()
    parent = folder.absolute().parent
    check_replaceable(folder, is_ours)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _recover(folder)
        free = shutil.disk_usage(parent).free
        if free < 1.2 * needs_bytes:
            raise OutputError(f"{folder} needs {needs_bytes:,} bytes, but {parent} has {free:,} free. Make room.")
        work = _work_folder(folder)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{folder} cannot be written: {error}. Give another place.") from error
    try:
        yield work
        for path in work.iterdir():
            _sync(path)
        work.chmod(0o755)
        _sync(work)
        if folder.exists():
            os.rename(folder, backup_of(folder))
        os.rename(work, folder)
        _sync(parent)
        shutil.rmtree(backup_of(folder), ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{folder} could not be written: {error}. What was there before is intact.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        _recover(folder)


def backup_of(folder):
    """Where the previous folder stands while it is replaced."""
    folder = Path(folder).absolute()
    return folder.parent / BACKUP.format(name=folder.name)


def existing_folder(folder):
    """The folder, or the previous one where a crash fell between the two renames of `replaced_folder`."""
    folder = Path(folder)
    return backup_of(folder) if not folder.exists() and backup_of(folder).is_dir() else folder


def _work_folder(folder):
    """Make `.NAME.PID.RANDOM.new` beside the folder; remove those of dead processes, and stop at a living one's."""
    parent = folder.absolute().parent
    for path in parent.glob(f".{glob.escape(folder.name)}.*.*.new"):
        pid = path.name.split(".")[-3]
        if pid == str(os.getpid()):  # another thread's
            continue
        if pid.isdigit() and _is_alive(int(pid)):
            raise OutputError(
                f"{folder} is being written by process {pid}. Wait for it, or give another place; if there is no such "
                f"save, delete {path}."
            )
        shutil.rmtree(path, ignore_errors=True)
    work = parent / f".{folder.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.new"
    work.mkdir()
    return work


def _is_alive(pid):
    if os.name == "nt":  # there, signal 0 is Ctrl-C
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _recover(folder):
    backup = backup_of(folder)
    if backup.is_dir():
        if Path(folder).exists():
            shutil.rmtree(backup, ignore_errors=True)
        else:
            os.rename(backup, folder)


def _sync(path):
    if os.name == "nt" and path.is_dir():  # there, a folder cannot be synced
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lfs_details(path):
    fields = dict(line.split(" ", 1) for line in path.read_text("utf-8", "replace").splitlines() if " " in line)
    if "size" not in fields:
        return ""
    return f" ({fields.get('oid', '?')}, real size {fields['size']} bytes)"
