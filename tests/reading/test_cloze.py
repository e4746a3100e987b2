"""Cloze questions made of plain texts: what they ask for, with which word, and what they leave out."""

import pytest

from nlpgen.errors import InputError
from nlpgen.reading import cloze_questions
from nlpgen.reading.cloze import ASKING, ASKING_CLAUSE

TEXT = "黄山位于安徽省南部，每年有三百万人去登山。1936年李四光在黄山发现了冰川遗迹，后来写了文章。"
WORDS = [word for *_, words in ASKING for word in words] + list(ASKING_CLAUSE)


def made(texts=TEXT, **options):
    """Examples of many seeds."""
    texts = [texts] if isinstance(texts, str) else texts
    return [each for seed in range(60) for each in cloze_questions(texts, seed=seed, **options)]


def test_the_answer_stands_in_the_passage_and_not_in_the_question():
    for each in made():
        ((answer,), (passage,)) = each.answers, each.passages
        assert passage == TEXT
        assert answer in TEXT
        assert answer not in each.question
        assert each.question.endswith("？")


def test_without_noise_the_question_is_the_sentence_with_a_question_word():
    """In place of the answer, at the end or in front: all that there can be, by brute force."""
    possible = {}
    for sentence in TEXT.strip("。").split("。"):
        for first in range(len(sentence)):
            for last in range(first + 1, len(sentence) + 1):
                before, answer, after = sentence[:first], sentence[first:last], sentence[last:]
                for word in WORDS:
                    forms = (
                        (before + after + word, "end"),
                        (word + before + after, "front"),
                        (before + word + after, "in place"),
                    )
                    possible |= {(answer, form.strip("，") + "？"): name for form, name in forms}
    found = [possible[each.answers[0], each.question] for each in made(drop=0)]
    assert set(found) == {"in place", "end", "front"}
    assert found.count("in place") > len(found) / 2


def test_question_words_are_of_the_kind_of_the_answer():
    asked = {each.answers[0]: each.question for each in made(drop=0)}
    words = {answer: [word for word in WORDS if word in question] for answer, question in asked.items()}
    assert set(words["李四光"]) <= {"谁", "哪位", "什么人", "什么"}
    assert set(words["1936年"]) & {"什么时候", "何时", "哪年", "多少", "几"}
    assert set(words["每年有三百万人去登山"]) <= set(ASKING_CLAUSE)
    assert {"安徽省", "黄山"} & set(asked)


def test_words_are_dropped_at_the_rate_that_is_asked_for():
    """What is left of long sentences where the question is asked for in place; 4 standard errors are 0.05."""
    text = "我们在美丽的大草原上看见了一匹非常漂亮的白色小马，它正跑向远处的高山。"
    lengths = {drop: sum(len(each.question) for each in made(text, drop=drop)) / 60 for drop in (0, 0.5)}
    assert lengths[0.5] < 0.8 * lengths[0]


def test_limits():
    assert max(len(each.answers[0]) for each in made(longest=6)) <= 6
    assert len(cloze_questions([TEXT], per_text=3)) <= 3
    assert len(cloze_questions([TEXT] * 5, per_text=2)) > 5


def test_what_stands_often_in_a_text_is_no_answer():
    text = "北京很大。北京很老。北京很美，北京有很多人住在胡同里。"
    assert "北京" not in {each.answers[0] for each in made(text)}


@pytest.mark.parametrize("text", ["", "。。。！！", "\n\n", "啊", "😀😀😀😀", "嗯，啊，哦"])
def test_texts_that_give_nothing(text):
    assert cloze_questions([text]) == []


def test_seeds():
    assert cloze_questions([TEXT], seed=3) == cloze_questions([TEXT], seed=3)
    assert len({each.question for each in made()}) > 20


def test_wrong_input():
    with pytest.raises(InputError, match="per_text=0, drop=1, longest=0"):
        cloze_questions([TEXT], per_text=0, drop=1, longest=0)
    with pytest.raises(InputError):
        cloze_questions([3])
