"""What every baseline must do; what each one computes stands in its own file."""

import inspect
import sys

import numpy as np
import pytest

from nlpgen import MaskedLM, NextSentence
from nlpgen.errors import ConfigError, InputError, InputWarning, NlpgenError, WeightsMismatch
from nlpgen.prompts import (
    DemonstrationClassifier,
    FineTuneClassifier,
    LinearProbeClassifier,
    NSPClassifier,
    SetFitClassifier,
    TfidfClassifier,
)
from tests.helpers import array, random_weights
from tests.tasks.helpers import examples, tiny_bert

pytestmark = pytest.mark.backends
pytest.importorskip("sklearn")

TRAINED = {"batch_size": 16, "learning_rate": 1e-2}
WORDS = {"有": "天", "无": ["地", "水"]}
SENTENCES = {"有": "天，甲。", "无": "地水木"}
# Each class with the model that it takes, and the arguments behind it.
BASELINES = {
    FineTuneClassifier: (lambda: tiny_bert(longest=64), {**TRAINED, "epochs": 2, "dropout": 0.0}),
    LinearProbeClassifier: (lambda: tiny_bert(longest=64), {"pooling": "first_last_mean"}),
    TfidfClassifier: (None, {"ngrams": (1, 2)}),
    SetFitClassifier: (lambda: tiny_bert(longest=64), {**TRAINED, "iterations": 2}),
    NSPClassifier: (lambda: random_weights(built(NextSentence)), {"label_texts": SENTENCES}),
    DemonstrationClassifier: (
        lambda: random_weights(built(MaskedLM)),
        {"pattern": "{text}。[MASK]", "verbalizer": WORDS, "samples": 2},
    ),
}
each = pytest.mark.parametrize("cls", BASELINES, ids=lambda cls: cls.__name__)
TEXTS, LABELS = examples(24, 0)
OTHERS, _ = examples(9, 1)


def built(cls):
    model = cls(tiny_bert(longest=64))
    model.build()
    return model


def make(cls, **options):
    new_model, defaults = BASELINES[cls]
    return cls(*([] if new_model is None else [new_model()]), **defaults | options)


@pytest.fixture(scope="module")
def given():
    """The classifiers, not fitted, and the weights of their models."""
    classifiers = {cls: make(cls) for cls in BASELINES}
    return classifiers, {cls: weights_of(each) for cls, each in classifiers.items()}


@pytest.fixture(scope="module")
def fitted(given):
    return {cls: classifier.fit(TEXTS, LABELS) for cls, classifier in given[0].items()}


def weights_of(classifier):
    model = model_of(classifier)
    return [] if model is None else [array(weight) for weight in model.weights]


def model_of(classifier):
    return next((value for value in classifier.get_params().values() if hasattr(value, "get_weights")), None)


@each
def test_strings_tuples_and_columns(cls, fitted):
    classifier = fitted[cls]
    assert sorted(classifier.classes_) == ["无", "有"]
    many = classifier.predict_proba(OTHERS)
    assert many.shape == (9, 2)
    np.testing.assert_allclose(many.sum(axis=1), 1, rtol=1e-9)
    np.testing.assert_allclose(classifier.predict_proba({"text": OTHERS}), many, rtol=1e-9)
    np.testing.assert_allclose(classifier.predict_proba([(text,) for text in OTHERS]), many, rtol=1e-9)
    for i in (0, 5):
        one = classifier.predict_proba(OTHERS[i])
        assert one.shape == (2,)
        np.testing.assert_allclose(one, many[i], rtol=2e-4)
        assert classifier.predict(OTHERS[i]) == classifier.classes_[many[i].argmax()]
    predicted = classifier.predict(OTHERS)
    assert predicted == [classifier.classes_[i] for i in many.argmax(axis=1)]
    assert classifier.score(OTHERS, predicted) == 1
    wrong = [classifier.classes_[1 - classifier.classes_.index(label)] for label in predicted[:3]]
    assert classifier.score(OTHERS, wrong + predicted[3:]) == pytest.approx(6 / 9)
    assert classifier.predict([]) == []
    assert classifier.predict_proba([]).shape == (0, 2)


@each
def test_a_folder_keeps_everything(cls, fitted, tmp_path):
    classifier = fitted[cls]
    for _ in range(2):  # the second time it replaces the first
        classifier.save(tmp_path / "out")
    model = model_of(classifier)
    again = cls.load(tmp_path / "out", **({} if model is None else {"backbone": model}))
    assert again.classes_ == classifier.classes_
    np.testing.assert_allclose(again.predict_proba(OTHERS), classifier.predict_proba(OTHERS), rtol=1e-6, atol=1e-9)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "manifest.json"} <= names
    assert names <= {"config.json", "model.safetensors", "manifest.json", "vocab.txt", "tokenizer_config.json"}
    if cls not in (FineTuneClassifier, SetFitClassifier):  # these bring a model of their own along
        assert again.get_params().keys() == classifier.get_params().keys()
        assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) < 20_000
        with pytest.raises(ConfigError, match=f"holds a {cls.__name__}, not a Other"):
            type("Other", (cls,), {}).load(tmp_path / "out", *([] if model is None else [model]))
        again.fit(TEXTS, LABELS)  # its arguments are still those


@pytest.mark.parametrize("cls", [LinearProbeClassifier, NSPClassifier, DemonstrationClassifier])
def test_another_model_is_refused(cls, fitted, tmp_path):
    fitted[cls].save(tmp_path / "out")
    other = random_weights(BASELINES[cls][0](), seed=1)
    with pytest.raises(WeightsMismatch, match="was fitted on another model than the given"):
        cls.load(tmp_path / "out", backbone=other)


@pytest.mark.parametrize("cls", [cls for cls in BASELINES if cls is not TfidfClassifier], ids=lambda cls: cls.__name__)
def test_the_given_model_stays_bit_identical(cls, given, fitted):
    fitted[cls].predict(OTHERS)
    before, after = given[1][cls], weights_of(fitted[cls])
    assert before
    for weight, old in zip(after, before, strict=True):
        np.testing.assert_array_equal(weight, old)


@each
def test_a_clone_with_the_same_seed_learns_the_same(cls, fitted):
    clone = cls(**fitted[cls].get_params())
    found = clone.fit(TEXTS, LABELS, unlabeled=OTHERS, validation_data=None).predict_proba(OTHERS)
    np.testing.assert_allclose(found, fitted[cls].predict_proba(OTHERS), rtol=1e-3, atol=1e-5)


@each
def test_arguments(cls):
    classifier = make(cls)
    names = list(inspect.signature(cls).parameters)
    assert list(classifier.get_params()) == names
    assert classifier.set_params(**{names[-1]: 7}) is classifier
    assert getattr(classifier, names[-1]) == 7
    with pytest.raises(InputError, match="no argument seeds"):
        classifier.set_params(seeds=1)


@pytest.mark.parametrize("cls", [LinearProbeClassifier, TfidfClassifier, NSPClassifier, DemonstrationClassifier])
def test_pairs(cls):
    """They are tuples or columns. (What is trained has them from TextClassifier, which has a test of its own.)"""
    pairs = [("天地人", text) for text in TEXTS]
    classifier = make(cls).fit(pairs, LABELS)
    columns = {"a": [a for a, _ in pairs], "b": [b for _, b in pairs]}
    found = classifier.predict_proba(columns)
    np.testing.assert_allclose(found, classifier.predict_proba(pairs), rtol=1e-9)
    np.testing.assert_allclose(classifier.predict_proba(pairs[0]), found[0], rtol=2e-4)


@each
@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["甲", "乙"], ["有", "有"], "All 2 labels are '有'"),
        (["甲", "", 3], ["有", "无", "无"], r"(?s)`texts\[1\]` is empty.*`texts\[2\]` must be a string"),
        (["甲", ("乙", "丙")], ["有", "无"], "each a pair"),
        (["甲", "乙"], ["有"], "got 2 texts and 1 labels"),
        (["甲", "乙"], ["有", "无 "], r"`labels\[1\]` is '无 ' \(1 such labels\). Strip them"),
        (["甲"], [], "got 1 texts and 0 labels"),
    ],
)
def test_wrong_data(cls, texts, labels, message):
    with pytest.raises(InputError, match=message):
        make(cls).fit(texts, labels)


@pytest.mark.parametrize("cls", [TfidfClassifier, NSPClassifier])
def test_contradictions_are_counted(cls):
    with pytest.warns(InputWarning, match="1 texts stand there with different labels"):
        make(cls).fit([*TEXTS, TEXTS[0]], [*LABELS, "无"])


@each
def test_wrong_labels_in_score(cls, fitted):
    with pytest.raises(InputError, match="unknown labels 别: known are"):
        fitted[cls].score(["甲", "乙"], ["有", "别"])
    with pytest.raises(InputError, match=r"texts\[1\]` is empty"):
        fitted[cls].predict(["甲", " "])


@pytest.mark.parametrize("cls", [cls for cls in BASELINES if cls is not NSPClassifier], ids=lambda cls: cls.__name__)
def test_not_fitted(cls, tmp_path):
    for call in (
        lambda each: each.predict("甲"),
        lambda each: each.score(["甲"], ["有"]),
        lambda each: each.save(tmp_path),
    ):
        with pytest.raises(InputError, match=f"This {cls.__name__} has learned nothing yet"):
            call(make(cls))


@pytest.mark.parametrize("cls", [LinearProbeClassifier, TfidfClassifier, SetFitClassifier, NSPClassifier])
def test_without_scikit_learn(cls, monkeypatch):
    for name in ("sklearn", "sklearn.linear_model", "sklearn.feature_extraction.text"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NlpgenError, match=r"pip install 'nlpgen\[sklearn\]'"):
        make(cls).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        (FineTuneClassifier, {"epochs": 0}, "`epochs` must be"),
        (LinearProbeClassifier, {"pooling": "attention"}, "`pooling` must be one of"),
        (LinearProbeClassifier, {"c": 0}, "`c` must be a number above 0"),
        (LinearProbeClassifier, {"model": "bert-tiny-zh"}, "Give a model to fine-tune"),
        (LinearProbeClassifier, {"seed": -1}, "`seed` must be"),
        (TfidfClassifier, {"ngrams": (2, 1)}, "`ngrams` must be two whole numbers"),
        (TfidfClassifier, {"ngrams": 3}, "`ngrams` must be two whole numbers"),
        (TfidfClassifier, {"ngrams": (30, 30)}, "Part 0 of no text has 30 characters"),
        (SetFitClassifier, {"iterations": 0}, "`iterations` must be"),
        (SetFitClassifier, {"learning_rate": -1}, "`learning_rate` must be"),
        (NSPClassifier, {"label_texts": {"有": "甲"}}, "`label_texts` must be a dict of two labels or more"),
        (NSPClassifier, {"label_texts": {"有": "甲", "无": " "}}, "`label_texts` must be"),
        (NSPClassifier, {"label_texts": {"有": "甲", "别": "乙"}}, "unknown labels 无"),
        (NSPClassifier, {"next_sentence": None}, "a model with the next-sentence head"),
        (DemonstrationClassifier, {"samples": 0, "similar": 2}, "(?s)`samples` must be.*`similar` must be"),
        (DemonstrationClassifier, {"verbalizer": {"有": "天", "别": "地"}}, "unknown labels 无"),
        (DemonstrationClassifier, {"pattern": "{text}"}, "A pattern needs"),
    ],
)
def test_wrong_options(cls, options, message):
    with pytest.raises(InputError, match=message):
        make(cls).set_params(**options).fit(TEXTS, LABELS)


@pytest.mark.parametrize("cls", [cls for cls in BASELINES if cls is not NSPClassifier], ids=lambda cls: cls.__name__)
def test_nothing_to_learn_from(cls):
    with pytest.raises(InputError, match="got 0 texts and 0 labels: give as many of both, one at least"):
        make(cls).fit([], [])
