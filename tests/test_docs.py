"""The tables of docs/architectures.md have a row of every architecture, and of nothing else; the READMEs name all."""

import re
from pathlib import Path

import pytest

from nlpgen import ARCHITECTURES

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "architectures.md"


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


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_readmes_name_every_family(name):
    """In whatever case, with or without hyphens; versions of a family may stand together, as in "Qwen 2 and 3"."""
    section = re.split(
        r"\n## (?:Architectures and checkpoints|结构与检查点)\n", (ROOT / name).read_text(encoding="utf-8")
    )[1]
    words = re.sub(r"[-\s]", "", section.partition("\n## ")[0]).casefold()
    for cls in ARCHITECTURES.values():
        found = {cls.__name__.casefold(), re.sub(r"(V?\d|Generator)$", "", cls.__name__).casefold()}
        assert any(each in words for each in found if len(each) > 1), cls.__name__
