import json

import numpy as np
import pytest

from nlpgen.data import LabelledTexts, as_rows, read_labelled
from nlpgen.errors import InputError

TEXTS = ["房间很干净", "太差了\u2028再也不来", '他说"好"，其实不好']
LABELS = ["正面", "负面", "负面"]


def write(path, text):
    path.write_bytes(text.encode())
    return path


def test_labelled_texts():
    data = LabelledTexts({"text": list("甲乙丙"), "text_b": list("一二三")}, list("xyz"), "name")
    assert len(data) == 3
    assert data.texts == [("甲", "一"), ("乙", "二"), ("丙", "三")]
    assert data.inputs is data.columns
    for rows in ([2, 0], np.array([2, 0])):
        part = data[rows]
        assert (part.columns, part.labels, part.name) == (
            {"text": ["丙", "甲"], "text_b": ["三", "一"]},
            ["z", "x"],
            "name",
        )
    assert data[1:].labels == ["y", "z"]
    assert len(data[[]]) == 0
    single = LabelledTexts({"text": ["甲"]}, None)
    assert single.texts == single.inputs == ["甲"]
    assert single[:1].labels is None


@pytest.mark.parametrize(
    ("columns", "labels", "message"),
    [({"a": ["x"], "b": []}, None, "a: 1, b: 0"), ({"a": ["x"]}, [], "label: 0"), ({}, [], "label: 0")],
)
def test_columns_that_do_not_fit(columns, labels, message):
    with pytest.raises(InputError, match=message):
        LabelledTexts(columns, labels)


def test_rows_of_any_form():
    expected = [("甲", "一"), ("乙", "二")]
    columns = {"text": ["甲", "乙"], "text_b": ["一", "二"]}
    for texts in (columns, LabelledTexts(columns, None), expected, [list(row) for row in expected]):
        assert as_rows(texts) == expected
    assert as_rows(["甲", "乙"]) == [("甲",), ("乙",)]
    assert as_rows([]) == as_rows({"text": []}) == []


def rows_of(end, *head):
    return end.join([*head, *(f"{text}\t{label}" for text, label in zip(TEXTS, LABELS, strict=True)), ""])


@pytest.mark.parametrize(
    "text",
    [rows_of("\n"), rows_of("\r\n"), rows_of("\n", "text\tlabel"), "\ufeff" + rows_of("\n\n"), rows_of("\n").rstrip()],
)
def test_tabs(tmp_path, text):
    data = read_labelled(write(tmp_path / "train.tsv", text))
    assert (data.texts, data.labels, data.name) == (TEXTS, LABELS, "train")


def test_commas_and_quotes(tmp_path):
    text = 'label,text\n正面,"好，很好, ""真""好\n第二行"\n\n负面,差\n'
    data = read_labelled(write(tmp_path / "a.csv", text))
    assert (data.texts, data.labels) == (['好，很好, "真"好\n第二行', "差"], ["正面", "负面"])


def test_json_lines(tmp_path):
    lines = [{"text": text, "id": i, "label": i} for i, text in enumerate(TEXTS)]
    path = write(tmp_path / "a.jsonl", "\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    data = read_labelled(path)
    assert (data.texts, data.labels) == (TEXTS, ["0", "1", "2"])
    with pytest.raises(InputError, match="`id` must be a string"):
        read_labelled(path, fields=["id"])


def test_pairs_and_other_columns(tmp_path):
    path = write(tmp_path / "pairs.tsv", "甲\t一\tx\n乙\t二\ty\n")
    assert read_labelled(path).columns == {"text": ["甲", "乙"], "text_b": ["一", "二"]}
    path = write(tmp_path / "named.tsv", "id\tlabel\ttitle\tbody\n7\tx\t题\t文\n")
    assert read_labelled(path, fields=["title", "body"]).columns == {"title": ["题"], "body": ["文"]}
    with pytest.raises(InputError, match=r"no column text\. It has: id, label, title, body"):
        read_labelled(path)


def test_without_labels(tmp_path):
    data = read_labelled(write(tmp_path / "a.txt", "甲\n乙\n"), labelled=False)
    assert (data.columns, data.labels) == ({"text": ["甲", "乙"]}, None)
    data = read_labelled(write(tmp_path / "b.tsv", "text\tlabel\n甲\tx\n"), labelled=False)
    assert (data.columns, data.labels) == ({"text": ["甲"]}, None)
    path = write(tmp_path / "c.jsonl", '{"text": "甲"}')
    assert read_labelled(path, labelled=False).texts == ["甲"]
    with pytest.raises(InputError, match="no column label"):
        read_labelled(path)


def test_white_space_around_labels_is_counted(tmp_path):
    path = write(tmp_path / "a.tsv", "甲\t正面 \n乙\t正面\n丙\t\u3000正面\n")
    with pytest.warns(UserWarning, match="2 labels had white space"):
        assert read_labelled(path).labels == ["正面"] * 3


def test_all_bad_lines_at_once(tmp_path):
    path = write(tmp_path / "a.tsv", "甲\tx\n乙\n \ty\n\n丙\tx\t1\n丁\t \n")
    with pytest.raises(InputError) as error:
        read_labelled(path)
    for part in (
        "has 4 lines",
        "a.tsv:2: 1 columns, expected 2 (text, label)",
        "a.tsv:3: the text is empty",
        "a.tsv:5: 3 columns",
        "a.tsv:6: `label` must be a string that is not empty",
    ):
        assert part in str(error.value)
    lines = ['{"text": "甲", "label": "x"}', "[]", "{", '{"text": 3, "label": "x"}', '{"text": "甲", "label": true}']
    with pytest.raises(InputError) as error:
        read_labelled(write(tmp_path / "a.json", "\n".join([*lines, *["{"] * 5])))
    for part in ("9 lines", "a.json:2: not an object", "a.json:3: not JSON", "a.json:4", "a.json:5", "and 4 more"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"", "must end in one of .tsv"),
        ("a.tsv", b"", "has no texts"),
        ("a.tsv", "好\tx\n坏\tx".encode("gbk"), r"a\.tsv:1: not UTF-8: byte 0xba at 0"),
        ("a.csv", '好,x\n"坏,x\n'.encode(), r"a\.csv:\d: no CSV"),
        ("a.tsv", b"text\ttext\n1\t2", "two columns have the same name"),
        ("a.tsv", b"text\tlabels\n1\t2", r"no column label. It has: text, labels"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_labelled(tmp_path / name)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_labelled(tmp_path / "nowhere.tsv")
