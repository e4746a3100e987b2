"""Against scikit-learn itself, put together by hand."""

import numpy as np
import pytest

from nlpgen.errors import InputError
from nlpgen.prompts import TfidfClassifier
from nlpgen.prompts.baselines.logistic import STRENGTHS, fit_logistic
from nlpgen.prompts.baselines.tfidf import overlap
from tests.prompts.baselines.helpers import topics

pytest.importorskip("sklearn")


def by_hand(c, ngrams=(1, 3)):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=ngrams, sublinear_tf=True)
    return make_pipeline(vectorizer, LogisticRegression(C=c, max_iter=5000))


@pytest.mark.parametrize("labels", [3, 2])
def test_equals_the_pipeline(labels):
    train, test = topics(labels)
    expected = by_hand(3.0).fit(*train)
    classifier = TfidfClassifier(c=3.0).fit(*train)
    assert classifier.classes_ == expected.classes_.tolist()
    np.testing.assert_allclose(classifier.predict_proba(test[0]), expected.predict_proba(test[0]), rtol=1e-9)
    assert classifier.score(*test) == pytest.approx(expected.score(*test))
    assert classifier.score(*test) >= 0.6


def test_the_strength_is_that_of_a_grid_search():
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    (texts, labels), _ = topics()
    classifier = TfidfClassifier(ngrams=(1, 2), seed=4).fit(texts, labels)
    features = classifier._features(classifier.vectorizers_, [texts])
    search = GridSearchCV(
        by_hand(1.0)[-1],
        {"C": STRENGTHS},
        scoring="neg_log_loss",
        cv=StratifiedKFold(5, shuffle=True, random_state=4),
    ).fit(features, labels)
    assert classifier.c_ == search.best_params_["C"]
    assert search.best_params_["C"] != 1.0  # so that a search that did nothing is seen


def test_too_few_texts_for_a_search():
    (texts, labels), _ = topics()
    few = [labels.index(label) for label in sorted(set(labels))] + list(range(20))
    few = sorted(set(few))[:12]
    counts = np.unique([labels[i] for i in few], return_counts=True)[1]
    assert counts.min() < 5
    assert TfidfClassifier().fit([texts[i] for i in few], [labels[i] for i in few]).c_ == 1


def test_two_classes_have_two_columns():
    generator = np.random.default_rng(0)
    features, targets = generator.normal(size=(30, 4)), generator.integers(0, 2, 30)
    kernel, bias, _ = fit_logistic(features, targets, c=0.5)
    from sklearn.linear_model import LogisticRegression

    expected = LogisticRegression(C=0.5, max_iter=5000).fit(features, targets).predict_proba(features)
    logits = features @ kernel + bias
    np.testing.assert_allclose(1 / (1 + np.exp(logits[:, 0] - logits[:, 1])), expected[:, 1], rtol=1e-9)


def test_overlap_by_brute_force():
    generator = np.random.default_rng(0)
    for _ in range(50):
        a, b = ("".join(generator.choice(list("甲乙丙"), generator.integers(0, 7))) for _ in range(2))
        for n in (1, 2, 3):
            grams = [[text[i : i + n] for i in range(len(text)) if len(text[i : i + n]) == n] for text in (a, b)]
            every = sorted({g for part in grams for g in part})
            both = [g for g in every if g in grams[0] and g in grams[1]]
            sizes = [len(set(grams[0])), len(set(grams[1])), len(every)]
            assert overlap(a, b, n) == tuple(len(both) / size if size else 0.0 for size in sizes)


def test_pairs_that_only_their_overlap_tells_apart():
    """No n-gram says anything of the label: whether both parts are the same text does."""
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list("天地人山水火木日月"), 6)) for _ in range(200)]
    pairs = [(word, word if i % 2 else words[i - 7]) for i, word in enumerate(words)]
    labels = ["同" if a == b else "异" for a, b in pairs]
    classifier = TfidfClassifier().fit(pairs[:100], labels[:100])
    assert classifier.score(pairs[100:], labels[100:]) >= 0.95
    swapped = TfidfClassifier().fit([a for a, _ in pairs[:100]], labels[:100])
    assert swapped.score([a for a, _ in pairs[100:]], labels[100:]) < 0.7
    with pytest.raises(InputError, match="learned from texts of 2 parts"):
        classifier.predict("天地")


def test_ends_of_lines_and_capitals(tmp_path):
    texts, labels = ["Good\r\n 很 好", "bad\n\u2028不好", "GOOD\x85好", "BAD\t差"], ["正", "负", "正", "负"]
    classifier = TfidfClassifier().fit(texts, labels)
    classifier.save(tmp_path / "out")
    again = TfidfClassifier.load(tmp_path / "out")
    assert again.ngrams == [1, 3]
    np.testing.assert_allclose(again.predict_proba(texts), classifier.predict_proba(texts), rtol=1e-12)
    np.testing.assert_array_equal(classifier.predict_proba("GOOD 很 好"), classifier.predict_proba("good\n\n很 好"))
