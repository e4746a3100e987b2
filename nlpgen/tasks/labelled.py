"""Texts and labels as a user gives them, checked."""

import warnings
from collections import Counter

from nlpgen.errors import InputError, InputWarning
from nlpgen.text import check_texts

JOINED_BY = "；"
SHOWN = 10


def as_tuples(texts, what=""):
    """Texts as a list of tuples of strings, one a text and all as long.

    Args:
        texts: a list of strings; a list of tuples of strings; or columns, `{field: list of strings}`, whose rows are
            tuples in the order of the fields.
        what: word before "texts" in messages.

    Raises:
        InputError: if they are none of these, or a text is empty in all its parts; with all such texts.

    Example:
        >>> as_tuples(["好", "坏"])
        [('好',), ('坏',)]
        >>> as_tuples({"question": ["几点？"], "answer": ["三点"]})
        [('几点？', '三点')]
    """
    rows = _rows(texts, what)
    _raise(_text_problems(rows, what), f"{what}texts")
    return _readable(rows)


def check_labelled(texts, labels, known=None, what=""):
    """Texts and their labels.

    Args:
        texts: see `as_tuples`.
        labels: strings, one for each text.
        known: labels that are allowed; any by default.
        what: word before "texts" in messages.

    Returns:
        A list of tuples of strings, and a list of labels.

    Raises:
        InputError: with all that is wrong with either.
    """
    rows = _rows(texts, what)
    if isinstance(labels, str | bytes) or not hasattr(labels, "__iter__"):
        raise InputError(f"Give a list of {what}labels. Received: {type(labels).__name__}")
    labels = list(labels)
    problems = _text_problems(rows, what) + _label_problems(labels, known, what)
    if len(rows) != len(labels) or not rows:
        problems.append(f"got {len(rows)} {what}texts and {len(labels)} labels: give as many of both, one at least")
    _raise(problems, f"{what}texts and labels")
    return _readable(rows), labels


def check_training(texts, labels, known=None):
    """Texts and labels to learn from: what `check_labelled` checks, and two labels or more.

    Returns:
        The texts as tuples, the labels, and the classes: `known` or, sorted, the labels that occur.

    Raises:
        InputError: with all that is wrong.

    Warns:
        InputWarning: with the number of texts that stand there with different labels.
    """
    rows, labels = check_labelled(texts, labels, known)
    classes = sorted(set(labels))
    if len(classes) < 2:
        raise InputError(f"All {len(labels)} labels are {classes[0]!r}. Give texts of two labels or more.")
    warn_of_contradictions(rows, labels)
    return rows, labels, classes if known is None else list(known)


def warn_of_contradictions(rows, labels):
    """Warn of texts, tuples of strings, that stand there with several labels."""
    found = {}
    for row, label in zip(rows, labels, strict=True):
        found.setdefault(row, set()).add(label)
    unsure = [row for row, of_text in found.items() if len(of_text) > 1]
    if unsure:
        warnings.warn(
            f"{len(unsure)} texts stand there with different labels, the first is {JOINED_BY.join(unsure[0]):.60} "
            f"({', '.join(sorted(found[unsure[0]]))}). All are learned; correct them, or leave them out.",
            InputWarning,
            stacklevel=4,
        )


def as_pair(row):
    """A tuple of strings as one or two: the second and later parts become one.

    >>> as_pair(("小明去了北京", "小明", "他"))
    ('小明去了北京', '小明；他')
    """
    return row if len(row) < 2 else (row[0], JOINED_BY.join(row[1:]))


def _rows(texts, what):
    if hasattr(texts, "keys"):
        columns = {field: texts[field] for field in texts.keys()}  # noqa: SIM118  (a table of pandas has them too)
        strange = [f for f, column in columns.items() if isinstance(column, str) or not hasattr(column, "__len__")]
        lengths = {} if strange else {field: len(column) for field, column in columns.items()}
        if len(set(lengths.values())) != 1:
            raise InputError(
                f"Columns of {what}texts must be lists, all as long. Received: "
                + (f"{columns[strange[0]]!r:.80} in {strange[0]!r}" if strange else f"lengths {lengths}")
            )
        return list(zip(*columns.values(), strict=True))
    if isinstance(texts, str | bytes | tuple) or not hasattr(texts, "__iter__"):
        raise InputError(f"Give a list of {what}texts. Received: {type(texts).__name__}")
    return [tuple(text) if isinstance(text, tuple | list) else (text,) for text in texts]


def _text_problems(rows, what):
    parts, problems = Counter(map(len, rows)).most_common(1), []
    for i, row in enumerate(rows):
        strange = [part for part in row if not isinstance(part, str)]
        if strange:
            problems.append(
                f"`{what}texts[{i}]` must be a string{' in each part' if len(row) > 1 else ''}. "
                f"Received: {strange[0]!r:.80} ({type(strange[0]).__name__})"
            )
        elif not any(part.strip() for part in row):
            problems.append(f"`{what}texts[{i}]` is empty")
        elif len(row) != parts[0][0]:
            problems.append(f"`{what}texts[{i}]` has {len(row)} parts, most have {parts[0][0]}")
    return problems


def _label_problems(labels, known, what):
    wrong = [i for i, label in enumerate(labels) if not isinstance(label, str) or not label]
    if wrong:
        return [
            f"{what}labels must be strings: `labels[{wrong[0]}]` is {labels[wrong[0]]!r:.80} ({len(wrong)} such labels)"
        ]
    problems, known_ones = [], set(labels if known is None else known)
    padded = [i for i, label in enumerate(labels) if label != label.strip() and (known is None or label not in known)]
    if padded:
        problems.append(
            f"labels have spaces at their ends: `labels[{padded[0]}]` is {labels[padded[0]]!r} ({len(padded)} such "
            "labels). Strip them"
        )
    unknown = sorted(set(labels) - known_ones)
    if unknown:
        problems.append(f"unknown labels {', '.join(unknown[:5])}: known are {', '.join(list(known)[:20])}")
    return problems


def _raise(problems, what):
    if problems:
        shown = problems[:SHOWN] + ([f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else [])
        raise InputError(
            f"These {what} cannot be used:\n  "
            + "\n  ".join(shown)
            + "\nEach text must be a string, or each a pair or longer tuple of strings, and none empty."
        )


def _readable(rows):
    """Rows whose strings any tokenizer can read."""
    return list(zip(*map(check_texts, zip(*rows, strict=True)), strict=True))
