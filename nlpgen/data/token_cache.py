"""A tokenised corpus on disk: made once, then mapped into memory.

A folder with `meta.json` and, for each genre and split, `GENRE.SPLIT.tokens.npy` (uint16 or int32 ids of all texts, one
after the other), `.ends.npy` (where each text ends) and, if asked for, `.words.npy` (whether a word starts there).
"""

import hashlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from nlpgen.checkpoints.files import existing_folder, read_json, replaced_folder, sha256, write_json
from nlpgen.errors import InputError
from nlpgen.text.words import word_cutter

META = "meta.json"
PARTS = ("tokens", "ends", "words")
BATCH = 2048


@dataclass(frozen=True)
class Texts:
    """The texts of one genre and split.

    Attributes:
        tokens: ids of all texts, one after the other, without special tokens.
        ends: int64, where each text ends in `tokens`.
        words: bool, whether a word starts at a token; `None` if words were not looked for.
    """

    tokens: np.ndarray
    ends: np.ndarray
    words: np.ndarray | None


def word_starts(text, offsets):
    """Whether a word, as jieba cuts them, starts at each token.

    Args:
        text: a string.
        offsets: `(start, end)` of its tokens, in characters.

    Returns:
        A list of bools.

    Example:
        >>> word_starts("科学技术", [(0, 1), (1, 2), (2, 3), (3, 4)])
        [True, False, False, False]
    """
    borders, at = set(), 0
    for word in word_cutter().cut(text):
        borders.add(at)
        at += len(word)
    return [start in borders for start, _ in offsets]


def make_cache(folder, corpus, tokenizer, words=False, progress=None):
    """Tokenise a corpus into a folder, or find that this was done.

    Args:
        folder: where; a cache of another corpus (by its files' content), vocabulary or split there is replaced.
        corpus: a `Corpus`.
        tokenizer: a `Tokenizer`.
        words: whether to find where words start, for whole-word masking (some minutes for 50 M characters).
        progress: function that is told how far it is, a string at a time.

    Returns:
        An open `TokenCache`.

    Raises:
        InputError: if the corpus cannot be read.
        OutputError: if the folder cannot be written.
    """
    found = find_cache(folder, corpus, tokenizer, words)
    if found is not None:
        return found
    dtype = "uint16" if len(tokenizer.vocab) <= 2**16 else "int32"
    meta = {"of": _identity(corpus, tokenizer), "words": words, "dtype": dtype, "genres": {}}
    with replaced_folder(folder, _is_ours) as work:
        for name in corpus.names:
            meta["genres"][name] = {}
            for split in ("train", "held_out"):
                counts = _write(work / f"{name}.{split}", corpus.lines(name, split), tokenizer, words, dtype)
                meta["genres"][name][split] = counts
                if progress:
                    progress(f"{name} {split}: {counts['texts']:,} texts, {counts['tokens']:,} tokens")
        write_json(work / META, meta)
    return TokenCache(folder)


def find_cache(folder, corpus, tokenizer, words=False):
    """The `TokenCache` that a folder holds of this corpus and tokenizer, or `None`; see `make_cache`."""
    found = existing_folder(folder)
    if not (found / META).is_file():
        return None
    meta = read_json(found / META)
    fits = meta.get("of") == _identity(corpus, tokenizer) and (meta.get("words") or not words)
    return TokenCache(found) if fits else None


class TokenCache:
    """A tokenised corpus.

    Args:
        folder: what `make_cache` wrote.

    Attributes:
        meta: what `meta.json` says: counts by genre and split, and of what the cache is.

    Raises:
        InputError: if there is no cache.
    """

    def __init__(self, folder):
        self.folder = existing_folder(folder)
        if not (self.folder / META).is_file():
            raise InputError(f"There is no tokenised corpus in {folder}. Make it with make_cache first.")
        self.meta = read_json(self.folder / META)

    @property
    def names(self):
        """The names of the genres."""
        return list(self.meta["genres"])

    def texts(self, name, split="train"):
        """The `Texts` of a genre, mapped from disk.

        Raises:
            InputError: if there is no such genre or split, or a file was cut.
        """
        if split not in self.meta["genres"].get(name, {}):
            raise InputError(f"{self.folder} has no {split!r} of {name!r}. It has: {', '.join(self.names)}.")
        stem = f"{name}.{split}"
        try:
            tokens, ends = (np.load(self.folder / f"{stem}.{part}.npy", mmap_mode="r") for part in PARTS[:2])
            words = np.load(self.folder / f"{stem}.words.npy", mmap_mode="r") if self.meta["words"] else None
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.folder}/{stem} cannot be read: {error}. Remove the folder; it is made anew."
            ) from error
        return Texts(tokens, ends, words)


def _identity(corpus, tokenizer):
    """What a cache depends on."""
    vocab = hashlib.sha256("\n".join(tokenizer.vocab.tokens).encode("utf-8")).hexdigest()
    return {
        "files": {genre.path.name: sha256(genre.path) for genre in corpus.genres},
        "held_out": corpus.held_out,
        "vocabulary": vocab,
        "lowercase": getattr(tokenizer, "lowercase", None),
    }


def _write(stem, lines, tokenizer, words, dtype):
    tokens, ends, starts, n = [], [], [], 0
    while texts := list(islice(lines, BATCH)):
        ids, lengths, flags = _encode(texts, tokenizer, words)
        tokens.append(ids.astype(dtype))
        ends.append(n + np.cumsum(lengths))
        starts.append(flags)
        n += len(ids)
    arrays = {
        "tokens": np.concatenate(tokens or [np.zeros(0, dtype)]),
        "ends": np.concatenate(ends or [np.zeros(0, "int64")]).astype("int64"),
    }
    if words:
        arrays["words"] = np.concatenate(starts or [np.zeros(0, bool)])
    for part, array in arrays.items():
        np.save(stem.with_name(f"{stem.name}.{part}.npy"), array, allow_pickle=False)
    return {"texts": len(arrays["ends"]), "tokens": n}


def _encode(texts, tokenizer, words):
    """Ids of all texts, the length of each, and where words start (`None` unless asked for)."""
    rows = tokenizer.pieces(texts)
    ids = np.fromiter((i for row, _ in rows for i in row), "int32")
    lengths = np.array([len(row) for row, _ in rows], "int64")
    if not words:
        return ids, lengths, None
    flags = [flag for text, (_, offsets) in zip(texts, rows, strict=True) for flag in word_starts(text, offsets)]
    return ids, lengths, np.array(flags, bool)


def _is_ours(name):
    return name == META or Path(name).suffix == ".npy"
