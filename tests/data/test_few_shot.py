from collections import Counter

import numpy as np
import pytest

from nlpgen.data import LabelledTexts, class_balance, few_shot_splits, find_leaks
from nlpgen.errors import InputError

LABELS = np.random.default_rng(0).permutation(["a"] * 60 + ["b"] * 25 + ["c"] * 15).tolist()


def counts(rows):
    return Counter(LABELS[i] for i in rows)


def test_class_balance():
    assert list(class_balance(LABELS).items()) == [("a", 60), ("b", 25), ("c", 15)]
    assert list(class_balance(["b", "a"])) == ["a", "b"]


@pytest.mark.parametrize("disjoint", [False, True])
def test_per_class(disjoint):
    splits = few_shot_splits(LABELS, per_class=3, n=5, disjoint=disjoint)
    assert len(splits) == 5
    for rows in splits:
        assert counts(rows) == {"a": 3, "b": 3, "c": 3}
        assert rows == sorted(set(rows))
    assert (len(set().union(*splits)) == 45) is disjoint


@pytest.mark.parametrize("disjoint", [False, True])
@pytest.mark.parametrize("total", [1, 2, 7, 8, 9])
def test_total_is_as_balanced_as_can_be(total, disjoint):
    splits = few_shot_splits(LABELS, total=total, n=5, disjoint=disjoint)
    for rows in splits:
        found = [counts(rows)[label] for label in "abc"]
        assert sum(found) == len(set(rows)) == total
        assert max(found) - min(found) <= 1
    assert not disjoint or len(set().union(*splits)) == 5 * total


def test_the_odd_row_goes_to_any_class():
    extra = [counts(rows).most_common(1)[0][0] for rows in few_shot_splits(LABELS, total=4, n=60)]
    assert set(extra) == set("abc")


def test_where_a_class_runs_out_the_others_fill_up():
    for rows in few_shot_splits(LABELS, total=80, n=3):
        assert counts(rows) == {"a": 40, "b": 25, "c": 15}
    assert few_shot_splits(LABELS, total=100, n=1) == [list(range(100))]


def test_a_larger_size_holds_the_smaller():
    small, large = (few_shot_splits(LABELS, total=total, n=4) for total in (5, 23))
    assert all(set(a) < set(b) for a, b in zip(small, large, strict=True))
    assert all(set(a) < set(b) for a, b in zip(few_shot_splits(LABELS, per_class=1, n=4), small, strict=True))


def test_seeds():
    a, b, c = (few_shot_splits(LABELS, total=20, seed=seed) for seed in (0, 0, 1))
    assert a == b
    assert all(x != y for x, y in zip(a, c, strict=True))
    assert len(set(map(tuple, a))) == 5


def test_every_row_is_drawn_as_often_as_its_class_allows():
    """Each row of a class of n comes in k of n splits: 600 splits, within 5 standard errors."""
    drawn = Counter(i for rows in few_shot_splits(LABELS, per_class=5, n=600) for i in rows)
    for i, label in enumerate(LABELS):
        p = 5 / class_balance(LABELS)[label]
        assert abs(drawn[i] - 600 * p) < 5 * np.sqrt(600 * p * (1 - p))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Give `per_class` or `total`"),
        ({"per_class": 1, "total": 3}, "Give `per_class` or `total`"),
        ({"per_class": 0}, "1 or more"),
        ({"total": 2.5}, "1 or more"),
        ({"total": 9, "n": 0}, "1 or more"),
        ({"per_class": 30}, "5 splits need 30 rows of each class, but b has 25, c has 15"),
        ({"per_class": 4, "disjoint": True}, "5 disjoint splits need 20 rows of each class, but c has 15"),
        ({"total": 101}, "5 splits need 101 rows, but there are 100"),
        ({"total": 30, "disjoint": True}, "need 150 rows, but there are 100"),
    ],
)
def test_bad_sizes(options, message):
    with pytest.raises(InputError, match=message):
        few_shot_splits(LABELS, **options)


def test_no_labels():
    with pytest.raises(InputError, match="there are none"):
        few_shot_splits([], per_class=1)


def test_leaks():
    test = ["很好", "太 差", "不错", "ＡＢＣ", "独一份", "独一份"]
    leaks = find_leaks(["很\u3000好\n"], test, ["ABC", "很好"], validation=["太差"])
    assert leaks.rows == {"train": [0], "validation": [1], "unlabeled": [0, 3], "repeated": [4, 5]}
    assert leaks.counts == {"train": 1, "validation": 1, "unlabeled": 2, "repeated": 2}
    assert leaks.clean_rows == [2]
    assert str(leaks) == "1 of 6 test rows are clean (1 train, 1 validation, 2 unlabeled, 2 repeated)"


def test_a_pair_leaks_as_a_whole():
    test = {"text": ["甲", "甲", "甲乙"], "text_b": ["乙", "丙", ""]}
    assert find_leaks([("甲", "乙")], test).rows["train"] == [0]
    candidates = {"content": ["甲", "甲"], "candidates": [["一", "二"], ["一", "三"]]}
    assert find_leaks({"content": ["甲"], "candidates": [["一", "三"]]}, candidates).rows == {
        "train": [1],
        "repeated": [],
    }


def test_columns_are_compared_by_name():
    test = {"text": ["甲", "丙"], "text_b": ["乙", "丁"], "source": ["报", "刊"]}
    turned = LabelledTexts({"text_b": ["乙", "丙"], "text": ["甲", "丁"]}, ["是", "否"])
    assert find_leaks(turned, test).rows == {"train": [0], "repeated": []}
    assert find_leaks(turned, test, {"text_b": ["丁"]}).rows["unlabeled"] == [1]


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"question": ["甲"]}, "has the columns text, text_b, train has question, none of them the same"),
        (["甲"], "of the test set have 2 fields, those of train 1"),
    ],
)
def test_sets_without_a_common_field(train, message):
    with pytest.raises(InputError, match=message):
        find_leaks(train, {"text": ["甲"], "text_b": ["乙"]})


def test_leaks_by_every_pair():
    generator = np.random.default_rng(1)
    train, test, more = (["".join(generator.choice(list("甲乙 "), 3)) for _ in range(n)] for n in (5, 40, 6))

    def same(a, b):
        return a.replace(" ", "") == b.replace(" ", "")

    leaks = find_leaks(train, test, more)
    assert leaks.rows["train"] == [i for i, a in enumerate(test) if any(same(a, b) for b in train)]
    assert leaks.rows["unlabeled"] == [i for i, a in enumerate(test) if any(same(a, b) for b in more)]
    assert leaks.rows["repeated"] == [i for i, a in enumerate(test) if sum(same(a, b) for b in test) > 1]
