"""Small files in the form of the released ones, and the released ones against the counts in their README."""

import json
import re

import pytest

from nlpgen.data import FEWCLUE, class_balance, find_leaks, read_fewclue, read_sentiment
from nlpgen.errors import InputError
from tests.helpers import shared_data

# One line of each task as it is released, what becomes of it, and its label.
LINES = {
    "eprstmt": ({"id": 0, "sentence": "很好", "label": "Positive"}, {"text": "很好"}, "正面"),
    "tnews": ({"label": 102, "label_desc": "news_x", "sentence": "新片", "keywords": ""}, {"text": "新片"}, "娱乐"),
    "iflytek": ({"label": 8, "label_des": "公共交通", "sentence": "坐\u2028车"}, {"text": "坐\u2028车"}, "公共交通"),
    "csldcp": ({"content": "论文", "label": "园艺学", "id": 1}, {"text": "论文"}, "园艺学"),
    "ocnli": (
        {"sentence1": "甲", "sentence2": "乙", "label": "neutral", "genre": "news"},
        {"text": "甲", "text_b": "乙"},
        "中立",
    ),
    "bustm": ({"id": 5, "sentence1": "甲", "sentence2": "乙", "label": "1"}, {"text": "甲", "text_b": "乙"}, "相同"),
    "csl": (
        {"id": 0, "abst": "文中提出", "keyword": ["查询", "隐私"], "label": "0"},
        {"text": "文中提出", "keywords": "查询、隐私"},
        "不符",
    ),
    "cluewsc": (
        {
            "target": {"span1_text": "树叶", "span1_index": 4, "span2_text": "他", "span2_index": 2},
            "label": "false",
            "text": "他说他像树叶",
        },
        {"text": "他说他像树叶", "span1": "树叶", "span2": "他", "marked": "他说[他]像_树叶_"},
        "错误",
    ),
    "chid": (
        {"id": 0, "candidates": ["心如刀割", "天方夜谭"], "content": "这真是#idiom#。", "answer": 1},
        {"before": "这真是", "after": "。", "candidates": ["心如刀割", "天方夜谭"]},
        "天方夜谭",
    ),
}


@pytest.mark.parametrize("task", FEWCLUE)
def test_a_line_of_each_task(tmp_path, task):
    line, columns, label = LINES[task]
    folder = tmp_path / task
    folder.mkdir()
    (folder / "label_index2en2zh.json").write_text('{"label_desc": "news_x", "label_zh": "娱乐"}\n', encoding="utf-8")
    for name in ("train_0", "unlabeled"):
        (folder / f"{name}.json").write_bytes((json.dumps(line, ensure_ascii=False) + "\r\n").encode() * 2)
    data = read_fewclue(tmp_path, task, "train_0")
    assert data.columns == {field: [value] * 2 for field, value in columns.items()}
    assert (data.labels, data.name) == ([label] * 2, task)
    assert read_fewclue(tmp_path, task, "unlabeled").labels is None


@pytest.mark.parametrize(("task", "split", "message"), [("tnew", "dev_0", "'tnews'"), ("tnews", "dev_9", "'dev_")])
def test_names_that_are_none(tmp_path, task, split, message):
    with pytest.raises(InputError, match=f"Did you mean {message}"):
        read_fewclue(tmp_path, task, split)


def test_lines_that_are_not_the_tasks(tmp_path):
    (tmp_path / "eprstmt").mkdir()
    lines = ['{"sentence": "好", "label": "Positive"}', '{"text": "好"}', '{"sentence": "好", "label": "1"}', "{"]
    (tmp_path / "eprstmt" / "train_0.json").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match="3 lines") as error:
        read_fewclue(tmp_path, "eprstmt", "train_0")
    for part in ("train_0.json:2: no line of eprstmt: KeyError 'sentence'", ":3: ", "KeyError '1'", ":4: "):
        assert part in str(error.value)


# Rows of train_i, dev_i, train_few_all, dev_few_all, test_public and unlabeled, and classes of train_few_all, as the
# data's README counts them.
COUNTS = {
    "eprstmt": (32, 32, 160, 160, 610, 19565, 2),
    "tnews": (240, 240, 1185, 1098, 2010, 20000, 15),
    "iflytek": (928, 690, 3024, 1373, 1749, None, 119),
    "ocnli": (32, 32, 160, 160, 2520, None, 3),
    "chid": (42, 42, 202, 202, 2002, 7585, None),
    "csl": (32, 32, 160, 160, 2838, None, 2),
    "cluewsc": (32, 32, 160, 159, 976, 0, 2),
}


@pytest.mark.needs_data("data/fewclue")
@pytest.mark.parametrize("task", COUNTS)
def test_the_released_tasks_have_as_many_rows(task):
    folder = shared_data("fewclue")
    *counts, unlabeled, classes = COUNTS[task]
    names = [*(f"train_{i}" for i in range(5)), *(f"dev_{i}" for i in range(5))]
    names += ["train_few_all", "dev_few_all", "test_public"]
    sets = {name: read_fewclue(folder, task, name) for name in names}
    expected = dict(zip(("train", "dev", "train_few_all", "dev_few_all", "test_public"), counts, strict=True))
    assert {name: len(data) for name, data in sets.items()} == {
        name: expected.get(name, expected.get(name[:-2])) for name in names
    }
    if unlabeled is not None:
        assert len(read_fewclue(folder, task, "unlabeled")) == unlabeled
    if classes is not None:
        assert len(class_balance(sets["train_few_all"].labels)) == classes
    if task == "cluewsc":  # whose training texts come again in the test set, with other spans
        assert find_leaks(sets["train_few_all"], sets["test_public"]).rows["train"] == []
        for text, marked in zip(*(sets["test_public"].columns[name] for name in ("text", "marked")), strict=True):
            assert re.sub(r"_(.*?)_|\[(.*?)\]", r"\1\2", marked) == text or "_" in text
    if task == "chid":
        data = sets["test_public"]
        assert all(len(row) == 7 for row in data.columns["candidates"])
        assert not any("#idiom#" in text for text in data.columns["before"])
        assert all(label in row for label, row in zip(data.labels, data.columns["candidates"], strict=True))


@pytest.mark.needs_data("data/fewclue")
def test_leaks_that_the_readme_counts():
    """45 of EPRSTMT's test texts stand in its unlabelled texts, none in its training texts."""
    folder = shared_data("fewclue")
    train, test, more = (
        read_fewclue(folder, "eprstmt", name) for name in ("train_few_all", "test_public", "unlabeled")
    )
    leaks = find_leaks(train, test, more)
    known = set(more.texts)
    assert leaks.rows["unlabeled"] == [i for i, text in enumerate(test.texts) if text in known]
    assert leaks.counts == {"train": 0, "unlabeled": 45, "repeated": 0}


@pytest.mark.needs_data("data/sentiment")
def test_the_sentiment_set():
    """680 of 2,111 test texts stand in train word for word, 8 among the first 168; 1,351 in no other split."""
    folder = shared_data("sentiment")
    train, valid, test = (read_sentiment(folder, split) for split in ("train", "valid", "test"))
    assert (len(train), len(valid), len(test)) == (16883, 2111, 2111)
    assert class_balance(test.labels) == {"负面": 1059, "正面": 1052}
    assert class_balance(train[:168].labels) == {"正面": 91, "负面": 77}
    for part, count in ((train, 680), (train[:168], 8), (valid, 89)):
        known = {text.strip() for text in part.texts}
        assert find_leaks(part, test).rows["train"] == [i for i, text in enumerate(test.texts) if text.strip() in known]
        assert find_leaks(part, test).counts["train"] == count
    clean = read_sentiment(folder, "test", clean=True)
    assert len(clean) == 1351
    listed = json.loads((folder / "clean_row_ids.json").read_text(encoding="utf-8"))["test"]
    found = find_leaks(train, test, validation=valid).clean_rows
    assert set(found) < set(listed)
    assert len(found) == 1347  # four texts are there again but for white space


@pytest.mark.parametrize(("split", "clean"), [("dev", False), ("train", True)])
def test_bad_splits_of_the_sentiment_set(tmp_path, split, clean):
    with pytest.raises(InputError, match="`split` must be"):
        read_sentiment(tmp_path, split, clean)


def test_the_sentiment_set_has_two_labels(tmp_path):
    (tmp_path / "sentiment.test.data").write_text("好\t1\n坏\t2\n", encoding="utf-8")
    with pytest.raises(InputError, match="labels are 0 and 1"):
        read_sentiment(tmp_path, "test")
