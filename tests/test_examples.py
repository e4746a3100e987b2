import importlib.util
import re
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def example(name):
    """The module of an example."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_quickstart(capsys):
    quickstart = example("quickstart")
    begin = time.perf_counter()
    quickstart.main([])
    assert time.perf_counter() - begin < 20
    out = capsys.readouterr().out
    assert "on 24 reviews, no training" in out
    assert "北" in out


def test_text_classification(capsys, tmp_path):
    example("text_classification").main(["--epochs", "4", "--save", str(tmp_path / "topics")])
    accuracy = re.search(r"accuracy (\S+) on 20 texts", capsys.readouterr().out)
    assert float(accuracy[1]) >= 0.7  # a third by chance


def test_named_entities(capsys):
    example("named_entities").main(["--sentences", "120", "--epochs", "3"])
    scores = re.search(r"F1 (\S+), precision", capsys.readouterr().out)
    assert float(scores[1]) >= 0.4  # patterns and names that were not learned, with a tiny model


def test_examples_are_short_and_say_how_to_run_them():
    for path in (ROOT / "examples").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 120
        if path.parent.name == "examples":  # a folder there holds what several of them share
            assert f"python examples/{path.name}" in text
