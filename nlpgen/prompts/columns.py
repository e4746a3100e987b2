"""Inputs of prompt classifiers: texts, pairs or named columns, as columns."""

from nlpgen.errors import InputError
from nlpgen.text import check_texts


def as_columns(inputs, fields, further=()):
    """Inputs as `{field: list}`.

    Args:
        inputs: a list of strings, where there is one field; a list of tuples of strings, in the order of `fields`; or
            a dict of columns, equally long lists, which may have others besides.
        fields: names of the fields.
        further: columns that must be there too and hold other things than strings; only in a dict.

    Raises:
        InputError: if a column is missing, they differ in length, a cell is no string, or all cells of an input are
            blank; with all that is wrong.

    Example:
        >>> as_columns([("好吗", "好"), ("在吗", "不在")], ["question", "answer"])
        {'question': ['好吗', '在吗'], 'answer': ['好', '不在']}
    """
    if isinstance(inputs, dict):
        columns = _named(inputs, fields, further)
    else:
        if further:
            raise InputError(f"Give a dict of columns with {', '.join(map(repr, (*fields, *further)))}.")
        columns = _ordered(inputs, fields)
    for name in fields:
        columns[name] = check_texts(columns[name], name)
    blank = [
        i for i, row in enumerate(zip(*(columns[name] for name in fields), strict=True)) if not any(map(str.strip, row))
    ]
    if blank:
        raise InputError(f"`texts[{blank[0]}]` is empty ({len(blank)} such texts). Leave them out.")
    return columns


def count(columns):
    """Number of inputs in columns."""
    return len(next(iter(columns.values())))


def take(columns, indices):
    """Some inputs of columns, in a given order."""
    return {name: [column[i] for i in indices] for name, column in columns.items()}


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


def _ordered(inputs, fields):
    if isinstance(inputs, str | bytes) or not hasattr(inputs, "__iter__"):
        raise InputError(
            f"`texts` must be a list of strings, of tuples, or a dict of columns. Received: {type(inputs).__name__}"
        )
    rows = list(inputs)
    if len(fields) == 1:
        rows = [row if isinstance(row, tuple | list) else (row,) for row in rows]
    wrong = [i for i, row in enumerate(rows) if not isinstance(row, tuple | list) or len(row) != len(fields)]
    if wrong:
        raise InputError(
            f"The patterns have the fields {', '.join(fields)}, so each input must be a tuple of {len(fields)} strings "
            f"in this order, or give a dict of columns. Received as `texts[{wrong[0]}]`: {rows[wrong[0]]!r:.80} "
            f"({len(wrong)} such inputs)"
        )
    return {name: [row[i] for row in rows] for i, name in enumerate(fields)}


def joined(first, second):
    """The inputs of two sets of columns, one after the other."""
    return {name: [*first[name], *second[name]] for name in first}
