"""What benchmarks compute themselves, on files made here."""

import importlib
import json

import pytest

ROWS = 150


@pytest.fixture
def few_shot_tasks(monkeypatch, request):
    monkeypatch.syspath_prepend(request.config.rootpath / "benchmarks")
    return importlib.import_module("few_shot_tasks")


@pytest.mark.parametrize(("asked", "rows"), [(None, ROWS - 100), (1000, ROWS - 100), (20, 20)])
def test_unlabelled_rows_of_few_shot_sets_are_none_of_the_test(few_shot_tasks, tmp_path, asked, rows):
    (tmp_path / "fewclue" / "ocnli").mkdir(parents=True)
    for part in (*(f"{name}_{i}" for name in ("train", "dev") for i in range(5)), "test_public"):
        lines = [{"sentence1": f"{part} {i}", "sentence2": "好", "label": "neutral"} for i in range(ROWS)]
        text = "\n".join(map(json.dumps, lines))
        (tmp_path / "fewclue" / "ocnli" / f"{part}.json").write_text(text, encoding="utf-8")
    task = few_shot_tasks.read_task("ocnli", tmp_path, asked)
    test, unlabelled = (set(part.columns["text"]) for part in (task.test, task.unlabelled))
    assert (len(test), len(unlabelled), test & unlabelled) == (rows, 100, set())
    assert all(text.startswith("test_public") for text in test | unlabelled)
    assert [len(part) for part in task.train] == [ROWS] * 5
