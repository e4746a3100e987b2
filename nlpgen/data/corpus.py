"""Read a line corpus: a folder of text files, one text a line, one genre a file.

The last part of each file's lines is held out: it is never trained on, and is what a model is judged by.
"""

import gzip
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nlpgen.errors import InputError

OPENERS = {".xz": lzma.open, ".gz": gzip.open}
SUFFIXES = (".txt", ".txt.xz", ".txt.gz")
HELD_OUT = 0.02
SPLITS = ("train", "held_out", "all")
DAMAGE = (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True)
class Genre:
    """One file of a corpus.

    Attributes:
        name: the file's name without its suffixes.
        path: the file.
    """

    name: str
    path: Path


class Corpus:
    """A folder with `NAME.txt`, `NAME.txt.xz` or `NAME.txt.gz` files; blank lines are no texts.

    Hidden files and those of other suffixes are none of it. Files are streamed: a line at a time is in memory.

    Args:
        folder: where the files are.
        genres: names of the files to read, one or more, without suffix; all by default.
        held_out: the share of the lines at the end of each file that belongs to the split `"held_out"`.

    Raises:
        InputError: if the folder or a genre is missing, a genre is there twice, `genres` is empty, or `held_out` is no
            share.
    """

    def __init__(self, folder, genres=None, held_out=HELD_OUT):
        self.folder = Path(folder).expanduser()
        if not 0 <= held_out < 1:
            raise InputError(f"`held_out` is a share, from 0 to below 1. Received: {held_out}")
        if genres is not None and not genres:
            raise InputError("`genres` is empty. Give names of the corpus's files, or None for all.")
        if not self.folder.is_dir():
            raise InputError(f"There is no folder {self.folder}. Give the folder that holds the corpus's text files.")
        found = [Genre(_stem(path), path) for path in sorted(self.folder.iterdir()) if _stem(path)]
        names = [genre.name for genre in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{self.folder} holds {twice[0]} in two forms. Remove one of them.")
        missing = [name for name in genres or () if name not in names]
        if missing or not found:
            raise InputError(
                f"{self.folder} holds {', '.join(names) or 'no text file'}; expected "
                f"{', '.join(missing) or 'files'} ending in {', '.join(SUFFIXES)}. Correct the name or the folder."
            )
        self.genres = [genre for genre in found if genres is None or genre.name in genres]
        self.held_out = held_out
        self._counts = {}

    @property
    def names(self):
        """The names of the genres, in alphabetical order."""
        return [genre.name for genre in self.genres]

    def count(self, name):
        """How many texts a genre has in both splits (the file is read once for it)."""
        if name not in self._counts:
            self._counts[name] = sum(1 for _ in _lines(self._genre(name).path))
        return self._counts[name]

    def first_held_out(self, name):
        """The number, from 0, of a genre's first held-out text; at least one text is held out if any is."""
        n = self.count(name)
        return n - (max(1, round(n * self.held_out)) if self.held_out and n else 0)

    def lines(self, name, split="train") -> Iterator[str]:
        """The texts of a genre, in the order of the file.

        Args:
            name: the genre.
            split: `"train"`, `"held_out"` or `"all"`.

        Raises:
            InputError: if genre or split is none, a line is not UTF-8 (with file and line), or a file is damaged.
        """
        if split not in SPLITS:
            raise InputError(f"`split` is one of {', '.join(SPLITS)}. Received: {split!r}")
        path = self._genre(name).path
        border = 0 if split == "all" else self.first_held_out(name)
        for i, line in enumerate(_lines(path)):
            if split == "all" or (i < border) == (split == "train"):
                yield line

    def _genre(self, name):
        for genre in self.genres:
            if genre.name == name:
                return genre
        raise InputError(f"The corpus has no genre {name!r}. It has: {', '.join(self.names)}.")


def _stem(path):
    """`prose` of `prose.txt.xz`; empty for what is no text file."""
    name = path.name.lower()
    suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")
    is_text = suffix and not name.startswith(".") and path.is_file()
    return path.name[: -len(suffix)] if is_text else ""


def _lines(path):
    suffix = path.suffix.lower()
    with OPENERS.get(suffix, open)(path, "rb") as file:
        try:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError as error:
                    if suffix in OPENERS:
                        for _ in file:  # damage shows in the checksum at the end only
                            pass
                    raise InputError(
                        f"{path}:{number}: not UTF-8: byte {line[error.start]:#04x} at {error.start} of the line. "
                        "Save the file as UTF-8."
                    ) from None
                if text:
                    yield text
        except DAMAGE as error:
            raise InputError(f"{path} is cut, damaged or no {suffix} file: {error}. Take the file again.") from error
