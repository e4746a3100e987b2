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


def test_zero_shot(capsys):
    example("zero_shot").main([])
    scores = re.findall(r"accuracy (\S+) on 66 texts", capsys.readouterr().out)
    assert float(scores[1]) >= 0.5  # calibrated; a third by chance


def test_few_shot_pet(capsys, tmp_path):
    example("few_shot_pet").main(["--epochs", "6", "--save", str(tmp_path / "pet")])
    score = re.search(r"32 labels: accuracy (\S+)", capsys.readouterr().out)
    assert float(score[1]) >= 0.6  # a half by chance


def test_p_tuning(capsys, tmp_path):
    example("p_tuning").main(["--epochs", "8", "--save", str(tmp_path / "prompt")])
    out = capsys.readouterr().out
    assert float(re.search(r"topics: accuracy (\S+)", out)[1]) >= 0.5  # a third by chance
    assert "topic: 汤里多放一点胡椒更暖和。 →" in out


def test_p_tuning_gpt(capsys):
    example("p_tuning_gpt").main(["--epochs", "3"])
    assert "on 24 texts, from 32 labels" in capsys.readouterr().out


def test_semi_supervised(capsys):
    example("semi_supervised").main(["--epochs", "2"])
    assert len(re.findall(r"accuracy \S+ on 24 texts", capsys.readouterr().out)) == 3


def test_pair_classification(capsys):
    example("pair_classification").main(["--epochs", "3"])
    assert re.search(r"24 labels: accuracy (\S+)", capsys.readouterr().out)


def test_text_vae(capsys):
    example("text_vae").main(["--epochs", "80"])
    out = capsys.readouterr().out
    assert int(re.search(r"(\d+) of 40 lines reconstructed", out)[1]) >= 10
    assert float(re.search(r"shuffle gap +(\S+)", out)[1]) > 5


def test_examples_are_short_and_say_how_to_run_them():
    for path in (ROOT / "examples").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 120
        if path.parent.name == "examples":  # a folder there holds what several of them share
            assert f"python examples/{path.name}" in text
