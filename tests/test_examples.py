import importlib.util
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_quickstart(capsys):
    spec = importlib.util.spec_from_file_location("quickstart", ROOT / "examples" / "quickstart.py")
    quickstart = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(quickstart)
    begin = time.perf_counter()
    quickstart.main([])
    assert time.perf_counter() - begin < 20
    out = capsys.readouterr().out
    assert "on 24 reviews, no training" in out
    assert "北" in out


def test_examples_are_short_and_say_how_to_run_them():
    for path in (ROOT / "examples").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 120
        if path.parent.name == "examples":  # a folder there holds what several of them share
            assert f"python examples/{path.name}" in text
