"""What benchmarks compute themselves, on files made here."""

import importlib
import json
import lzma

import numpy as np
import pytest

from nlpgen import MLMReader, QAExample, Seq2SeqReader
from tests.reading.helpers import SMALL, examples, tiny_mlm
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


@pytest.fixture
def reading(monkeypatch, request):
    monkeypatch.syspath_prepend(request.config.rootpath / "benchmarks")
    return importlib.import_module("reading")


def pairs_of(count):
    return [(each.question, each.passages) for each in examples(count, 5)]


def test_without_a_cache_the_answers_are_the_same(reading):
    reader = Seq2SeqReader(tiny_mlm(), **SMALL, beam_width=1, threshold=0.0)
    reader.model_, reader.temperature_, reader.threshold_ = reader._new_model(), 1.0, 0.0
    uncached = reading.twin("seq2seq-greedy, no cache", {"seq2seq": reader})
    found = [each.answer_batch(pairs_of(30), 2) for each in (reader, uncached)]
    for ours, theirs in zip(*found, strict=True):
        assert (ours.text, ours.start) == (theirs.text, theirs.start)
        assert (ours.score, ours.no_answer) == pytest.approx((theirs.score, theirs.no_answer), rel=1e-5)


def test_the_port_to_pytorch_answers_the_same(reading):
    pytest.importorskip("transformers")
    mlm = tiny_mlm()
    for weight in mlm.head.weights:
        if weight.name == "bias":
            weight.assign(np.where(np.arange(weight.shape[0]) == 3, 1.5, weight.numpy()))  # some answers end
    reader = MLMReader(mlm, **SMALL, decoding="greedy", vote="bert4keras")
    ours, theirs = reader.answer_batch(pairs_of(30)), reading.TorchPort(reader, 7).answer_batch(pairs_of(30))
    assert [each.text for each in ours] == [each.text for each in theirs]
    assert [each.score for each in ours] == pytest.approx([each.score for each in theirs], rel=1e-5)
    assert sum(bool(each.text) for each in ours) > 10


def test_parts_that_share_no_passage(reading):
    made = [each for each in examples(30, 0) for _ in range(4)]
    first, others = reading.by_passage(reading.shuffled(made, 0), 10)
    assert len(first) == 12
    assert len(first) + len(others) == 120
    assert not {each.passages for each in first} & {each.passages for each in others}
    assert len({each.passages for each in others[:16]}) > 8  # still shuffled


def write_cmrc(path, made):
    rows = [
        {"context_text": each.passages[0], "qas": [{"query_text": each.question, "answers": list(each.answers)}]}
        for each in made
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(rows), "utf-8")


def test_reading_on_files_made_here(reading, tmp_path, capsys):
    """Once anew, with all that it measures; once from what is kept, with a picture."""
    for name, seed in (("expmrc/train-pseudo-cmrc2018.json", 0), ("cmrc2018/cmrc2018_dev.json", 1)):
        write_cmrc(tmp_path / name, examples(40, seed))
    tiny_mlm(longest=128).save_pretrained(tmp_path / "model")
    arguments = ["--data", str(tmp_path), "--model", str(tmp_path / "model"), "--work", str(tmp_path / "work")]
    arguments += ["--questions", "8", "--valid", "8", "--test", "6", "--steps", "1", "--epochs", "1"]
    arguments += ["--passage-length", "16", "--answer-length", "4", "--learning-rate", "1e-3,span-long=1e-2"]
    readers = ["mlm", "mlm-vote", "mlm-greedy", "span-long", "seq2seq", "seq2seq-greedy"]
    (tmp_path / "work").mkdir()
    reading.main([*arguments, "--readers", ",".join(readers), "--timed", "2"])
    out = capsys.readouterr().out
    table = [line.strip("| ").split(" | ") for line in out.splitlines() if line.startswith("| ")][1:]
    assert [row[:3] for row in table] == [[name, "8", "0"] for name in readers]
    assert all(len(row) > 6 for row in table if row[0] in ("mlm", "span-long", "seq2seq"))
    assert all(len(row) == 5 for row in table if row[0] in ("mlm-vote", "mlm-greedy"))
    assert "no cache: the same answer to 2 of 2" in out
    assert "questions per second" in out
    assert "until its outputs: " in out
    kept = {path.name for path in (tmp_path / "work").iterdir()}
    assert len(kept) == len(readers) + 3  # a file each, and a folder of those that were trained
    assert any("span-long" in name and "0_01" in name for name in kept)
    arguments += ["--timed", "0", "--plot", str(tmp_path / "curve.png")]
    reading.main([*arguments, "--readers", "mlm,mlm-vote"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    again = [line.strip("| ").split(" | ") for line in lines]
    assert again == [row for row in table if row[0] in ("mlm", "mlm-vote")]
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    write_cmrc(tmp_path / "dureader_robust/dev.json", examples(6, 2))
    reading.main([*arguments[:-2], "--readers", "mlm", "--set", "dureader_robust"])
    new = {path.name for path in (tmp_path / "work").iterdir()} - kept
    assert [name.split(".", 1)[1] for name in new] == ["dureader_robust.6.json"]  # no reader was trained for it


def test_means_of_the_seeds(reading, capsys):
    """Of each measure; without an ECE there is no cell, and no line for a reader that has none."""
    none = [None] * 3
    rows = [("span", 32, 0, [1.0, 9.0, None, *none]), ("span", 16, 0, [0.5, 3.0, 7.0, *none])]
    rows += [("mlm", 16, 0, [2.0, 4.0, None, *none]), ("span", 16, 1, [1.5, 5.0, 9.0, *none])]
    reading.print_seeds([*rows, ("mlm", 32, 0, [6.0, 8.0, None, *none])])
    assert capsys.readouterr().out.split("\n\n") == [
        "\n| EM | 16 | 32 |\n|---|---|---|\n| span | 1.0 (0.5, 1.5) | 1.0 (1.0) |\n| mlm | 2.0 (2.0) | 6.0 (6.0) |",
        "| F1 | 16 | 32 |\n|---|---|---|\n| span | 4.0 (3.0, 5.0) | 9.0 (9.0) |\n| mlm | 4.0 (4.0) | 8.0 (8.0) |",
        "| ECE before | 16 | 32 |\n|---|---|---|\n| span | 8.0 (7.0, 9.0) |  |",
        "",
    ]


def test_a_reader_from_texts_alone_and_from_files_made_here(monkeypatch, request, tmp_path, capsys):
    """What the first leaves is where the second begins."""
    monkeypatch.syspath_prepend(request.config.rootpath / "benchmarks")
    train_on_texts, train_reader = map(importlib.import_module, ("train_on_texts", "train_reader"))
    tiny_mlm(longest=128).save_pretrained(tmp_path / "model")
    text = "天地很大，日月在天上。人在地上，日月很明。\n"
    (tmp_path / "a.txt").write_text(text * 8, "utf-8")
    with lzma.open(tmp_path / "b.txt.xz", "wt", encoding="utf-8") as file:
        file.write(text * 8)
    texts = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt.xz")]
    lengths = ["--passage-length", "16", "--epochs", "1"]
    saved = ["--work", str(tmp_path / "work"), "--save", str(tmp_path / "begun")]
    begun = ["--texts", *texts, "--length", "30", "--valid", "2", "--model", str(tmp_path / "model")]
    train_on_texts.main([*begun, *lengths, *saved])
    out = capsys.readouterr().out
    assert "8 texts, " in out
    assert "of 2\n" in out
    for name, seed in (("train.json", 0), ("dev.json", 1)):
        asked = [QAExample("天地人？", each.passages, each.answers) for each in examples(24, seed)]
        write_cmrc(tmp_path / name, asked)
    files = ["--train", str(tmp_path / "train.json"), "--dev", str(tmp_path / "dev.json"), "--valid", "8"]
    saved = ["--work", str(tmp_path / "work2"), "--save", str(tmp_path / "saved")]
    train_reader.main(["--model", str(tmp_path / "begun"), "--answer-length", "4", *files, *lengths, *saved])
    out = capsys.readouterr().out
    assert "16 questions, " in out
    assert "% of pairs" in out
    assert "dev: EM " in out
    train_reader.main(["--trained", str(tmp_path / "saved"), *files])
    again = capsys.readouterr().out
    assert out.split("% of pairs")[1].split(" questions per")[0].rsplit("\n", 1)[0] in again
    passage = "甲乙日丙丁"
    answer = MLMReader.load(tmp_path / "saved").set_params(threshold=0.0).answer("天地人？", passage)
    assert answer.text == passage[answer.start : answer.end] != ""


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
    assert numbers["vMF"]["kl"] == pytest.approx(8, abs=1e-5)
    for name in names:
        assert f"| {name} | {numbers[name]['nll']:.2f} | {numbers[name]['perplexity']:.2f} |" in printed
    difference = numbers["vMF"]["nll"] - numbers["lm"]["nll"]
    assert f"nll, vMF (KL 8.0) - lm (KL 0.0): {difference:+.2f}" in printed
    monkeypatch.setattr(text_vae, "run", None)  # all is there
    text_vae.main(arguments)
    assert capsys.readouterr().out.split("\n\n")[1:] == printed.split("\n\n")[1:]  # above is the load of the machine
    with pytest.raises(SystemExit, match="Give the same settings"):
        text_vae.main([*arguments, "--epochs", "2"])
