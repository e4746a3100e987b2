import numpy as np
import pytest

from nlpgen import PETClassifier, Verbalizer
from nlpgen.errors import InputError
from nlpgen.prompts import Pattern, PromptModel
from tests.helpers import array, assert_close

REVIEWS = ["房间很干净，服务也好，下次还来。", "太差了，等了一个小时，再也不来。", "书" * 300]
WORDS = {"正面": ["很", "真"], "负面": "不"}


def by_hand(masked_lm, pattern, words, text):
    """The definition: full softmax at each mask, product over masks, sum over words, normalized over labels."""
    tokenizer = masked_lm.tokenizer
    ((ids, positions),) = Pattern(pattern).encode(tokenizer, [text], 128)
    logits = array(masked_lm({"token_ids": np.array([ids])}))[0, positions].astype("float64")
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    scores = []
    for table in words.values():
        table = [table] if isinstance(table, str) else table
        scores.append(sum(np.prod([p[i] for p, i in zip(probabilities, tokenizer.ids(w), strict=True)]) for w in table))
    return np.array(scores) / sum(scores)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("[MASK]满意。{text}", WORDS),
        ("{text}[MASK]好", {"a": "很", "b": ["不", "没"], "c": "太"}),
        ("[MASK][MASK]：{text}", {"体育": "体育", "财经": ["财经", "经济"]}),
    ],
)
def test_predict_proba_equals_the_definition(embedded, pattern, words):
    found = PETClassifier(embedded, pattern, words).predict_proba(REVIEWS)
    for row, text in zip(found, REVIEWS, strict=True):
        assert_close(row, by_hand(embedded, pattern, words, text), 2e-5)


def test_several_patterns_are_averaged(embedded):
    patterns = ["[MASK]满意。{text}", "{text}[MASK]好。"]
    single = [PETClassifier(embedded, pattern, WORDS).predict_proba(REVIEWS) for pattern in patterns]
    np.testing.assert_allclose(PETClassifier(embedded, patterns, WORDS).predict_proba(REVIEWS), np.mean(single, axis=0))


def test_strings_and_lists_and_batches(embedded):
    pet = PETClassifier(embedded, "[MASK]满意。{text}", WORDS)
    many = pet.predict_proba(REVIEWS * 5)
    for i, text in enumerate(REVIEWS):
        one = pet.predict_proba(text)
        assert one.shape == (2,)
        np.testing.assert_allclose(one, many[i], rtol=2e-4)
        assert pet.predict(text) == list(WORDS)[one.argmax()]
    assert pet.predict(REVIEWS) == [pet.predict(text) for text in REVIEWS]
    assert pet.predict([]) == []
    np.testing.assert_allclose(many.sum(-1), 1, rtol=1e-6)


def test_score(embedded):
    pet = PETClassifier(embedded, "[MASK]满意。{text}", WORDS)
    labels = pet.predict(REVIEWS)
    assert pet.score(REVIEWS, labels) == 1
    wrong = {"正面": "负面", "负面": "正面"}
    assert pet.score(REVIEWS, [wrong[labels[0]], *labels[1:]]) == pytest.approx(2 / 3)


def test_the_model_is_shared_and_compiled_once(embedded):
    pet = PETClassifier(embedded, ["[MASK]满意。{text}", "{text}[MASK]好。"], WORDS)
    pet.predict(REVIEWS)
    pet.predict(REVIEWS)
    (model,) = pet._prompt_models.values()
    assert model.masked_lm is embedded


def test_the_preset(embedded):
    pet = PETClassifier.from_preset("sentiment", embedded)
    assert list(pet.verbalizer) == ["正面", "负面"]
    assert len(pet.patterns) == 5
    with pytest.raises(InputError, match="Did you mean 'sentiment'"):
        PETClassifier.from_preset("sentimant", embedded)


def test_patterns_and_verbalizers_may_be_objects(embedded):
    plain = PETClassifier(embedded, "[MASK]好{text}", WORDS).predict_proba(REVIEWS)
    objects = PETClassifier(embedded, Pattern("[MASK]好{text}"), Verbalizer(WORDS))
    np.testing.assert_array_equal(objects.predict_proba(REVIEWS), plain)
    np.testing.assert_array_equal(
        objects.set_params(patterns=[Pattern("[MASK]好{text}")]).predict_proba(REVIEWS), plain
    )


@pytest.mark.parametrize("options", [{"max_length": "9"}, {"max_length": 0}, {"truncate_side": "middle"}])
def test_bad_options(embedded, options):
    with pytest.raises(InputError, match="must be"):
        PETClassifier(embedded, "[MASK]好{text}", WORDS, **options).predict("好")


def test_params(embedded):
    pet = PETClassifier(embedded, "[MASK]好{text}", WORDS)
    assert pet.get_params()["patterns"] == "[MASK]好{text}"
    assert pet.set_params(max_length=64) is pet
    assert pet.max_length == 64
    with pytest.raises(InputError, match="no argument pattern"):
        pet.set_params(pattern="x")
    assert "PETClassifier(" in repr(pet)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (None, "list of strings"),
        ([""], r"`texts\[0\]` is empty"),
        (["好", None], r"`texts\[1\]` must be"),
        (" ", "empty"),
    ],
)
def test_bad_texts(embedded, texts, message):
    with pytest.raises(InputError, match=message):
        PETClassifier(embedded, "[MASK]好{text}", WORDS).predict(texts)


def test_a_hundred_thousand_characters_are_cut(embedded):
    pet = PETClassifier(embedded, "[MASK]满意。{text}", WORDS)
    np.testing.assert_allclose(pet.predict_proba("好" * 100_000), pet.predict_proba("好" * 500), rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"a": "满意", "b": "不"}, r"'满意' has 2 tokens, but the pattern has 1 `\[MASK\]`"),
        ({"a": "\U00020000", "b": "不"}, "vocabulary does not know"),
        ({"a": "很"}, "two labels or more"),
        ({"a": "很", "b": "很"}, "stands for 'a' and for 'b'"),
        ({"a": "很", "b": []}, "needs a word"),
    ],
)
def test_bad_label_words(embedded, words, message):
    with pytest.raises(InputError, match=message):
        PETClassifier(embedded, "[MASK]好{text}", words).predict("好")


def test_all_bad_label_words_at_once(embedded):
    with pytest.raises(InputError) as error:
        Verbalizer({"a": "满意", "b": "不满意"}).encode(embedded.tokenizer)
    assert "'满意'" in str(error.value)
    assert "'不满意'" in str(error.value)


@pytest.mark.parametrize(("labels", "message"), [(["正面"], "3 texts and 1 labels"), (["x"] * 3, "Unknown labels: x")])
def test_bad_labels(embedded, labels, message):
    with pytest.raises(InputError, match=message):
        PETClassifier(embedded, "[MASK]好{text}", WORDS).score(REVIEWS, labels)


def test_prompt_model_saves(embedded, tmp_path):
    import keras

    model = PromptModel(embedded, *Verbalizer(WORDS).encode(embedded.tokenizer))
    model.build()
    x = embedded.tokenizer(["好"]) | {"positions": np.array([[1]])}
    model.save(tmp_path / "prompt.keras")
    assert_close(array(keras.saving.load_model(tmp_path / "prompt.keras")(x)), array(model(x)))


def test_label_order_and_word_order_do_not_matter(embedded):
    orders = [{"a": ["很", "真", "太"], "b": "不"}, {"b": "不", "a": ["真", "太", "很"]}]
    expected, found = (PETClassifier(embedded, "[MASK]好{text}", words).predict_proba(REVIEWS[0]) for words in orders)
    np.testing.assert_allclose(found[::-1], expected, rtol=1e-5)
