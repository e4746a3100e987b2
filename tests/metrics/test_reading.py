"""The scores of the reading comprehension sets; expected values are worked out by hand from the official scorers."""

import random
from collections import Counter

import pytest

from nlpgen.errors import InputError
from nlpgen.metrics import READING_METRICS, question_scores, reading_scores
from nlpgen.metrics.english_words import english_words
from nlpgen.metrics.reading import longest_run
from tests.helpers import random_text, shared_data

# As nltk 3.10.4's NLTKWordTokenizer cuts them.
WORDS = [
    ("ω-force", ["ω-force"]),
    (" 3.14, 5,000 ", ["3.14", ",", "5,000"]),
    ("u.s. army", ["u.s.", "army"]),
    ("it's can't", ["it", "'s", "ca", "n't"]),
    ('(abc) "x y"', ["(", "abc", ")", "``", "x", "y", "''"]),
    ("a.b.c.", ["a.b.c", "."]),
    ("iphone6s plus!", ["iphone6s", "plus", "!"]),
    ("50%$3 @x #1 a&b", ["50", "%", "$", "3", "@", "x", "#", "1", "a", "&", "b"]),
    ("don't 'quoted' it", ["do", "n't", "'", "quoted", "'", "it"]),
    ("...x..", ["...", "x", ".."]),
    ("[1]{2}<3>--a", ["[", "1", "]", "{", "2", "}", "<", "3", ">", "--", "a"]),
    ("http://a.b/c?d=e", ["http", ":", "//a.b/c", "?", "d=e"]),
    ("v1.0.2;", ["v1.0.2", ";"]),
    ("gonna cannot", ["gon", "na", "can", "not"]),
    ("‘a’ «b» …", ["‘", "a", "’", "«", "b", "»", "…"]),
    ("a, b,c,", ["a", ",", "b", ",", "c", ","]),
    ("a:b 12:30", ["a", ":", "b", "12:30"]),
    ("(c.", ["(", "c", "."]),
    ('x."', ["x", ".", "''"]),
    ("rock'n'roll", ["rock'n'roll"]),
    ("'tis i'll we've", ["'", "tis", "i", "'ll", "we", "'ve"]),
    ("1,000,000.5%", ["1,000,000.5", "%"]),
    ("a—b", ["a", "—", "b"]),
    ("`x`", ["`", "x", "`"]),
    ("a'b' c", ["a'b", "'", "c"]),
    ("o'neil's", ["o'neil", "'s"]),
    ("", []),
    ("e=mc2", ["e=mc2"]),
    ("c++", ["c++"]),
    ('"a"b"', ["``", "a", "''", "b", "''"]),
    ('""', ["``", "``"]),
    ('"""', ["``", "``", "''"]),
    ('a ""', ["a", "``", "''"]),
    ('("a")', ["(", "``", "a", "''", ")"]),
    ("ab''cd", ["ab", "''", "cd"]),
    ("3km/h;5m", ["3km/h", ";", "5m"]),
]


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_english_words_are_nltks(text, expected):
    assert english_words(text) == expected


def test_a_stop_between_sentences_is_a_token():
    assert english_words("ok then. it's done.") == ["ok", "then", ".", "it", "'s", "done", "."]
    assert english_words("u.s. army") == ["u.s.", "army"]


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("1963年", ["1963年"], (1, 1)),
        ("《1963》年。", ["1963年"], (1, 1)),  # marks of its list do not count
        ("1963年,", ["1963年"], (0, 2 * (2 / 3) / (2 / 3 + 1))),  # a comma of ASCII is none
        ("好……", ["好"], (0, 2 * (1 / 2) / (1 / 2 + 1))),  # nor is an ellipsis, one token
        ("ABC", ["abc"], (1, 1)),
        ("甲乙丁", ["甲乙丙丁"], (0, 2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))),  # a run: 丁 stands apart
        ("乙", ["甲", "乙丙", "乙"], (1, 1)),
        ("a-b", ["ab"], (1, 1)),  # a mark does not end a word
        ("", ["甲"], (0, 0)),
        ("。", ["，"], (1, 0)),  # equal, with nothing in common
    ],
)
def test_cmrc2018(prediction, answers, expected):
    assert READING_METRICS["cmrc2018"](prediction, answers) == pytest.approx(expected)
    assert READING_METRICS["drcd"] is READING_METRICS["cmrc2018"]


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("失业前,12个月", ["失业前12个月"], (1, 1)),  # here ASCII's comma is a mark
        ("iphone 6s", ["iphone 6"], (0, 0)),  # one token each
        ("3=三", ["3=三年"], (0, 2 * (3 / 3) * (3 / 4) / (1 + 3 / 4))),  # `=` is a token
        ("』", ["『"], (0, 0)),  # only the opening one is in its list
        ("a-b", ["ab"], (0, 0)),
        ("㐀㐁", ["㐀㐂"], (0, 0.5)),
    ],
)
def test_dureader_robust(prediction, answers, expected):
    assert READING_METRICS["dureader_robust"](prediction, answers) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("ＡＢＣ", ["abc"], (1, 1)),
        ("南非，巴西", ["巴西 南非", "巴西南非"], (1, 1)),  # parts in any order
        ("巴西 中国", ["巴西 南非"], (0, 2 * (2 / 4) * (2 / 4) / (2 / 4 + 2 / 4))),
        ("二十四小时", ["24小时", "二十四小时"], (1, 1)),
        ("  ", ["甲"], (0, 0)),
        ("《甲》", ["甲"], (1, 1)),
        ("甲甲", ["甲"], (0, 2 * (1 / 2) / (1 / 2 + 1))),  # a multiset
    ],
)
def test_sogouqa(prediction, answers, expected):
    assert READING_METRICS["sogouqa"](prediction, answers) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("夫妻，感情", ["夫妻感情"], (1, 1)),
        ("甲", ["甲", "乙", "乙"], (2 / 3, 2 / 3)),  # without the first answer it is wrong
        ("", ["", "", "甲"], (1, 1)),
        ("", [], (1, 1)),
        ("甲", [], (0, 0)),
        ("甲", [""], (0, 0)),
        ("乙甲", ["甲乙"], (0, 1)),  # the order does not count
    ],
)
def test_cjrc(prediction, answers, expected):
    assert READING_METRICS["cjrc"](prediction, answers) == pytest.approx(expected)


def test_a_set():
    scores = reading_scores(["甲", None, "乙丙"], [["甲"], ["甲"], ["乙"]], groups=["x", "x", "y"])
    f1 = 100 * 2 * 0.5 / 1.5
    assert scores["exact_match"] == pytest.approx(100 / 3)
    assert scores["f1"] == pytest.approx((100 + f1) / 3)
    assert scores["average"] == pytest.approx((scores["exact_match"] + scores["f1"]) / 2)
    assert scores["questions"] == 3
    assert scores["groups"]["y"] == pytest.approx({"exact_match": 0, "f1": f1, "average": f1 / 2, "questions": 1})


def test_questions_without_an_answer():
    for metric in READING_METRICS:
        assert question_scores("", [], metric) == (1, 1)
        assert question_scores("甲", [], metric) == (0, 0)
    for prediction in ("甲", None):
        with pytest.raises(InputError, match=r"`metric` must be one of cmrc2018, .*'squad'"):
            question_scores(prediction, ["甲"], "squad")


def test_laws_of_all_metrics():
    """An answer is right, scores are from 0 to 1, and a further right answer never lowers those of one question."""
    generator = random.Random(0)
    for _ in range(300):
        prediction, first, second = (random_text(generator, 12) for _ in range(3))
        for name, metric in READING_METRICS.items():
            exact, f1 = metric(prediction, [first])
            assert 0 <= f1 <= 1
            assert exact in (0, 1)
            both = metric(prediction, [first, second])
            if name != "cjrc":  # which leaves answers out
                assert both[0] >= exact
                assert both[1] >= f1 - 1e-12
            if name != "sogouqa" or first.strip(" \t\n\r\f\v"):  # which takes no empty answer
                assert metric(first, [first])[0] == 1


def test_longest_run_by_brute_force():
    generator = random.Random(1)
    for _ in range(200):
        a, b = ("".join(generator.choices("甲乙丙", k=generator.randrange(7))) for _ in range(2))
        runs = {a[i:j] for i in range(len(a)) for j in range(i + 1, len(a) + 1)}
        assert longest_run(a, b) == max((len(run) for run in runs if run in b), default=0)


def test_wrong_calls():
    with pytest.raises(InputError, match="must be one of cmrc2018, drcd, dureader_robust, sogouqa, cjrc"):
        reading_scores(["甲"], [["甲"]], "squad")
    with pytest.raises(InputError, match="1 predictions, 2 lists of answers"):
        reading_scores(["甲"], [["甲"], []])
    with pytest.raises(InputError, match="one at least"):
        reading_scores([], [])


@pytest.mark.needs_data("data/qa/sogouqa/test_out")
def test_sogouqas_own_fixture():
    """Every line of the contest's example output: right or not, F1."""
    folder = shared_data("qa") / "sogouqa"
    answers = {}
    for line in (folder / "qid_answer_expand").read_text(encoding="utf-8").split("\n"):
        if line:
            question, answer, variants = line.strip().split("\t")
            answers[question] = [answer, *variants.split("|")]
    counts = Counter()
    for line in (folder / "test_out").read_text(encoding="utf-8").split("\n"):
        if line:
            question, prediction, right, f1, *_ = line.split("\t")
            found = question_scores(prediction, answers[question], "sogouqa")
            counts[f"{found[0]:.0f} {found[1]:.6f}" == f"{right} {f1}"] += 1
    assert counts == {True: 8000}
