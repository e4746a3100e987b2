"""Questions made of plain texts: what they ask for, and that a reader learns from them."""

import pytest

from nlpgen.errors import InputError
from nlpgen.reading import recurring_spans

TEXT = "长江全长六千多公里。黄河发源于青海。长江发源于青海，流经十一个省。他在2008年见过长江；2008年他二十岁。"


def test_the_answer_stands_in_the_passage_and_not_in_the_question():
    made = recurring_spans([TEXT], per_text=9)
    assert {each.answers[0] for each in made} == {"发源于青海", "长江", "2008年"}
    for each in made:
        (answer,), (passage,) = each.answers, each.passages
        assert answer in passage
        assert answer not in each.question
        word = "多少" if answer.isnumeric() else "什么"
        assert each.question.replace(word, answer) in TEXT
        assert each.question.replace(word, answer) not in passage


def test_part_of_a_longer_span_is_none():
    """发源于 and 青海 stand only where 发源于青海 does."""
    answers = [each.answers[0] for each in recurring_spans([TEXT], per_text=99)]
    assert len(answers) == len(set(answers))
    assert not {"发源于", "青海", "发源"} & set(answers)


def test_brute_force():
    """All answers are recurring stretches of characters, by a search that knows nothing of words, and each of those is
    an answer or a part of one.
    """
    sentences = [s for s in TEXT.replace("；", "。").split("。") if s]
    cut = {s[i:j] for s in sentences for i in range(len(s)) for j in range(i + 2, len(s) + 1)}
    recurring = {part for part in cut if sum(part in s for s in sentences) > 1}
    found = {each.answers[0] for each in recurring_spans([TEXT], per_text=99)}
    assert found <= recurring
    assert len(recurring) > 15
    assert all(any(part in answer for answer in found) for part in recurring)


def test_what_stands_in_many_texts_is_left_out():
    names = ("黄山", "长江", "北京", "上海", "广州", "天津", "重庆")
    texts = [f"昨天有人说{name}很好。昨天我问{name}在哪里。" for name in names]
    assert [each.answers for each in recurring_spans(texts, per_text=9)] == [(name,) for name in names]
    assert {each.answers[0] for each in recurring_spans(texts[:1], per_text=9)} == {"黄山", "昨天"}


def test_numbers_are_asked_for_by_how_many():
    (made,) = recurring_spans(["他于2008来到北京城里。我们2008离开了那里！"])
    assert made.answers == ("2008",)
    assert "多少" in made.question


@pytest.mark.parametrize("text", ["", "只有一句话", "没有。重复。", "啊啊啊啊啊啊啊啊", "。。。！！", "\n\n"])
def test_texts_that_give_nothing(text):
    assert recurring_spans([text]) == []


def test_seeds():
    texts = [TEXT, TEXT[::-1], TEXT.replace("江", "城")] * 2
    assert recurring_spans(texts, seed=3) == recurring_spans(texts, seed=3)
    assert any(recurring_spans(texts, seed=3) != recurring_spans(texts, seed=i) for i in range(4, 8))


def test_wrong_input():
    for options in ({"shortest": 3, "longest": 2}, {"per_text": 1.5}, {"longest": None}):
        with pytest.raises(InputError, match="whole numbers, 1 <= shortest"):
            recurring_spans([TEXT], **options)
    with pytest.raises(InputError):
        recurring_spans([3])
    with pytest.raises(InputError):
        recurring_spans(TEXT)


def test_lengths():
    lengths = {len(each.answers[0]) for each in recurring_spans([TEXT], per_text=9)}
    assert lengths == {2, 5}
    assert {len(each.answers[0]) for each in recurring_spans([TEXT], per_text=9, shortest=3)} == {5}
    assert {len(each.answers[0]) for each in recurring_spans([TEXT], per_text=9, longest=4)} == {2, 3, 4}
