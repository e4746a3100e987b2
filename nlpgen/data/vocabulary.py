"""The vocabulary of a corpus, built once."""

import os
from pathlib import Path

from nlpgen.text import Vocab
from nlpgen.text.vocab_builder import build_vocab


def corpus_vocab(path, corpus, size):
    """Read a `vocab.txt`, or build it from the training lines of a corpus and write it there, whole or not at all.

    Args:
        path: the file; one that is there is taken as it is.
        corpus: a `Corpus`.
        size: most tokens of a new one.

    Returns:
        A `Vocab`.

    Raises:
        InputError: if the corpus cannot be read or has no text.
        VocabularyError: if the file is there and is no vocabulary.
    """
    path = Path(path)
    if not path.is_file():
        vocab = build_vocab((line for name in corpus.names for line in corpus.lines(name)), size)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        vocab.write(beside)
        os.replace(beside, path)
    return Vocab.read(path)
