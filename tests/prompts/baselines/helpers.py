"""The topics of examples/data as a training and a test set."""

from pathlib import Path

ROOT = Path(__file__).parents[3]


def topics(labels=3, train=45):
    """`(texts, labels)` twice: the first `train` rows, and the others."""
    rows = [line.split("\t") for line in (ROOT / "examples/data/topics.tsv").read_text(encoding="utf-8").splitlines()]
    kept = sorted({label for _, label in rows})[:labels]
    rows = [row for row in rows if row[1] in kept]
    cut = train * len(rows) // 66
    return tuple(tuple(map(list, zip(*part, strict=True))) for part in (rows[:cut], rows[cut:]))
