"""Labelled texts, and the files that people keep them in: TSV, CSV, JSON lines."""

import codecs
import csv
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

from nlpgen.errors import InputError

FIELDS = ("text", "text_b")
SHOWN = 5  # problems that a message lists; it counts all


@dataclass(frozen=True)
class LabelledTexts:
    """Texts of one field or several, and the label of each.

    Args:
        columns: `{field: list}`. A value is a string, or a list of strings where each text has candidates of its own.
        labels: a string for each text; `None` where texts have no labels.
        name: what tables and messages call the set.

    Raises:
        InputError: if there is no column, or they are not all as long.

    Example:
        >>> data = LabelledTexts({"text": ["很好", "太差", "不错"]}, ["正面", "负面", "正面"])
        >>> len(data), data[[0, 2]].labels, data[1:].texts
        (3, ['正面', '正面'], ['太差', '不错'])
    """

    columns: dict
    labels: list | None
    name: str = ""

    def __post_init__(self):
        lengths = {field: len(column) for field, column in self.columns.items()}
        if self.labels is not None:
            lengths["label"] = len(self.labels)
        if not self.columns or len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name}: {n}" for name, n in lengths.items())
            raise InputError(
                f"{self.name or 'Labelled texts'} must have a column or more, all as long as the labels. "
                f"Received {counts or 'nothing'}."
            )

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, rows):
        """Some of the rows, in the order given: a list of row numbers, or a slice."""
        rows = range(*rows.indices(len(self))) if isinstance(rows, slice) else list(rows)
        columns = {field: [column[i] for i in rows] for field, column in self.columns.items()}
        return LabelledTexts(columns, None if self.labels is None else [self.labels[i] for i in rows], self.name)

    @property
    def texts(self):
        """Strings where there is one field, else tuples in the order of the columns."""
        columns = list(self.columns.values())
        return list(columns[0]) if len(columns) == 1 else list(zip(*columns, strict=True))

    @property
    def inputs(self):
        """What `fit` and `predict` take: the strings of one field, or the columns of several, under their names."""
        return self.texts if len(self.columns) == 1 else self.columns


def as_rows(texts):
    """A tuple for each text, whatever form the texts have.

    Args:
        texts: `LabelledTexts`, a dict of columns, a list of strings or a list of tuples.

    Example:
        >>> as_rows(["甲", "乙"]), as_rows({"text": ["甲"], "text_b": ["乙"]})
        ([('甲',), ('乙',)], [('甲', '乙')])
    """
    if isinstance(texts, LabelledTexts):
        texts = texts.columns
    if isinstance(texts, dict):
        return list(zip(*texts.values(), strict=True))
    return [tuple(text) if isinstance(text, tuple | list) else (text,) for text in texts]


def read_labelled(path, fields=None, labelled=True):
    """Read texts and labels from a file in UTF-8; its suffix says what it is.

    `.tsv`, `.txt`, `.data` are columns between tabs, `.csv` columns between commas with quotes, `.jsonl` and `.json` an
    object a line. A table's first row is a header if it has a cell `text` or `label`; without one the columns are
    text, label or text, text_b, label. Only "\\n" ends a line. Columns that are not asked for are left alone.

    Args:
        path: the file.
        fields: names of the columns that are texts; `text`, and `text_b` where there is one, by default.
        labelled: whether there is a column `label`. If not, the result has no labels.

    Returns:
        `LabelledTexts`. Labels lose the white space around them, with a warning that counts such labels.

    Raises:
        InputError: if the file cannot be used; with all lines that are wrong.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in READERS:
        raise InputError(f"{path} must end in one of {', '.join(READERS)}. Rename it to what it is.")
    wanted, rows, labels, problems = None, [], [], []
    for number, record in READERS[path.suffix.lower()](path, fields, labelled):
        if isinstance(record, dict):
            wanted = wanted or _wanted(path, record, fields, labelled)
            label = record.get("label") if labelled else ""
            label = str(label) if type(label) is int else label  # what JSON writes without quotes
            problem = _problem([record.get(field) for field in wanted], wanted, label, labelled)
        else:
            problem = record
        if problem:
            problems.append(f"{path}:{number}: {problem}")
        else:
            rows.append([record[field] for field in wanted])
            labels.append(label)
    raise_problems(path, problems)
    if not rows:
        raise InputError(f"{path} has no texts. Give a file with a text a line.")
    stray = sum(label != label.strip() for label in labels)
    if stray:
        warnings.warn(f"{path}: {stray} labels had white space around them, which was cut off.", stacklevel=2)
    columns = dict(zip(wanted, map(list, zip(*rows, strict=True)), strict=True))
    return LabelledTexts(columns, [label.strip() for label in labels] if labelled else None, path.stem)


def numbered_lines(path):
    """`(number, text)` of the lines of a UTF-8 file that are not blank.

    Only "\\n" ends a line: U+2028 and its like, at which `str.splitlines` cuts too, occur inside texts.

    Raises:
        InputError: if a line is not UTF-8.
    """
    return ((number, text) for number, text in _lines(Path(path)) if text.strip())


def raise_problems(path, problems):
    """Raise `InputError` with the first problems and the number of all, if there are any."""
    if problems:
        rest = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise InputError(
            f"{path} has {len(problems)} lines that cannot be used:\n  "
            + "\n  ".join(problems[:SHOWN])
            + rest
            + "\nCorrect or remove them."
        )


def _lines(path):
    for number, line in enumerate(path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        try:
            yield number, line.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}:{number}: not UTF-8: byte {line[error.start]:#04x} at {error.start} of the line. "
                "Save the file as UTF-8."
            ) from None


def _tab_separated(path, fields, labelled):
    return _named(path, ((number, text.split("\t")) for number, text in numbered_lines(path)), fields, labelled)


def _comma_separated(path, fields, labelled):
    return _named(path, _csv_rows(path), fields, labelled)


def _csv_rows(path):
    reader = csv.reader((text + "\n" for _, text in _lines(path)), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: no CSV: {error}. Correct the quotes there.") from None


def _named(path, rows, fields, labelled):
    """`(line, {column: cell})` of a table, or `(line, problem)`; the first row may be the header."""
    names = None
    for number, cells in rows:
        if names is None:
            cells_of_header = [cell.strip() for cell in cells]
            header = bool({"text", "label"} & set(cells_of_header))
            names = cells_of_header if header else _default_names(len(cells), fields, labelled)
            if len(set(names)) < len(names):
                raise InputError(f"{path}:{number}: two columns have the same name: {', '.join(names)}. Rename one.")
            if header:
                continue
        if len(cells) == len(names):
            yield number, dict(zip(names, cells, strict=True))
        else:
            yield number, f"{len(cells)} columns, expected {len(names)} ({', '.join(names)})"


def _default_names(width, fields, labelled):
    return [*(fields or FIELDS[: max(1, width - labelled)]), *(["label"] if labelled else [])]


def _json_objects(path, fields, labelled):
    for number, text in numbered_lines(path):
        try:
            record = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            yield number, f"not JSON: {error}"
            continue
        yield number, record if isinstance(record, dict) else "not an object"


def _wanted(path, record, fields, labelled):
    """The columns to read, by the first record."""
    wanted = list(fields) if fields else ["text", *(field for field in FIELDS[1:] if field in record)]
    missing = [name for name in (*wanted, *(["label"] if labelled else [])) if name not in record]
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(missing)}. It has: {', '.join(map(str, record))}. "
            "Name the columns that are texts with `fields`; the labels' column is `label`."
        )
    return wanted


def _problem(texts, wanted, label, labelled):
    """What is wrong with a record; empty if nothing is."""
    for field, text in zip(wanted, texts, strict=True):
        if not isinstance(text, str):
            return f"`{field}` must be a string. Received: {text!r:.80}"
    if not any(text.strip() for text in texts):
        return "the text is empty"
    if labelled and (not isinstance(label, str) or not label.strip()):
        return f"`label` must be a string that is not empty. Received: {label!r:.80}"
    return ""


READERS = {
    ".tsv": _tab_separated,
    ".txt": _tab_separated,
    ".data": _tab_separated,
    ".csv": _comma_separated,
    ".jsonl": _json_objects,
    ".json": _json_objects,
}
