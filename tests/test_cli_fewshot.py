"""`nlpgen fewshot` in this process."""

import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from nlpgen import MaskedLM, NextSentence
from nlpgen.cli import main
from nlpgen.cli_fewshot import METHODS, Task, label_sentences, training_options
from tests.tasks.helpers import tiny_bert

REVIEWS = Path(__file__).parents[1] / "examples" / "data" / "reviews.tsv"


@pytest.fixture
def files(tmp_path):
    lines = REVIEWS.read_text(encoding="utf-8").strip().split("\n")
    for name, part in (("train.tsv", lines[:12]), ("test.tsv", lines[12:])):
        (tmp_path / name).write_text("\n".join(part) + "\n", encoding="utf-8")
    return ["--train", tmp_path / "train.tsv", "--test", tmp_path / "test.tsv"]


def run(capsys, *arguments):
    code = main(["fewshot", *(str(argument) for argument in arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_learning_curve(capsys, files, tmp_path):
    outputs = ["--markdown", tmp_path / "table.md", "--plot", tmp_path / "curve.png", "--cache", tmp_path / "cache"]
    options = [*files, "--sizes", "0,4", "--splits", 1, "--seeds", 1, "--epochs", 1, *outputs]
    options += [
        "--methods",
        "pet,fine-tune,tfidf",
        "--label",
        "正面=很",
        "--label",
        "负面=不",
        "--pattern",
        "[MASK]好{text}",
    ]
    code, out, err = run(capsys, *options)
    assert code == 0
    lines = out.splitlines()
    assert [line.split("|")[1:4] for line in lines[2:6]] == [
        [" pet ", " 0 ", " 1 "],
        [" pet ", " 4 ", " 1 "],
        [" fine-tune ", " 4 ", " 1 "],
        [" tfidf ", " 4 ", " 1 "],
    ]
    assert "against fine-tune" in lines[0]
    assert err.count("nlpgen: fine-tune, 4 labels, split") == 1
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == out
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "cache").iterdir())) == 4
    assert run(capsys, *options)[1] == out


def test_labels_of_ones_own_as_json(capsys, files, tmp_path):
    task = ["--label", "正面=很", "--label", "负面=不", "--pattern", "[MASK]满意。{text}"]
    code, out, _ = run(capsys, *files, *task, "--methods", "tfidf", "--json")
    assert code == 0
    value = json.loads(out)
    assert (value["reference"], value["test_rows"]) == (None, 12)
    right = [
        sum(a == b for a, b in zip(one["predictions"], value["expected"], strict=True)) / len(value["expected"])
        for one in value["runs"]
    ]
    assert value["table"][0]["accuracy"] == pytest.approx(sum(right) / len(right))


TASK = Task(
    ["这是一则[MASK]新闻。{text}"], {"甲": ["体育", "球"], "乙": ["财经"]}, {"max_length": 32}, "bert-tiny-zh", 0.007
)


def test_p_tuning_has_a_rate_of_its_own():
    trained = {"epochs": 3, "learning_rate": 2e-4}
    found = METHODS["p-tuning"](None, TASK, trained)
    assert (found.learning_rate, found.epochs, found.pattern) == (0.007, 6, "[P*4]这是一则[MASK]新闻。{text}[P*4]")
    assert METHODS["fine-tune"](None, TASK, trained).learning_rate == 2e-4


@pytest.mark.parametrize(("given", "rates"), [(None, (1e-3, 1e-3, 2e-4, 2e-4)), (3e-5, (3e-5,) * 4), (0.0, (0.0,) * 4)])
def test_default_learning_rates(given, rates):
    options = Namespace(epochs=3, learning_rate=given)
    for name, rate in zip(("pet", "ipet", "fine-tune", "setfit"), rates, strict=True):
        assert METHODS[name](None, TASK, training_options(name, options)).learning_rate == rate


def test_what_nsp_asks():
    assert label_sentences(TASK) == {
        "label_texts": {"甲": "这是一则体育新闻。", "乙": "这是一则财经新闻。"},
        "label_first": True,
    }
    behind = replace(TASK, patterns=["{text_b:1}[SEP]{text}[MASK][MASK]频道"])
    assert label_sentences(behind) == {"label_texts": {"甲": "体育频道", "乙": "财经频道"}, "label_first": False}
    braces = replace(TASK, patterns=["{{[MASK]}}{text:1:left}"])
    assert label_sentences(braces) == {"label_texts": {"甲": "{体育}", "乙": "{财经}"}, "label_first": True}


@pytest.mark.filterwarnings("ignore:The masked-language-model head")
def test_nsp_on_the_model_that_the_others_use(capsys, files, tmp_path):
    backbone = tiny_bert()
    MaskedLM(backbone).save_pretrained(tmp_path / "model", others=[NextSentence(backbone)])
    options = [
        "--model",
        tmp_path / "model",
        "--max-length",
        32,
        "--label",
        "正面=好",
        "--label",
        "负面=坏",
        "--pattern",
        "{text}[MASK]",
    ]
    code, out, err = run(capsys, *files, *options, "--methods", "nsp", "--sizes", "0,4", "--splits", 1)
    assert code == 0, err
    assert [line.split("|")[1:4] for line in out.splitlines()[2:4]] == [
        [" nsp ", " 0 ", " 1 "],
        [" nsp ", " 4 ", " 1 "],
    ]


@pytest.mark.slow
def test_unlabelled_texts(capsys, files):
    unlabeled = ["--unlabeled", REVIEWS.with_name("reviews_unlabeled.txt")]
    options = ["--pattern", "[MASK]好{text}", "--label", "正面=很", "--label", "负面=不", "--epochs", 1, "--seeds", 1]
    options += ["--methods", "pet,pet-semi,pet-distilled", "--json"]
    code, out, err = run(capsys, *files, *unlabeled, *options)
    assert code == 0, err
    said = {each["classifier"]: each["predictions"] for each in json.loads(out)["runs"]}
    code, out, _ = run(capsys, *files, *options, "--methods", "pet", "--json")
    assert said["pet"] == json.loads(out)["runs"][0]["predictions"]  # which leaves them alone


def test_a_plot_without_matplotlib_fails_before_any_run(capsys, files, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, out, err = run(capsys, *files, "--methods", "tfidf", "--plot", tmp_path / "curve.png")
    assert code != 0
    assert out == ""
    assert err.startswith("nlpgen: A picture needs matplotlib")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "pte"], "There is no method 'pte'. Did you mean 'pet'? There are: pet, pet-semi, pet-distilled"),
        (["--sizes", "0,x"], "--sizes wants whole numbers"),
        (["--sizes", "13", "--methods", "pet"], "need 13 rows, but there are 12"),
        (["--methods", "pet,pet-semi,ipet"], "pet-semi, ipet learn from unlabelled texts. Give them: --unlabeled FILE"),
        (["--seeds", "0"], "`seeds` must be"),
        (["--reference", "setfit"], "`reference` must be one of pet, fine-tune, linear-probe, tfidf"),
        (["--label", "好=好"], "--label and --pattern together"),
        (
            ["--label", "好=好", "--label", "坏=坏", "--pattern", "[MASK]{text}"],
            "labels without words: 正面, 负面. There are words for 好, 坏",
        ),
        (["--label", "正面=好", "--label", "负面=坏", "--pattern", "{text}好"], "it has no [MASK]"),
        (["--epochs", "0"], "`epochs` must be a whole number, 1 or more"),
        (["--prompt-learning-rate", "0"], "`learning_rate` must be a number above 0"),
        (["--methods", "nsp"], "nsp asks the next-sentence head of a BERT, and bert-tiny-zh has none"),
        (["--fields", "title"], "a.tsv has no column title"),
        (["--task", "nothing"], "no preset 'nothing'"),
        (["--unlabeled", "nowhere.txt"], "nowhere.txt"),
        (["--plot", "nowhere/curve.png"], "--plot nowhere/curve.png: there is no folder nowhere"),
        (["--markdown", "nowhere/table.md"], "--markdown nowhere/table.md: there is no folder nowhere"),
    ],
)
def test_bad_input_is_a_message_and_an_exit_code(capsys, files, tmp_path, arguments, message):
    (tmp_path / "a.tsv").write_text("text\tlabel\n好\t正面\n", encoding="utf-8")
    if arguments[0] == "--fields":
        files = ["--train", tmp_path / "a.tsv", "--test", tmp_path / "a.tsv"]
    code, out, err = run(capsys, *files, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("nlpgen: ")
    assert message in err
    assert "Traceback" not in err
