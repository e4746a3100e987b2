import numpy as np
import pytest

from nlpgen import NextSentence
from nlpgen.errors import InputError
from nlpgen.prompts import NSPClassifier
from tests.helpers import GOLDEN, assert_close

pytestmark = pytest.mark.backends
FOLDER = GOLDEN / "hf_bert_pretraining"
SENTENCES = {"家": "这是他的家", "学": "他在学", "国": "中国北京"}
TEXTS = ["我们回家", "他要学中国的文", "北京", "一" * 60]


@pytest.fixture(scope="module")
def follows():
    return NextSentence.from_pretrained(FOLDER)


def theirs(tokenizer, rows):
    """Log-odds by transformers for rows of two segments, in one batch with padding."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = transformers.BertForNextSentencePrediction.from_pretrained(FOLDER).eval()
    ids, segments = [], []
    for first, second in rows:
        ids.append([tokenizer.cls_id, *first, tokenizer.sep_id, *second, tokenizer.sep_id])
        segments.append([0] * (len(first) + 2) + [1] * (len(second) + 1))
    longest = max(map(len, ids))
    assert min(map(len, ids)) < longest <= 32
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in ids]
    ids, segments = ([row + [0] * (longest - len(row)) for row in table] for table in (ids, segments))
    with torch.no_grad():
        logits = model(*map(torch.tensor, (ids, mask, segments))).logits.numpy()
    return (logits[:, 0] - logits[:, 1]).astype("float64")


@pytest.mark.parametrize("label_first", [False, True])
def test_log_odds_are_those_of_transformers(follows, label_first):
    """The last text is too long: it is cut, the sentence is not."""
    tokenizer, rows = follows.tokenizer, []
    for text in tokenizer.ids(TEXTS):
        for sentence in tokenizer.ids(list(SENTENCES.values())):
            cut = text[: 32 - 3 - len(sentence)]
            rows.append((sentence, cut) if label_first else (cut, sentence))
    expected = theirs(tokenizer, rows).reshape(4, 3)
    classifier = NSPClassifier(follows, SENTENCES, label_first=label_first)
    assert_close(classifier.log_odds(TEXTS), expected)
    odds = np.exp(expected)
    np.testing.assert_allclose(classifier.predict_proba(TEXTS), odds / odds.sum(axis=1, keepdims=True), rtol=1e-4)
    assert classifier.predict(TEXTS) == [list(SENTENCES)[i] for i in expected.argmax(axis=1)]


def test_the_parts_of_a_tuple_are_one_text(follows):
    classifier = NSPClassifier(follows, SENTENCES)
    pairs = [("我们", "回家"), ("北京", "")]
    np.testing.assert_allclose(classifier.log_odds(pairs), classifier.log_odds(["我们；回家", "北京；"]), rtol=1e-6)


def test_a_sentence_that_is_too_long(follows):
    with pytest.raises(InputError, match="may not be cut"):
        NSPClassifier(follows, SENTENCES | {"国": "中" * 31}).predict("北京")


def shifted(follows, shift, n=200):
    """Texts and labels that log-odds with a shift of each label give."""
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("我们回家他要学中国北京的一是"), 8)) for _ in range(n)]
    classifier = NSPClassifier(follows, SENTENCES)
    odds = classifier.log_odds(texts)
    return texts, [classifier.classes_[i] for i in (odds - odds.mean(axis=0) + shift).argmax(axis=1)]


def test_labels_teach_scale_and_shift(follows):
    """Labels were made by log-odds with shifts, which zero-shot does not know; few examples are enough for them."""
    pytest.importorskip("sklearn")
    texts, labels = shifted(follows, np.array([0.2, 0.0, -0.2]))
    assert min(labels.count(label) for label in SENTENCES) >= 10
    classifier = NSPClassifier(follows, SENTENCES)
    assert classifier.classes_ == list(SENTENCES)
    zero_shot = classifier.score(texts[60:], labels[60:])
    untrained = classifier.predict_proba(texts[:3])
    classifier.fit(texts[:60], labels[:60])
    assert classifier.scale_.shape == classifier.shift_.shape == (3,)
    learned = classifier.score(texts[60:], labels[60:])
    assert learned >= 0.85 > zero_shot + 0.1, (learned, zero_shot)
    assert NSPClassifier.zero_shot
    np.testing.assert_array_equal(classifier.fit([], []).predict_proba(texts[:3]), untrained)


def test_what_is_learned_is_the_logistic_regression_it_says(follows):
    """By hand: a row for each text and label, its features the log-odds, the label's own, and which label it is."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    texts, labels = shifted(follows, np.array([0.3, 0.0, -0.3]), 40)
    classifier = NSPClassifier(follows, SENTENCES, c=0.5).fit(texts, labels)
    odds, rows, answers = classifier.log_odds(texts), [], []
    odds -= odds.mean(axis=1, keepdims=True)
    unit = odds.std()
    odds /= unit
    for i, label in enumerate(labels):
        for j, name in enumerate(SENTENCES):
            which = np.arange(3) == j
            rows.append([odds[i, j], *(odds[i, j] * which), *which])
            answers.append(label == name)
    model = linear_model.LogisticRegression(C=0.5, max_iter=5000).fit(np.array(rows, dtype="float64"), answers)
    (weights,) = model.coef_
    np.testing.assert_allclose(classifier.scale_, (weights[0] + weights[1:4]) / unit, rtol=1e-3)
    np.testing.assert_allclose(classifier.shift_, model.intercept_ + weights[4:], rtol=1e-3, atol=1e-4)


def test_a_label_without_examples_has_a_place(follows):
    pytest.importorskip("sklearn")
    texts, labels = shifted(follows, np.zeros(3), 60)
    kept = [i for i, label in enumerate(labels) if label != "学"]
    classifier = NSPClassifier(follows, SENTENCES).fit([texts[i] for i in kept], [labels[i] for i in kept])
    assert classifier.predict_proba(texts).shape == (60, 3)
    assert np.isfinite(classifier.scale_).all()
