import numpy as np
import pytest

from nlpgen import MaskedLM
from nlpgen.errors import InputError
from nlpgen.prompts import DemonstrationClassifier
from tests.helpers import array, random_weights
from tests.tasks.helpers import tiny_bert

REVIEWS = [
    "房间很干净，床也舒服。",
    "等了四十分钟才上菜。",
    "音质清楚，戴久了也不疼。",
    "屏幕出现横线，真是后悔。",
    "插图精美，纸张厚实。",
    "错别字很多，读不下去。",
]
LABELS = ["正面", "负面"] * 3
WORDS = {"正面": ["很", "真"], "负面": "不"}
PATTERN = "[MASK]满意。{text}"


def make(masked_lm, **options):
    return DemonstrationClassifier(masked_lm, PATTERN, WORDS, **{"samples": 3} | options)


def vector(masked_lm, text):
    """The mean of the frozen hidden states, of length 1."""
    backbone = masked_lm.backbone
    mean = array(backbone(backbone.tokenizer([text])))[0].mean(axis=0)
    return mean / np.linalg.norm(mean)


def contexts(classifier, text, monkeypatch):
    """The contexts that the model is asked in, as `(question, [demonstration, …])`."""
    seen = []
    scores = classifier._asked.scores
    monkeypatch.setattr(classifier._asked, "scores", lambda asked: (seen.extend(asked), scores(asked))[1])
    probabilities = classifier.predict_proba(text)
    monkeypatch.undo()
    return probabilities, seen


def test_probabilities_by_their_definition(embedded, monkeypatch):
    """Each context as text, through the whole model and the whole vocabulary; the mean over the contexts."""
    classifier = make(embedded).fit(REVIEWS, LABELS)
    text, tokenizer = "早餐很丰富，下次还来。", embedded.tokenizer
    found, seen = contexts(classifier, text, monkeypatch)
    assert len(seen) == 3
    answered = {review: f"{WORDS[label][0]}满意。{review}" for review, label in zip(REVIEWS, LABELS, strict=True)}
    by_ids = {tuple(tokenizer.ids(question)): review for review, question in answered.items()}
    expected = []
    for _, behind in seen:
        shown = [by_ids[tuple(ids[:-1])] for ids in behind]
        assert sorted(LABELS[REVIEWS.index(review)] for review in shown) == ["正面", "负面"]
        ids = [tokenizer.cls_id, tokenizer.mask_id, *tokenizer.ids(f"满意。{text}"), tokenizer.sep_id]
        for review in shown:
            ids += [*tokenizer.ids(answered[review]), tokenizer.sep_id]
        logits = array(embedded({"token_ids": np.array([ids])}))[0, 1].astype("float64")
        e = np.exp(logits - logits.max())
        scores = [sum(e[tokenizer.ids(word)[0]] for word in words) for words in (["很", "真"], ["不"])]
        expected.append(np.array(scores) / sum(scores))
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=1e-4)


def test_only_the_most_similar_are_drawn(embedded, monkeypatch):
    classifier = make(embedded, samples=40, similar=0.67).fit(REVIEWS, LABELS)
    text, tokenizer = "床很舒服。", embedded.tokenizer
    cosine = {review: vector(embedded, review) @ vector(embedded, text) for review in REVIEWS}
    allowed = set()
    for label in WORDS:
        own = [review for review, other in zip(REVIEWS, LABELS, strict=True) if other == label]
        allowed |= set(sorted(own, key=cosine.get)[1:])  # two of three
    drawn, first = set(), set()
    for _, behind in contexts(classifier, text, monkeypatch)[1]:
        shown = [next(r for r in REVIEWS if tokenizer.ids(r) == ids[-1 - len(tokenizer.ids(r)) : -1]) for ids in behind]
        drawn |= set(shown)
        first.add(LABELS[REVIEWS.index(shown[0])])
    assert drawn == allowed
    assert first == set(WORDS)  # no label always stands first


def test_a_text_has_the_same_draws_in_any_company(embedded):
    classifier = make(embedded).fit(REVIEWS, LABELS)
    many = classifier.predict_proba(REVIEWS)
    for i in (0, 3):
        np.testing.assert_allclose(classifier.predict_proba([*REVIEWS[i:], *REVIEWS[:i]])[0], many[i], rtol=1e-4)
    other = make(embedded, seed=1).fit(REVIEWS, LABELS).predict_proba(REVIEWS)
    assert np.abs(other - many).max() > 1e-4


def test_a_label_without_examples(embedded, monkeypatch):
    words = WORDS | {"中": "太"}
    classifier = DemonstrationClassifier(embedded, PATTERN, words, samples=1).fit(REVIEWS, LABELS)
    probabilities, seen = contexts(classifier, "床很舒服。", monkeypatch)
    assert probabilities.shape == (3,)
    assert len(seen[0][1]) == 2


def test_words_of_several_tokens_and_long_texts(embedded, monkeypatch):
    """All parts are shortened so that together they are what the model reads."""
    classifier = DemonstrationClassifier(
        embedded, "[MASK][MASK]：{text}", {"好": "满意", "坏": "后悔"}, samples=1, max_length=None
    ).fit(["书" * 1000, "店" * 1000], ["好", "坏"])
    _, seen = contexts(classifier, "好" * 1000, monkeypatch)
    ((question, behind),) = seen
    longest = embedded.backbone.longest
    assert longest - 5 <= len(question) + sum(map(len, behind)) <= longest
    decoded = {embedded.tokenizer.decode(ids)[:4] for ids in behind}
    assert decoded == {"满意：书", "后悔：店"}


@pytest.mark.backends
def test_a_model_that_reads_too_little():
    masked_lm = MaskedLM(tiny_bert())
    masked_lm.build()
    random_weights(masked_lm)
    with pytest.raises(InputError, match="have 10 tokens each of the 32 that the model reads; 16 are needed"):
        DemonstrationClassifier(masked_lm, "{text}[MASK]", {"有": "天", "无": "地"}).fit(["甲", "乙"], ["有", "无"])


def test_several_fields(embedded, monkeypatch):
    """Columns are known by their names, tuples by the order of the pattern's fields."""
    pairs, words = [("下雨了", "地湿了"), ("下雨了", "天晴了")], {"蕴含": "是", "矛盾": "不"}
    classifier = DemonstrationClassifier(embedded, "{a}？[MASK]，{b}", words, samples=1).fit(pairs, list(words))
    columns = {"b": ["他走了"], "a": ["他在家"]}
    found, seen = contexts(classifier, [("他在家", "他走了")], monkeypatch)
    np.testing.assert_allclose(classifier.predict_proba(columns), found, rtol=1e-6)
    shown = {embedded.tokenizer.decode(ids) for ids in seen[0][1]}
    assert shown == {"下雨了？是，地湿了", "下雨了？不，天晴了"}
    with pytest.raises(InputError, match="the fields a, b, but the first input has 1 parts"):
        classifier.predict(["他在家"])
