"""Few-shot samples of a labelled set, and test texts that a model has seen before."""

import unicodedata
from collections import Counter
from dataclasses import dataclass

import numpy as np

from nlpgen.data.labelled import as_rows
from nlpgen.errors import InputError


def class_balance(labels):
    """How often each label occurs, the most frequent first.

    Example:
        >>> class_balance(["负面", "正面", "正面"])
        {'正面': 2, '负面': 1}
    """
    return dict(sorted(Counter(labels).items(), key=lambda item: (-item[1], item[0])))


def few_shot_splits(labels, per_class=None, total=None, n=5, seed=0, disjoint=False):
    """Draw small balanced training sets.

    With the same seed a smaller size is a subset of a larger one, split by split, unless they are disjoint.

    Args:
        labels: the labels of the whole set.
        per_class: rows of each class.
        total: rows in all, instead: as many of each class as can be, at most one more of some, drawn at random. Where a
            class runs out, the others fill up.
        n: number of splits.
        seed: of all draws.
        disjoint: whether no row may be in two splits.

    Returns:
        A list of `n` ascending lists of row numbers.

    Raises:
        InputError: if not one size is given, or there are too few rows; with all classes that have too few.

    Example:
        >>> labels = ["a"] * 6 + ["b"] * 6
        >>> [[labels[i] for i in rows] for rows in few_shot_splits(labels, per_class=1, n=2)]
        [['a', 'b'], ['a', 'b']]
    """
    labels, counts = list(labels), Counter(labels)
    size = total if per_class is None else per_class
    if (per_class is None) == (total is None) or not _is_count(size) or not _is_count(n):
        raise InputError(
            "Give `per_class` or `total`, and `n`, as whole numbers of 1 or more. "
            f"Received: per_class={per_class!r}, total={total!r}, n={n!r}"
        )
    times = n if disjoint else 1
    if per_class is not None:
        total = per_class * len(counts)
        short = [f"{label} has {count}" for label, count in class_balance(labels).items() if count < per_class * times]
    else:
        short = [f"there are {len(labels)}"] if len(labels) < total * times else []
    if short or not labels:
        raise InputError(
            f"{n} {'disjoint ' * disjoint}splits need {size * times} rows{' of each class' * (per_class is not None)}, "
            f"but {', '.join(short) or 'there are none'}. Ask for fewer rows or splits."
        )
    pool, splits = list(range(len(labels))), []
    for i in range(n):
        order = _balanced_order(labels, pool, np.random.default_rng([seed, i]))
        splits.append(sorted(order[:total]))
        if disjoint:
            pool = sorted(order[total:])
    return splits


def _balanced_order(labels, rows, generator):
    """The rows in a random order of which every beginning is balanced: a row of each class, again and again."""
    by_class = {}
    for row in generator.permutation(rows).tolist():
        by_class.setdefault(labels[row], []).append(row)
    order, columns = [], list(by_class.values())
    while columns:
        order += [columns[i].pop() for i in generator.permutation(len(columns))]
        columns = [column for column in columns if column]
    return order


def _is_count(value):
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1


@dataclass(frozen=True)
class Leaks:
    """Which rows of a test set are no fair test.

    Attributes:
        rows: `{source: row numbers}` of the test rows that are also in `"train"`, `"validation"`, `"unlabeled"`, or
            `"repeated"` within the test set itself.
        total: rows of the test set.
    """

    rows: dict
    total: int

    @property
    def counts(self):
        """`{source: number of test rows}`."""
        return {source: len(rows) for source, rows in self.rows.items()}

    @property
    def clean_rows(self):
        """The test rows that are in no other set, and once in their own."""
        seen = set().union(*self.rows.values())
        return [i for i in range(self.total) if i not in seen]

    def __str__(self):
        counts = ", ".join(f"{count} {source}" for source, count in self.counts.items())
        return f"{len(self.clean_rows)} of {self.total} test rows are clean ({counts})"


def find_leaks(train, test, unlabeled=None, validation=None):
    """Find test texts that a model sees in training.

    Texts are the same if all their fields are equal after NFKC and without white space, whatever their labels. Named
    columns are compared by name, in any order, over the fields that both sides have; tuples by position.

    Args:
        train, test, unlabeled, validation: `LabelledTexts`, a dict of columns, a list of strings or a list of tuples.

    Returns:
        `Leaks`.

    Raises:
        InputError: if a set has no field of the test set, or another number of fields where they have no names.

    Example:
        >>> leaks = find_leaks(["很 好", "太差"], ["很好", "不错", "ＯＫ", "OK"])
        >>> leaks.rows, leaks.clean_rows
        ({'train': [0], 'repeated': [2, 3]}, [1])
    """
    rows = {}
    for source, texts in (("train", train), ("validation", validation), ("unlabeled", unlabeled)):
        if texts is not None:
            ours, theirs = _comparable(test, texts, source)
            seen = {_key(row) for row in theirs}
            rows[source] = [i for i, row in enumerate(ours) if _key(row) in seen]
    keys = [_key(row) for row in as_rows(test)]
    counts = Counter(keys)
    rows["repeated"] = [i for i, key in enumerate(keys) if counts[key] > 1]
    return Leaks(rows, len(keys))


def _comparable(test, texts, source):
    """The rows of both sets, over the same fields in the same order."""
    named = [getattr(each, "columns", each) for each in (test, texts)]
    if not all(isinstance(columns, dict) for columns in named):
        rows = as_rows(test), as_rows(texts)
        widths = [len(row) for each in rows for row in each[:1]]
        if len(set(widths)) > 1:
            raise InputError(
                f"The rows of the test set have {widths[0]} fields, those of {source} {widths[1]}. Give tuples of the "
                "same fields, or columns with names."
            )
        return rows
    fields = [field for field in named[0] if field in named[1]]
    if not fields:
        here, there = (", ".join(columns) for columns in named)
        raise InputError(
            f"The test set has the columns {here}, {source} has {there}, none of them the same. Rename them."
        )
    return tuple(as_rows({field: columns[field] for field in fields}) for columns in named)


def _key(row):
    parts = (part if isinstance(part, str) else "、".join(part) for part in row)
    return "\n".join("".join(unicodedata.normalize("NFKC", part).split()) for part in parts)
