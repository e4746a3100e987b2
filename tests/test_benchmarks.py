"""What benchmarks compute themselves, on files made here."""

import importlib
import json

import pytest

from tests.vae.helpers import LINES

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


@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")  # of the latent that is always 0
def test_text_auto_encoders_are_measured_and_not_twice(monkeypatch, request, tmp_path, capsys):
    monkeypatch.syspath_prepend(request.config.rootpath / "benchmarks")
    text_vae = importlib.import_module("text_vae")
    (tmp_path / "data" / "poetry").mkdir(parents=True)
    for part, lines in {"train": 3 * LINES[:16], "valid": LINES[:6], "test": LINES[:8]}.items():
        (tmp_path / "data" / "poetry" / f"quat7.{part}.txt").write_text("\n".join(lines), encoding="utf-8")
    sizes = "--sets quat7 --seeds 1 --epochs 1 --hidden-size 4 --test-lines 8 --samples 2 --generated 4"
    folders = ["--data", str(tmp_path / "data"), "--work", str(tmp_path / "work")]
    arguments = [*folders, *sizes.split(), "--only", "lm", "vMF"]
    text_vae.main(arguments)
    printed, work = capsys.readouterr().out, tmp_path / "work"
    names = ("lm", "vMF")
    numbers = {name: json.loads((work / f"quat7-{name}-seed0.json").read_text(encoding="utf-8")) for name in names}
    assert numbers["lm"]["nll"] == numbers["lm"]["bound"]
    assert numbers["vMF"]["kl"] == pytest.approx(8, rel=1e-4)
    for name in names:
        assert f"| {name} | {numbers[name]['nll']:.2f} | {numbers[name]['perplexity']:.2f} |" in printed
    assert f"nll, vMF - lm: {numbers['vMF']['nll'] - numbers['lm']['nll']:+.2f}" in printed
    monkeypatch.setattr(text_vae, "run", None)  # all is there
    text_vae.main(arguments)
    assert capsys.readouterr().out == printed
    with pytest.raises(SystemExit, match="Give the same settings"):
        text_vae.main([*arguments, "--epochs", "2"])
