import numpy as np
import pytest

from nlpgen import TextClassifier
from nlpgen.errors import InputError, InputWarning
from nlpgen.tasks import as_tuples, check_labelled, check_training
from tests.tasks.helpers import examples, tiny_bert


@pytest.mark.parametrize(
    ("texts", "rows"),
    [
        (["好", "坏"], [("好",), ("坏",)]),
        (np.array(["好", "坏"]), [("好",), ("坏",)]),
        ([("好", "很"), ["坏", ""]], [("好", "很"), ("坏", "")]),
        ({"a": ["好", "坏"], "b": ("很", "不")}, [("好", "很"), ("坏", "不")]),
        ({"text": ["好\ud800"]}, [("好\ufffd",)]),
        ([], []),
        ({"text": []}, []),
    ],
)
def test_forms(texts, rows):
    assert as_tuples(texts) == rows
    assert as_tuples(rows) == rows


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("好", "list of texts. Received: str"),
        (("好", "坏"), "list of texts. Received: tuple"),
        (None, "list of texts. Received: NoneType"),
        ({}, "must be lists, all as long"),
        ({"a": ["好"], "b": ["好", "坏"]}, r"all as long. Received: lengths \{'a': 1, 'b': 2\}"),
        ({"a": "好"}, "Received: '好' in 'a'"),
        ({"a": ["好"], "b": None}, "Received: None in 'b'"),
    ],
)
def test_what_is_no_list(texts, message):
    with pytest.raises(InputError, match=message):
        as_tuples(texts)


def test_all_wrong_texts_at_once():
    with pytest.raises(InputError) as error:
        as_tuples([("好", "很"), ("好", 3), " ", ("好",), (" ", ""), ("坏", "不")], "test ")
    assert str(error.value).splitlines()[:5] == [
        "These test texts cannot be used:",
        "  `test texts[1]` must be a string in each part. Received: 3 (int)",
        "  `test texts[2]` is empty",
        "  `test texts[3]` has 1 parts, most have 2",
        "  `test texts[4]` is empty",
    ]
    with pytest.raises(InputError, match="and 15 more"):
        as_tuples([""] * 25)


def test_all_wrong_labels_with_the_texts():
    with pytest.raises(InputError) as error:
        check_labelled(["好", "", "坏"], ["好", "好 ", "差", "空"], known=["好", "差"])
    for part in (
        "`texts[1]` is empty",
        "`labels[1]` is '好 ' (1 such labels). Strip them",
        "unknown labels 好 , 空: known are 好, 差",
        "got 3 texts and 4 labels",
    ):
        assert part in str(error.value)
    with pytest.raises(InputError, match=r"list of labels\. Received: str"):
        check_labelled(["好", "坏"], "好坏")
    assert check_labelled(["好"], ["好 "], known=["好 ", "差"]) == ([("好",)], ["好 "])


def test_contradictions_are_counted():
    texts, labels = ["好", "好", "坏", "坏", "中", "中"], ["正", "负", "负", "负", "正", "负"]
    with pytest.warns(InputWarning, match=r"^2 texts stand there with different labels, the first is 好 \(正, 负\)"):
        rows, found, classes = check_training(texts, labels)
    assert (len(rows), found, classes) == (6, labels, ["正", "负"])
    assert check_training(["好", "坏"], ["正", "负"], known=["负", "中", "正"])[2] == ["负", "中", "正"]
    with pytest.raises(InputError, match="All 2 labels are '正'"):
        check_training(["好", "坏"], ["正", "正"], known=["正", "负"])


def test_columns_and_more_than_two_parts():
    """What TextClassifier makes of them is what it makes of the pairs that they stand for."""
    texts, labels = examples(32, 0)
    classifier = TextClassifier(tiny_bert(), epochs=2, batch_size=16, learning_rate=3e-2, dropout=0.0)
    pairs = classifier.fit([(text, "天；地") for text in texts], labels).predict_proba([("甲乙", "天；地")])
    columns = {"a": texts, "b": ["天"] * 32, "c": ["地"] * 32}
    triples = classifier.fit(columns, labels).predict_proba({"a": ["甲乙"], "b": ["天"], "c": ["地"]})
    np.testing.assert_allclose(triples, pairs, rtol=1e-5)
    np.testing.assert_allclose(classifier.predict_proba(("甲乙", "天", "地")), pairs[0], rtol=1e-4)


def test_save_and_load(tmp_path):
    texts, labels = examples(16, 0)
    bert = tiny_bert()
    classifier = TextClassifier(bert, epochs=1, pooling="mean", max_length=7).fit(texts, labels)
    classifier.save(tmp_path / "out")
    again = TextClassifier.load(tmp_path / "out")
    np.testing.assert_allclose(again.predict_proba(texts), classifier.predict_proba(texts), rtol=1e-6)
    assert again.model is again.model_
    assert TextClassifier.load(tmp_path / "out", backbone=bert).model is bert
