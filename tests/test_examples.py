import importlib.util
import re
import time
import warnings
from pathlib import Path

import pytest

from nlpgen import MaskedLM, MLMReader, TextVAE
from nlpgen.errors import CollapseWarning

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
    assert "四千二百人" in out


def test_text_classification(capsys, tmp_path):
    example("text_classification").main(["--epochs", "4", "--save", str(tmp_path / "topics")])
    accuracy = re.search(r"accuracy (\S+) on 20 texts", capsys.readouterr().out)
    assert float(accuracy[1]) >= 0.7  # a third by chance


def test_named_entities(capsys):
    example("named_entities").main(["--sentences", "120", "--epochs", "3"])
    scores = re.search(r"F1 (\S+), precision", capsys.readouterr().out)
    assert float(scores[1]) >= 0.4  # patterns and names that were not learned, with a tiny model


def test_generate_text(capsys):
    example("generate_text").main(["--heads", "山水", "--characters", "3", "--max-new-tokens", "4"])
    out = capsys.readouterr().out
    assert re.search(r"^stream: 今天天气不错，.+$", out, re.MULTILINE)
    assert re.search(r"^poem:   山[一-鿿]{2}，水[一-鿿]{2}。$", out, re.MULTILINE)


def test_train_unilm_learns_the_pairs_of_a_folder(capsys, tmp_path):
    pairs = "春风\t秋月\n红花\t绿叶\n青山\t碧水\n白云\t黄叶\n"
    for name in ("train", "test"):
        (tmp_path / f"{name}.tsv").write_text(pairs, encoding="utf-8")
    arguments = ["--data", str(tmp_path), "--epochs", "40", "--max-new-tokens", "8", "--save", str(tmp_path / "saved")]
    example("train_unilm").main(arguments)
    out = capsys.readouterr().out
    assert "春风 → 秋月 (reference: 秋月)" in out
    assert float(re.search(r"chrF (\S+), ", out)[1]) > 90  # by heart
    assert MaskedLM.from_pretrained(tmp_path / "saved").tokenizer is not None


def test_conditional_generation_writes_the_class_that_is_wanted(capsys, tmp_path):
    path = tmp_path / "reviews.tsv"
    path.write_text("房间干净\t正面\n房间太吵\t负面\n" * 4, encoding="utf-8")
    arguments = ["--data", str(path), "--epochs", "60", "--batch-size", "8", "--count", "1", "--max-length", "8"]
    example("conditional_generation").main([*arguments, "--prompt", "房间"])
    out = capsys.readouterr().out
    assert "正面: 房间干净" in out
    assert "负面: 房间太吵" in out


# What makes them short enough for a test; without arguments they print what their docstrings say.
PROMPT_EXAMPLES = {
    "zero_shot": [],
    "few_shot_pet": ["--epochs", "6"],
    "p_tuning": ["--epochs", "8"],
    "p_tuning_gpt": ["--epochs", "3"],
    "semi_supervised": ["--epochs", "2"],
    "pair_classification": ["--epochs", "3"],
}
AT_LEAST = {"few_shot_pet": 0.6, "p_tuning": 0.5}  # of the last line, where so few epochs teach something


def scores(text):
    """`{what is before it: accuracy}` of the lines that have one."""
    return {name: float(score) for name, score in re.findall(r"^ *(.*accuracy) (\d\.\d\d)", text, re.MULTILINE)}


@pytest.mark.parametrize("name", PROMPT_EXAMPLES)
def test_prompt_examples_print_the_lines_of_their_docstrings(name, capsys, tmp_path):
    module, arguments = example(name), PROMPT_EXAMPLES[name]
    module.main([*arguments, "--save", str(tmp_path / "saved")] if name in ("few_shot_pet", "p_tuning") else arguments)
    out = capsys.readouterr().out
    found, said = scores(out), scores(module.__doc__)
    assert said
    assert list(found) == list(said)
    assert list(found.values())[-1] >= AT_LEAST.get(name, 0)
    if name == "zero_shot":  # nothing is drawn or trained; other processors round otherwise
        assert found == pytest.approx(said, abs=0.05)
    if name == "p_tuning":
        assert "topic: 汤里多放一点胡椒更暖和。 →" in out


def test_reading_comprehension(capsys, tmp_path):
    example("reading_comprehension").main([])
    out = capsys.readouterr().out
    assert len(re.findall(r"^  \S+  \d\.\d\d, passage 0, \d+–\d+$", out, re.MULTILINE)) >= 7
    assert "镇上的小学建于哪一年？  no answer 0." in out
    assert re.search(r"小学的校长叫什么名字？.*\n  陈国华  ", out)
    folder, path = tmp_path / "texts", tmp_path / "texts" / "b.txt"
    folder.mkdir()
    (folder / "a.txt").write_text("天气很好。\n", encoding="utf-8")
    path.write_text("他叫李小明，今年十岁。\n", encoding="utf-8")
    arguments = ["他叫什么名字？", "--top-k", "1", "--text", str(folder)]
    example("reading_comprehension").main(arguments)
    assert "passage 1, " in capsys.readouterr().out
    MLMReader.load("reader-tiny-zh", vote="bert4keras").save(tmp_path / "voter")
    example("reading_comprehension").main([*arguments, "--reader", str(tmp_path / "voter")])
    assert re.search(r"\n他叫什么名字？\n  \S+  \d\.\d\d, passage ", capsys.readouterr().out)
    for content, message in (("他".encode("gbk"), "not UTF-8"), (b" \n", "has no text"), (None, "There is no")):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(SystemExit, match=message):
            example("reading_comprehension").main([*arguments[:-1], str(path)])


def test_train_reading(capsys, tmp_path):
    example("train_reading").main(["--questions", "96", "--epochs", "2", "--save", str(tmp_path / "reader")])
    out = capsys.readouterr().out
    assert float(re.search(r"F1 (\S+) on 40 questions", out)[1]) >= 15  # all spans are some 5,000
    assert len(re.findall(r"？ → .*\((\d+–\d+|no answer), \d\.\d\d\)", out)) == 5


def test_text_vae(capsys):
    example("text_vae").main([])
    out = capsys.readouterr().out
    assert float(re.search(r"shuffle gap +(\S+)", out)[1]) > 50
    samples, way = (
        re.findall(r"^  ([一-鿿]{5}，[一-鿿]{5})$", part, re.MULTILINE) for part in out.split("\nfrom ")[:2]
    )
    assert (len(samples), len(way)) == (4, 7)
    assert way[0] == "白日依山尽，黄河入海流"


@pytest.mark.slow
def test_text_vae_trained(capsys):
    example("text_vae").main(["--train", "--epochs", "80"])
    out = capsys.readouterr().out
    assert int(re.search(r"(\d+) of 40 lines reconstructed", out)[1]) >= 10
    assert float(re.search(r"shuffle gap +(\S+)", out)[1]) > 5


@pytest.mark.slow
def test_poem_vae(capsys, tmp_path):
    couplets = (ROOT / "examples" / "data" / "couplets.txt").read_text(encoding="utf-8")
    for part in ("train", "valid", "test"):
        (tmp_path / f"tang5.{part}.txt").write_text(couplets * 3, encoding="utf-8")
    folders = ["--data", str(tmp_path), "--work", str(tmp_path / "run"), "--out", str(tmp_path / "poem-vae")]
    for epochs in (1, 2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CollapseWarning)  # little is learned
            example("poem_vae").main([*folders, "--epochs", str(epochs), "--hidden-size", "16"])
        out = capsys.readouterr().out
        assert re.findall(r"^epoch (\d)", out, re.MULTILINE) == [str(epochs)]  # the second call goes on
    assert len(TextVAE.load(tmp_path / "poem-vae").sample(3)) == 3


def test_examples_are_short_and_say_how_to_run_them():
    for path in (ROOT / "examples").glob("*.py"):  # folders there hold what several of them share
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 120
        assert f"python examples/{path.name}" in text
