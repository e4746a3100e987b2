"""A folder of text files as passages that say where they come from."""

import os
from dataclasses import dataclass
from pathlib import Path

from nlpgen.errors import InputError

SUFFIXES = (".txt", ".md")
LONGEST = 400  # characters of a passage; a longer paragraph is cut behind a sentence


@dataclass(frozen=True)
class Document:
    """A passage of a file.

    Attributes:
        text: the passage.
        path: its file.
        line: where it begins, counted from 1.
    """

    text: str
    path: Path
    line: int


def read_documents(folder):
    """The paragraphs of the text files (`.txt`, `.md`) in a folder and all below it, but for hidden ones such as in
    `.git`; files are read in UTF-8.

    A paragraph ends at the end of its line; short neighbours are one passage, up to 400 characters.

    Args:
        folder: the folder, or one file.

    Returns:
        A list of `Document`, by path and line.

    Raises:
        InputError: if there is no such folder, nothing in it to read, or a file is not UTF-8; with all such files.
    """
    folder = Path(os.path.expanduser(folder))
    if not folder.exists():
        raise InputError(f"There is no {folder}. Give a folder of text files.")
    files = [folder] if folder.is_file() else sorted(p for p in folder.rglob("*") if _is_text(p, folder))
    documents, problems = [], []
    for path in files:
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            problems.append(f"{path}: byte {error.start}")
            continue
        documents += [Document(passage, path, line) for passage, line in _passages(text)]
    if problems:
        raise InputError(
            f"{len(problems)} files are not UTF-8:\n  " + "\n  ".join(problems[:10]) + "\nConvert them, from GBK for "
            "instance with: iconv -f gbk -t utf-8"
        )
    if not documents:
        raise InputError(f"{folder} has no text. Give a folder with {' or '.join(SUFFIXES)} files.")
    return documents


def _is_text(path, folder):
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()


def _passages(text):
    """`(passage, line)`; a passage has its line breaks where the file has them."""
    begun, line, last, found = "", 1, 1, []
    for number, paragraph in enumerate(text.split("\n"), 1):
        for piece in _pieces(paragraph.rstrip("\r")):
            gap = "\n" * (number - last)
            if begun and len(begun) + len(gap) + len(piece) > LONGEST:
                found.append((begun, line))
                begun = ""
            if begun:
                begun += gap + piece
            else:
                begun, line = piece, number
            last = number
    return [*found, (begun, line)] if begun else found


def _pieces(paragraph):
    """A paragraph in pieces of at most `LONGEST` characters, cut behind a sentence where there is one."""
    while len(paragraph) > LONGEST:
        cut = max(paragraph.rfind(mark, LONGEST // 2, LONGEST) for mark in "。！？；") + 1 or LONGEST
        yield paragraph[:cut]
        paragraph = paragraph[cut:]
    if paragraph.strip():
        yield paragraph
