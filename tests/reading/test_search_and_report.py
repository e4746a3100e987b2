import builtins
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from nlpgen import MLMReader, QAExample, Retriever, SpanReader
from nlpgen.cli import main
from nlpgen.errors import InputError, NlpgenError, OutputError
from nlpgen.reading import Answer, write_report
from nlpgen.reading.documents import LONGEST, read_documents
from nlpgen.reading.retriever import terms
from tests.reading.helpers import SMALL, tiny_mlm

PASSAGES = [
    "北京是中国的首都，天安门在那里。",
    "猫喜欢吃鱼，也喜欢晒太阳。",
    "",
    "鱼在水里游。",
    "ＡＰＰＬＥ公司的手机",
]


def bm25(question, passages, k1=1.5, b=0.75):
    """Lucene's form of BM25, told anew from its formula."""
    rows = [terms(text) for text in passages]
    mean = np.mean([len(row) for row in rows])
    scores = []
    for row in rows:
        score = 0.0
        for term in terms(question):
            holding = sum(term in other for other in rows)
            idf = np.log(1 + (len(rows) - holding + 0.5) / (holding + 0.5))
            count = row.count(term)
            score += idf * count / (count + k1 * (1 - b + b * len(row) / mean))
        scores.append(score)
    return np.array(scores)


def test_scores_are_bm25():
    retriever = Retriever(PASSAGES)
    for question in ("中国的首都在哪里？", "猫吃什么鱼？", "apple"):
        expected = bm25(question, PASSAGES)
        hits = retriever.search(question, 10)
        assert [hit.index for hit in hits] == [i for i in np.argsort(-expected, kind="stable") if expected[i] > 0]
        np.testing.assert_allclose([hit.score for hit in hits], sorted(expected[expected > 0])[::-1], rtol=1e-4)
        assert all(hit.text == PASSAGES[hit.index] for hit in hits)
    assert retriever.search("？！", 3) == retriever.search("龘", 3) == []
    assert len(retriever.search("鱼", 1)) == 1
    assert [len(hits) for hits in retriever.search_batch(["鱼", "龘", "鱼"], 5)] == [2, 0, 2]


def test_nothing_to_search():
    for passages in ([], ["", " 。"]):
        with pytest.raises(InputError, match="no passage to search"):
            Retriever(passages)


def test_wrong_searches():
    for passages, message in (
        ("北京是首都", "must be a list of strings"),
        ([None], r"passages\[0\]. must be a string"),
    ):
        with pytest.raises(InputError, match=message):
            Retriever(passages)
    retriever = Retriever(PASSAGES)
    with pytest.raises(InputError, match=r"must be a string\. Received: None"):
        retriever.search(None)
    for top_k in (0, -1, "3"):
        with pytest.raises(InputError, match="`top_k` must be a whole number"):
            retriever.search("鱼", top_k)
    assert retriever.search("\ud800鱼", 9)[0].text == PASSAGES[3]


def test_a_missing_library_is_named(monkeypatch):
    def without(name, *args, **kwargs):
        if name == "bm25s":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NlpgenError, match=r"pip install 'nlpgen\[search\]'"):
        Retriever(PASSAGES)


def test_documents(tmp_path):
    (tmp_path / "b").mkdir()
    long = "很长的一句话。" * 100
    (tmp_path / "b" / "二.md").write_text(f"第一段。\r\n\n{long}\n结尾\u2028一行", "utf-8")
    (tmp_path / "一.txt").write_text("\ufeff甲\n\n乙\n", "utf-8")
    (tmp_path / "c.bin").write_bytes(b"\xff")
    (tmp_path / ".git" / "d.md").mkdir(parents=True)
    (tmp_path / ".git" / "e.md").write_text("藏", "utf-8")
    (tmp_path / "d.md").mkdir()
    documents = read_documents(tmp_path)
    assert {each.path.name for each in documents} == {"一.txt", "二.md"}
    assert [(each.text, each.line) for each in documents if each.path.name == "一.txt"] == [("甲\n\n乙", 1)]
    of_two = [each for each in documents if each.path.name == "二.md"]
    assert of_two[0].text == "第一段。"
    assert [each.line for each in of_two] == [1, 3, 3]
    assert all(len(each.text) <= LONGEST for each in documents)
    assert "".join(each.text for each in of_two).replace("\n", "") == f"第一段。{long}结尾\u2028一行"
    assert of_two[1].text.endswith("。")
    assert read_documents(tmp_path / "一.txt")[0].text == "甲\n\n乙"
    (tmp_path / "gbk.txt").write_bytes("汉字".encode("gbk"))
    with pytest.raises(InputError, match=r"(?s)1 files are not UTF-8.*gbk.txt: byte 0.*iconv"):
        read_documents(tmp_path)


def test_no_documents(tmp_path):
    for folder in (tmp_path / "no", "~nobody-of-that-name/texts"):
        with pytest.raises(InputError, match=f"There is no {folder}"):
            read_documents(folder)
    with pytest.raises(InputError, match="has no text"):
        read_documents(tmp_path)


def test_ask(tmp_path, capsys):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("天地人\n\n甲乙丙丁日月山水\n", "utf-8")
    MLMReader(tiny_mlm(), **SMALL, threshold=0.0).save(tmp_path / "reader")
    arguments = ["ask", "--reader", str(tmp_path / "reader"), "--top-k", "2", str(folder), "日月？"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["question"] == "日月？"
    assert found["answer"] == found["answers"][0]["text"]
    assert found["passages"] == 1
    assert 0 < found["no_answer"] < 1
    text = (folder / "a.txt").read_text("utf-8").split("\n")
    for row in found["answers"]:
        first, *others = row["text"].split("\n")
        assert text[row["line"] - 1].endswith(first) if others else first in text[row["line"] - 1]
        assert f"【{row['text']}】".replace("\n", " ") in row["context"]
    assert main([*arguments, "龘？"]) == 0
    out = capsys.readouterr().out
    assert f"日月？\n  {found['answer']}  {found['answers'][0]['score']:.2f}  " in out
    assert f"\n  (no answer)  {found['no_answer']:.2f}\n龘？" in out
    assert f"{folder / 'a.txt'}:" in out
    assert out.endswith("龘？\n  (nothing found)\n")
    MLMReader.load(tmp_path / "reader", threshold=1.0).save(tmp_path / "silent")
    assert main(["ask", "--reader", str(tmp_path / "silent"), str(folder), "日月？"]) == 0
    assert capsys.readouterr().out.startswith("日月？\n  (no answer)  ")
    for option in ("--passages", "--top-k"):
        for value in ("0", "-3", "2.5"):
            with pytest.raises(SystemExit):
                main([*arguments, option, value])
            expected = f"error: argument {option}: must be a whole number, 1 or more. Received: '{value}'"
            assert expected in capsys.readouterr().err
    assert main(["ask", str(tmp_path / "no"), "日？"]) == 2
    assert "There is no" in capsys.readouterr().err


def test_ask_needs_its_reader(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("天地人", "utf-8")
    SpanReader(tiny_mlm(), **SMALL, epochs=1).fit([QAExample("天？", "天地", "地")]).save(tmp_path / "spans")
    tiny_mlm().save_pretrained(tmp_path / "plain")
    for name, message in (
        (tmp_path / "spans", "is a SpanReader: load it with SpanReader.load. --reader must be an MLMReader."),
        (tmp_path / "plain", "is a MaskedLM, not a reader. Train one: MLMReader(mlm).fit(examples). --reader must be"),
    ):
        assert main(["ask", "--reader", str(name), str(tmp_path / "a.txt"), "天？"]) == 2
        assert capsys.readouterr().err.startswith(f"nlpgen: {name} {message}")
    assert main(["ask", "--reader", "~nobody-of-that-name/x", str(tmp_path / "a.txt"), "天？"]) == 2
    assert "There is no model at ~nobody-of-that-name/x." in capsys.readouterr().err


def test_ask_prints_what_is_not_utf8(tmp_path, capsys):
    """Python has bytes of arguments and file names that are not UTF-8 as lone surrogates."""
    try:
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.txt"))
        path.write_text("甲乙丙丁日月山水", "utf-8")
    except OSError as error:
        if error.errno != errno.EILSEQ:
            raise
        pytest.skip("this file system, as macOS's, has names in UTF-8 only")
    MLMReader(tiny_mlm(), **SMALL, threshold=0.0).save(tmp_path / "reader")
    arguments = ["ask", "--reader", str(tmp_path / "reader"), str(path), "日\udcff月？"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["question"] == "日\udcff月？"  # nothing is lost
    assert found["answers"][0]["file"] == str(path)
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith("日\\udcff月？\n  ")
    assert f"{tmp_path}/a\\udcff.txt:1  " in out
    path.unlink()
    assert main(arguments) == 2
    assert f"There is no {tmp_path}/a\\udcff.txt." in capsys.readouterr().err


def test_ask_prints_an_answer_on_one_line(tmp_path, capsys):
    text = "日\r\n\n月\u2028山"
    (tmp_path / "a.txt").write_bytes(text.encode())
    options = SMALL | {"epochs": 30, "batch_size": 4, "learning_rate": 1e-2, "negative_rate": 0.0}
    reader = MLMReader(tiny_mlm(), **options, threshold=0.0).fit([QAExample("日？", text, text)] * 4)
    reader.save(tmp_path / "reader")
    arguments = ["ask", "--reader", str(tmp_path / "reader"), str(tmp_path / "a.txt"), "日\n？"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["answer"], found["answers"][0]["text"]) == ("日\n\n月\u2028山",) * 2
    assert main(arguments) == 0
    question, answer, none = capsys.readouterr().out.rstrip("\n").split("\n")
    assert question == "日 ？"
    assert answer.startswith("  日 月 山  ")
    assert answer.endswith(f"{tmp_path / 'a.txt'}:1  【日 月 山】")
    assert none.startswith("  (no answer)  ")


def test_report(tmp_path):
    examples = [
        QAExample(
            "首都<是>哪里？", ["甲" * 300 + "北京市&" + "乙" * 9 + "北京" + "乙" * 300, "别的"], ["北京"], "q1", "地"
        ),
        QAExample("对吗？", ["对"], ["对"]),
        QAExample("没有？", ["文"], []),
        QAExample("哪年？", ["空"], ["空"]),
    ]
    other = Answer("别", 0.3, 1, 0, 1)
    answers = [
        Answer("北京市", 0.9, 0, 300, 303, [other], 0.05),
        Answer("对", 0.8, 0, 0, 1, [], 0.1),
        Answer("文", 0.4, 0, 0, 1, [], 0.5),
        Answer("", 0.7, None, 0, 0, [], 0.7),
    ]
    scores = write_report(tmp_path / "report.html", examples, answers)
    groups = scores["groups"]  # F1: 80 of 北京市, 100 of 对, 0 of the others
    assert groups["地"] == pytest.approx({"exact_match": 0, "f1": 80, "average": 40, "questions": 1})
    assert groups[""] == pytest.approx({"exact_match": 100 / 3, "f1": 100 / 3, "average": 100 / 3, "questions": 3})
    assert {name: value for name, value in scores.items() if name != "groups"} == pytest.approx(
        {
            "exact_match": 100 / 4,
            "f1": 180 / 4,
            "average": (100 + 180) / 8,
            "questions": 4,
            "has_answer_exact_match": 100 / 3,  # of the three that have one
            "has_answer_f1": 180 / 3,
            "no_answer_accuracy": 0,
            "ece": (0.9 + (1 - 0.8) + 0.4 + 0.7) / 4,  # each in a bin of its own
        }
    )
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "3 of 4 questions" in page
    assert "首都&lt;是&gt;哪里？" in page
    assert f'<mark class="both">北京</mark><mark class="found">市</mark>&amp;{"乙" * 9}<mark class="right">北京' in page
    assert "<tr><th>地: f1</th><td>80.00</td></tr>" in page
    assert "…甲" in page
    assert "<tr><th>ece (0 to 1)</th><td>0.55</td></tr>" in page
    assert page.index("没有？") < page.index("首都")  # the worst first
    assert "对吗？" not in page
    assert '<mark class="right">空</mark>' in page
    assert len(page) < 5000
    with pytest.raises(InputError, match="4 examples and 1 answers"):
        write_report(tmp_path / "x.html", examples, answers[:1])
    with pytest.raises(InputError, match=r"must be what `answer_batch` gives\. Received: '对'"):
        write_report(tmp_path / "x.html", examples, [*answers[:3], "对"])
    with pytest.raises(InputError, match=r"`most` must be a whole number, 0 or more\. Received: -1"):
        write_report(tmp_path / "x.html", examples, answers, most=-1)
    with pytest.raises(InputError, match=r"`metric` must be one of .* Received: \['cmrc2018'\]"):
        write_report(tmp_path / "x.html", examples, answers, metric=["cmrc2018"])
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "no" / "x.html", tmp_path / "folder", "~nobody-of-that-name/x.html"):
        with pytest.raises(OutputError, match=f"{place} cannot be written"):
            write_report(place, examples, answers)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder", "report.html"]


def test_a_report_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path, examples, answers = tmp_path / "report.html", [QAExample("问", "文", "文")], [Answer("", 1.0, None, 0, 0)]
    path.write_text("before", "utf-8")

    def full(self, page, **kwargs):
        with open(self, "w", encoding="utf-8") as file:
            file.write(page[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OutputError, match="cannot be written: No space left"):
            write_report(path, examples, answers)
    assert path.read_text("utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]
    write_report(path, examples, answers)
    assert "1 of 1 questions" in path.read_text("utf-8")
