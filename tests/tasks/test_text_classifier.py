import keras
import numpy as np
import pytest

from nlpgen import TextClassifier
from nlpgen.errors import InputError, NonFiniteOutput, TrainingDiverged
from tests.helpers import array
from tests.tasks.helpers import examples, tiny_bert

FAST = {"epochs": 8, "batch_size": 16, "learning_rate": 3e-2, "dropout": 0.0}


@pytest.fixture(scope="module")
def fitted():
    return TextClassifier(tiny_bert(), **FAST).fit(*examples(64, 0), validation_data=examples(40, 1))


@pytest.mark.backends
def test_it_learns(fitted):
    assert fitted.classes_ == ["无", "有"]
    assert fitted.score(*examples(60, 2)) >= 0.95
    assert len(fitted.history_) == 8
    assert fitted.history_[-1]["loss"] < fitted.history_[0]["loss"] / 2


@pytest.mark.backends
def test_strings_lists_and_batches(fitted):
    texts, _ = examples(30, 3)
    many = fitted.predict_proba(texts)
    np.testing.assert_allclose(many.sum(-1), 1, rtol=1e-6)
    for text, row in zip(texts[:5], many, strict=False):
        one = fitted.predict_proba(text)
        assert one.shape == (2,)
        np.testing.assert_allclose(one, row, rtol=1e-4)
        assert fitted.predict(text) == fitted.classes_[row.argmax()]
    assert fitted.predict(texts) == [fitted.classes_[i] for i in many.argmax(-1)]
    np.testing.assert_allclose(fitted.predict_proba("甲" * 5000), fitted.predict_proba("甲" * 30), rtol=1e-5)


def test_a_folder_keeps_everything(fitted, tmp_path):
    texts, labels = examples(20, 4)
    fitted.save_pretrained(tmp_path / "out")
    again = TextClassifier.from_pretrained(tmp_path / "out")
    assert again.classes_ == fitted.classes_
    assert again.max_length == fitted.max_length
    np.testing.assert_array_equal(again.predict_proba(texts), fitted.predict_proba(texts))
    assert again.score(texts, labels) == fitted.score(texts, labels)
    with pytest.raises(InputError, match="transformers would read this one"):
        fitted.save_pretrained(tmp_path / "peer", "huggingface")


@pytest.mark.backends
def test_the_same_seed_gives_the_same_model_and_the_given_one_stays():
    bert, data = tiny_bert(dropout=0.2), examples(24, 5)
    before = [array(w) for w in bert.weights]
    options = FAST | {"epochs": 2, "dropout": 0.3}
    classifier, found = TextClassifier(bert, **options), []
    for seed in (0, 0, 1):
        if keras.config.backend() == "torch":  # whose generator draws dropout
            keras.utils.set_random_seed(0)
        found.append(classifier.set_params(seed=seed).fit(*data).predict_proba(data[0]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)
    assert np.abs(found[2] - found[0]).max() > 1e-3
    for weight, old in zip(bert.weights, before, strict=True):
        np.testing.assert_array_equal(array(weight), old)


def test_the_best_epoch_is_kept():
    data, held_out = examples(32, 6), examples(41, 7)
    classifier = TextClassifier(tiny_bert(), **FAST | {"epochs": 6, "learning_rate": 0.03}).fit(*data, held_out)
    scores = [epoch["score"] for epoch in classifier.history_]
    assert classifier.score(*held_out) == pytest.approx(max(scores))


def test_patience_ends_the_training():
    data, options = examples(32, 6), FAST | {"epochs": 30, "patience": 2, "learning_rate": 1e-9}
    history = TextClassifier(tiny_bert(), **options).fit(*data, validation_data=data).history_
    assert len(history) == 3  # nothing changes, so nothing gets better than the first epoch


def test_class_weights():
    texts, labels = examples(64, 8)
    few = [i for i, label in enumerate(labels) if label == "无" or i % 16 == 0]  # 4 of "有", 32 of "无"
    texts, labels = [texts[i] for i in few], [labels[i] for i in few]
    shares = []
    for class_weight in (None, "balanced", {"有": 1.0, "无": 0.0}):
        classifier = TextClassifier(tiny_bert(), **FAST | {"epochs": 2}, class_weight=class_weight)
        shares.append(classifier.fit(texts, labels).predict_proba(texts)[:, 1].mean())
    assert shares[0] < shares[1] < shares[2]


def test_pairs():
    texts, labels = examples(64, 0)
    pairs = [("天地人", text) for text in texts]
    classifier = TextClassifier(tiny_bert(), **FAST).fit(pairs, labels)
    assert classifier.score(pairs, labels) >= 0.95
    probabilities = classifier.predict_proba(pairs)
    for (a, b), row in zip(pairs[:4], probabilities, strict=False):
        logits = array(classifier.model_(classifier.model_.tokenizer([a], [b]))).astype("float64")[0]
        np.testing.assert_allclose(row, np.exp(logits) / np.exp(logits).sum(), rtol=1e-4)
        np.testing.assert_allclose(classifier.predict_proba((a, b)), row, rtol=1e-4)
    assert classifier.predict(pairs[0]) == classifier.predict([pairs[0]])[0]


@pytest.mark.parametrize("pooling", ["pooler", "attention"])
def test_other_poolings_learn(pooling):
    data = examples(64, 0)
    assert TextClassifier(tiny_bert(), pooling=pooling, **FAST | {"epochs": 12}).fit(*data).score(*data) >= 0.8


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ("甲", ["有"], "list of texts. Received: str"),
        (["甲"], ["有", "无"], "got 1 texts and 2 labels"),
        ([], [], "one at least"),
        (["甲", "乙"], [1, 0], r"must be strings: `labels\[0\]` is 1 \(2 such labels\)"),
        (["甲", "乙"], ["有", "有"], "All 2 labels are '有'"),
        (["甲", " "], ["有", "无"], r"`texts\[1\]` is empty"),
        (["甲", None], ["有", "无"], r"`texts\[1\]` must be a string"),
        (["甲", ("乙", "丙")], ["有", "无"], "each a pair"),
    ],
)
def test_wrong_data(texts, labels, message):
    with pytest.raises(InputError, match=message):
        TextClassifier(tiny_bert()).fit(texts, labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0, "learning_rate": -1}, "(?s)`epochs` must be.*`learning_rate` must be"),
        ({"patience": 1}, "`patience` needs `validation_data`"),
        ({"class_weight": {"有": 1}}, "a weight for each of 无, 有"),
        ({"class_weight": "even"}, "'balanced'"),
        ({"seed": -1}, "`seed` must be"),
        ({"pooling": "avg"}, "`pooling` must be one of"),
        ({"max_length": 0}, "`max_length` must be"),
        ({"model": "bert-tiny-zh"}, "Give a model to fine-tune"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        TextClassifier(**{"model": tiny_bert()} | options).fit(["甲", "乙"], ["有", "无"])


def test_labels_of_validation_must_be_known():
    with pytest.raises(InputError, match=r"(?s)validation texts and labels cannot be used:.*unknown labels 空"):
        TextClassifier(tiny_bert()).fit(["甲", "乙"], ["有", "无"], validation_data=(["丙"], ["空"]))


def test_not_fitted():
    with pytest.raises(InputError, match="learned nothing yet"):
        TextClassifier(tiny_bert()).predict("甲")


def test_divergence_is_an_error():
    bert = tiny_bert()
    bert.embeddings.token.embeddings.assign(np.full(bert.embeddings.token.embeddings.shape, np.nan))
    with pytest.raises(TrainingDiverged, match="The loss is nan in epoch 1"):
        TextClassifier(bert, **FAST).fit(["甲", "乙"], ["有", "无"])


def test_a_damaged_model_is_an_error(fitted):
    broken = TextClassifier(tiny_bert(), **FAST | {"epochs": 1}).fit(["甲", "乙"], ["有", "无"])
    broken.model_.classifier.bias.assign([np.nan, 0])
    with pytest.raises(NonFiniteOutput, match=r"`texts\[0\]`"):
        broken.predict("甲")
