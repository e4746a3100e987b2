"""Inputs of prompt classifiers: texts, pairs or named columns, as columns."""

from collections.abc import Mapping

from nlpgen.errors import InputError
from nlpgen.tasks.labelled import as_tuples


def as_columns(inputs, fields, further=()):
    """Inputs as `{field: list}`.

    Args:
        inputs: a list of strings, where there is one field; a list of tuples of strings, in the order of `fields`; or
            a dict or a pandas frame of columns, equally long lists, which may have others besides.
        fields: names of the fields.
        further: columns that must be there too and hold other things than strings; only in a dict.

    Raises:
        InputError: if a column is missing, they differ in length, a cell is no string, or all cells of an input are
            blank; with all that is wrong.

    Example:
        >>> as_columns([("好吗", "好"), ("在吗", "不在")], ["question", "answer"])
        {'question': ['好吗', '在吗'], 'answer': ['好', '不在']}
    """
    if is_table(inputs):
        columns = _named(inputs, fields, further)
        rows = as_tuples({name: columns[name] for name in fields})
    elif further:
        raise InputError(f"Give a dict of columns with {', '.join(map(repr, (*fields, *further)))}.")
    else:
        # A series of pandas has keys too, but is a list.
        columns, rows = {}, as_tuples(list(inputs) if hasattr(inputs, "keys") else inputs)
        if rows and len(rows[0]) != len(fields):
            form = "strings" if len(fields) == 1 else "tuples in this order"
            raise InputError(
                f"The patterns have the fields {', '.join(fields)}, but the first input has {len(rows[0])} parts: "
                f"{rows[0]!r:.80}. Give {form}, or a dict of columns."
            )
    return columns | {name: [row[i] for row in rows] for i, name in enumerate(fields)}


def is_table(inputs):
    """Whether inputs are columns with names: a dict, or a pandas frame; a series is none."""
    return isinstance(inputs, Mapping) or hasattr(inputs, "columns")


def count(columns):
    """Number of inputs in columns."""
    return len(next(iter(columns.values())))


def take(columns, indices):
    """Some inputs of columns, in a given order."""
    return {name: [column[i] for i in indices] for name, column in columns.items()}


def joined(first, second):
    """The inputs of two sets of columns, one after the other."""
    return {name: [*first[name], *second[name]] for name in first}


def _named(inputs, fields, further):
    missing = [name for name in (*fields, *further) if name not in inputs]
    if missing:
        raise InputError(
            f"The patterns ask for the fields {', '.join((*fields, *further))}, but the inputs have "
            f"{', '.join(map(str, inputs)) or 'none'}. Rename the columns or the fields."
        )
    columns = {name: list(inputs[name]) for name in (*fields, *further)}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"The columns differ in length: {lengths}. Give as many cells in each.")
    return columns
