import numpy as np
import pytest

from nlpgen import PETClassifier, Verbalizer
from nlpgen.errors import InputError
from nlpgen.prompts import Candidates, Pattern, Scorer, load_preset, preset_names
from nlpgen.tasks import softmax
from tests.helpers import array, assert_close

REVIEWS = ["房间很干净，服务也好，下次还来。", "太差了，等了一个小时，再也不来。", "书" * 300]
WORDS = {"正面": ["很", "真"], "负面": "不"}


def by_hand(masked_lm, pattern, words, text):
    """The definition: full softmax at each mask, product over masks, sum over words, normalized over labels."""
    tokenizer = masked_lm.tokenizer
    masks = len(tokenizer.ids(next(iter(words.values()))[0])) if "[MASK][MASK]" not in pattern else 2
    ((cloze,),) = Pattern(pattern).encode(tokenizer, {"text": [text]}, [[tokenizer.mask_id] * masks], 128)
    logits = array(masked_lm({"token_ids": np.array([cloze.token_ids])}))[0, cloze.slots].astype("float64")
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    scores = []
    for table in words.values():
        table = [table] if isinstance(table, str) else table
        scores.append(sum(np.prod([p[i] for p, i in zip(probabilities, tokenizer.ids(w), strict=True)]) for w in table))
    return np.array(scores) / sum(scores)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        pytest.param("[MASK]满意。{text}", WORDS, marks=pytest.mark.backends),
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


@pytest.mark.backends
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
    first, second = pet._scorers()
    assert first.lm is second.lm is embedded
    assert first.model is second.model
    assert first.model is pet._scorers()[0].model


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
        (None, "list of texts"),
        ([""], r"`texts\[0\]` is empty"),
        (["好", None], r"`texts\[1\]` must be"),
        (" ", "empty"),
        ({"title": ["好"]}, "ask for the fields text, but the inputs have title"),
        ([("好", "坏")], "the fields text, but the first input has 2 parts"),
    ],
)
def test_bad_texts(embedded, texts, message):
    with pytest.raises(InputError, match=message):
        PETClassifier(embedded, "[MASK]好{text}", WORDS).predict(texts)


def test_a_hundred_thousand_characters_are_cut(embedded):
    pet = PETClassifier(embedded, "[MASK]满意。{text}", WORDS)
    np.testing.assert_allclose(pet.predict_proba("好" * 100_000), pet.predict_proba("好" * 500), rtol=1e-5)


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["正面"], "3 texts and 1 labels"), (["x"] * 3, "'x': it is none of 正面"), (["正面 "] * 3, "spaces around it")],
)
def test_bad_labels(embedded, labels, message):
    with pytest.raises(InputError, match=message):
        PETClassifier(embedded, "[MASK]好{text}", WORDS).score(REVIEWS, labels)


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ([], "`patterns` is empty"),
        ("[P*2][MASK]{text}", "only PTuningClassifier learns"),
        (["[MASK]{a}", "[MASK]{b}"], "ask for different fields"),
    ],
)
def test_bad_patterns(embedded, patterns, message):
    with pytest.raises(InputError, match=message):
        PETClassifier(embedded, patterns, WORDS).predict("好")


def test_prompt_model_saves(embedded, tmp_path):
    import keras

    scorer = Scorer(embedded, Pattern("[MASK]好{text}"), Verbalizer(WORDS | {"c": "一般"}))
    x = scorer.inputs(scorer.rows({"text": REVIEWS[:2]}), 32)
    scorer.model.save(tmp_path / "prompt.keras")
    assert_close(array(keras.saving.load_model(tmp_path / "prompt.keras")(x)), array(scorer.model(x)))


def test_pairs_in_all_forms(embedded):
    pet = PETClassifier(embedded, ["{a}？[MASK]，{b}", "{b}。[MASK]，{a}"], {"是": "是的", "否": "不"})
    pairs = [("天气很好", "天晴"), ("股票大涨", "下雨了")]
    expected = pet.predict_proba(pairs)
    columns = {"b": ["天晴", "下雨了"], "a": ["天气很好", "股票大涨"], "id": [1, 2]}
    np.testing.assert_array_equal(pet.predict_proba(columns), expected)
    np.testing.assert_allclose(pet.predict_proba(pairs[0]), expected[0], rtol=2e-4)
    np.testing.assert_allclose(pet.predict_proba({"a": "天气很好", "b": "天晴"}), expected[0], rtol=2e-4)
    assert np.abs(pet.predict_proba([pair[::-1] for pair in pairs]) - expected).max() > 1e-3


def test_calibration(embedded):
    pet = PETClassifier(embedded, "[MASK]好{text}", WORDS)
    plain = pet.predict_proba(REVIEWS)

    def divided(prior):
        return plain / prior / (plain / prior).sum(axis=1, keepdims=True)

    (blank,) = [softmax(pet._scorers()[0].label_scores({"text": [""]}))[0]]
    np.testing.assert_allclose(pet.set_params(calibration="context").predict_proba(REVIEWS), divided(blank), rtol=1e-4)
    pet.set_params(calibration="unlabeled")
    with pytest.raises(InputError, match="needs texts"):
        pet.predict(REVIEWS)
    pet.calibrate(REVIEWS)
    np.testing.assert_allclose(pet.predict_proba(REVIEWS), divided(plain.mean(axis=0)), rtol=1e-4)


def test_a_prior_for_each_domain(embedded):
    pet = PETClassifier(embedded, "[MASK]好{text}", WORDS, calibration="unlabeled", domain="kind")
    columns = {"text": REVIEWS, "kind": ["酒店", "酒店", "书"]}
    plain = PETClassifier(embedded, "[MASK]好{text}", WORDS).predict_proba(REVIEWS)
    prior = np.stack([plain[:2].mean(axis=0)] * 2 + [plain[2]])
    expected = plain / prior / (plain / prior).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(pet.calibrate(columns).predict_proba(columns), expected, rtol=1e-4)
    with pytest.raises(InputError, match="`domain` is 'kind'"):
        pet.predict(REVIEWS)


def test_candidates(embedded):
    pet = PETClassifier(embedded, "{before:left}[MASK]{after}", Candidates())
    columns = {
        "before": ["他", "天"],
        "after": ["地笑了", "很好"],
        "candidates": [["高兴", "大声"], ["气", "空", "安门"]],
    }
    predicted = pet.predict(columns)
    assert all(word in words for word, words in zip(predicted, columns["candidates"], strict=True))
    assert pet.score(columns, predicted) == 1
    with pytest.raises(InputError, match=r"`candidates\[1\]` must be a list of two"):
        pet.predict(columns | {"candidates": [["高兴", "大声"], ["气"]]})


def test_label_order_and_word_order_do_not_matter(embedded):
    orders = [{"a": ["很", "真", "太"], "b": "不"}, {"b": "不", "a": ["真", "太", "很"]}]
    expected, found = (PETClassifier(embedded, "[MASK]好{text}", words).predict_proba(REVIEWS[0]) for words in orders)
    np.testing.assert_allclose(found[::-1], expected, rtol=1e-5)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_predicts(embedded, name):
    found = load_preset(name)
    pet = PETClassifier.from_preset(name, embedded)
    columns = {field: ["天气很好，我们去公园"] * 2 for field in pet._question().fields}
    if isinstance(found.verbalizer, Candidates):
        columns["candidates"] = [["高兴", "大声"]] * 2
    proba = pet.predict_proba(columns)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    if not isinstance(found.verbalizer, Candidates):
        assert proba.shape == (2, len(found.verbalizer))
