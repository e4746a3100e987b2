"""The tables of docs/architectures.md have a row of every architecture, and of nothing else."""

import re
from pathlib import Path

from nlpgen import ARCHITECTURES

DOCUMENT = Path(__file__).parents[1] / "docs" / "architectures.md"


def first_cells(table):
    """The names in the first cells of a table's rows, in their order."""
    rows = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    return [name for cell in rows for name in re.findall(r"`(\w+)`", cell)]


def test_every_architecture_has_a_row():
    descriptions, rest = DOCUMENT.read_text(encoding="utf-8").split("<!-- the table of benchmarks/matrix.py -->")
    matrix = rest.split("<!-- its end -->")[0]
    expected = sorted(cls.__name__ for cls in ARCHITECTURES.values())
    assert sorted(first_cells(descriptions)) == expected
    assert sorted(first_cells(matrix)) == expected
