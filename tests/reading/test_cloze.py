"""Cloze questions made of plain texts: what they ask for, with which word, and what they leave out."""

import numpy as np
import pytest

from nlpgen.errors import InputError
from nlpgen.reading import cloze_questions
from nlpgen.reading.cloze import ASKING, ASKING_CLAUSE

TEXT = "黄山位于安徽省南部，每年有三百万人去登山。1936年李四光在黄山发现了冰川遗迹，后来写了文章。"
WORDS = [word for *_, words in ASKING for word in words] + list(ASKING_CLAUSE)


def made(text=TEXT, seeds=60, **options):
    """Examples of many seeds."""
    return [each for seed in range(seeds) for each in cloze_questions([text], seed=seed, **options)]


def word_of(question):
    return max((word for word in WORDS if word in question), key=len)


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
    words = {}
    for each in made(drop=0):
        words.setdefault(each.answers[0], set()).add(word_of(each.question))
    assert words["李四光"] <= {"谁", "哪位", "什么人"}
    assert words["安徽省"] <= {"哪里", "何处", "什么地方"}
    assert words["三百万"] <= {"多少", "几"}
    assert words["每年有三百万人去登山"] <= set(ASKING_CLAUSE)


@pytest.mark.parametrize("drop", [0.2, 0.5])
def test_words_are_dropped_at_the_rate_that_is_asked_for(drop):
    """The share of characters that stay; 0.05 is four standard errors and more (20 words, 240 questions: 0.03)."""
    text = "我们在美丽的大草原上看见了一匹非常漂亮的白色小马正跑向远处的高山和森林"
    shares = [
        (len(each.question) - 1 - len(word_of(each.question))) / (len(text) - len(each.answers[0]))
        for each in made(text, 240, drop=drop)
    ]
    assert sum(shares) / len(shares) == pytest.approx(1 - drop, abs=0.05)


def test_limits():
    assert max(len(each.answers[0]) for each in made(longest=6)) == 6
    assert max(len(each.question) for each in made(longest=6)) <= 2 * 6 + max(map(len, WORDS)) + 1
    assert len(cloze_questions([TEXT], per_text=3)) == 3
    assert len(cloze_questions([TEXT] * 5, per_text=2)) == 10


def test_any_text():
    """Never a crash, and the answer stands in the text."""
    generator = np.random.default_rng(0)
    letters = [*"我在北京2008年看见李四光。，！\n \t\u3000.ab😀é", "\ud800", "\u200b"]
    texts = ["".join(generator.choice(letters, generator.integers(0, 60))) for _ in range(500)]
    found = cloze_questions(texts, per_text=2)
    assert len(found) > 300
    for each in found:
        assert each.answers[0] in each.passages[0]
        assert each.answers[0].strip()


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
