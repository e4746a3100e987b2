import json

import numpy as np
import pytest

from nlpgen import MaskedLM, PETClassifier
from nlpgen.errors import ConfigError, InputError, InputWarning, TrainingDiverged, WeightsMismatch
from nlpgen.prompts import Candidates, Pattern, Scorer, Verbalizer
from nlpgen.tasks import softmax
from tests.helpers import assert_close

GOOD = ["房间很干净", "服务真好", "下次还来", "早餐丰富，味道好", "很满意", "位置方便，推荐"]
BAD = ["太脏了", "等了一个小时", "再也不来", "又贵又差", "态度恶劣", "隔音不好，睡不着"]
TEXTS, LABELS = GOOD + BAD, ["正面"] * 6 + ["负面"] * 6
WORDS = {"正面": "很", "负面": "不太"}
PATTERNS = ["[MASK]满意。{text}", "{text}[MASK]好。"]
QUICK = {"epochs": 8, "batch_size": 6, "learning_rate": 3e-3, "max_length": 32}


@pytest.fixture(scope="module")
def embedded():
    """The embedded model without its upper layers: quicker to compile, and good enough to learn twelve texts."""
    return MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=1)


@pytest.fixture(scope="module")
def one(embedded):
    """One classifier of one pattern for many tests, so that it is compiled once."""
    return PETClassifier(embedded, PATTERNS[0], WORDS)


def reset(one, **options):
    fresh = PETClassifier(**{"mlm": one.mlm, "patterns": PATTERNS[0], "verbalizer": WORDS} | QUICK | options)
    return one.set_params(**fresh.get_params())


def weights(model):
    return [w.copy() for w in model.get_weights()]


def assert_same(before, after):
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_few_labels(embedded):
    before = weights(embedded)
    pet = PETClassifier(embedded, PATTERNS, WORDS, **QUICK)
    zero_shot = pet.score(TEXTS, LABELS)
    votes = [PETClassifier(embedded, pattern, WORDS, max_length=32).score(TEXTS, LABELS) for pattern in PATTERNS]
    assert pet.fit(TEXTS, LABELS).score(TEXTS, LABELS) == 1 > zero_shot
    assert_same(before, weights(embedded))
    assert len(pet.models_) == len(pet.history_) == 2
    np.testing.assert_allclose(pet.weights_, np.array(votes) / sum(votes))  # each pattern's untrained accuracy
    assert pet.history_[0][-1]["loss"] < pet.history_[0][0]["loss"]
    assert pet.student_ is None
    first = pet.predict_proba(TEXTS)
    np.testing.assert_array_equal(pet.fit(TEXTS[::-1], LABELS[::-1]).fit(TEXTS, LABELS).predict_proba(TEXTS), first)


def test_repetitions_vote_alike(one):
    pet = reset(one, epochs=1, repetitions=2, ensemble="mean").fit(TEXTS, LABELS)
    np.testing.assert_allclose(pet.weights_, [0.5, 0.5])
    assert not np.array_equal(pet.models_[0].get_weights()[0], pet.models_[1].get_weights()[0])


def test_the_same_seed_gives_the_same_model(one):
    first, again, other = (
        reset(one, epochs=2, seed=seed).fit(TEXTS, LABELS).predict_proba(TEXTS) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


def test_unlabelled_texts_alone_teach_their_language(one):
    pet = reset(one, epochs=12, mlm_weight=1.0).fit([], [], unlabeled=TEXTS)
    (history,) = pet.history_
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
    assert len(pet.predict(TEXTS)) == 12
    with pytest.raises(InputError, match="`mlm_weight` must be above 0"):
        pet.set_params(mlm_weight=0, distill=True).fit([], [], unlabeled=TEXTS)


def test_without_any_text_it_stays_zero_shot(embedded):
    pet = PETClassifier(embedded, PATTERNS, WORDS, max_length=32)
    before = pet.predict_proba(TEXTS)
    np.testing.assert_array_equal(pet.fit([], []).predict_proba(TEXTS), before)


def test_the_best_epoch_on_validation_data_is_kept(one):
    pet = reset(one, patience=2)
    pet.fit(TEXTS, LABELS, validation_data=(TEXTS[::2], LABELS[::2]))
    best = max(epoch["score"] for epoch in pet.history_[0])
    assert pet.score(TEXTS[::2], LABELS[::2]) == best


def test_ipet_and_distillation(one, tmp_path):
    pool = ["房间干净", "服务很差", "很脏", "味道真好", "方便", "睡不着"]
    pet = reset(one, patterns=PATTERNS, generations=1, distill=True, distill_epochs=10)
    pet.fit(TEXTS, LABELS, unlabeled=pool)
    assert pet.student_.classes_ == ["正面", "负面"]
    assert len(pet.student_.history_) == 10 != len(pet.history_[0])
    said, taught = pet.predict_proba(pool), np.tensordot(pet.weights_, pet.predict_proba_by_model(pool), 1)
    np.testing.assert_allclose(said, pet.student_.predict_proba(pool))
    assert np.corrcoef(said[:, 0], taught[:, 0])[0, 1] > 0.7  # it says what the models say
    pet.save(tmp_path / "pet")
    pet.save(tmp_path / "pet")  # replaces it
    loaded = PETClassifier.load(tmp_path / "pet")
    np.testing.assert_allclose(loaded.predict_proba(pool), said, atol=1e-6)
    assert loaded.get_params()["patterns"] == PATTERNS


@pytest.mark.backends
def test_save_and_load(embedded, tmp_path):
    pet = PETClassifier(
        embedded, PATTERNS, WORDS, **QUICK | {"epochs": 1}, mlm_weight=0, calibration="unlabeled", normalization="pmi"
    )
    pet.fit(TEXTS, LABELS, unlabeled=TEXTS).save(tmp_path / "pet")
    loaded = PETClassifier.load(tmp_path / "pet")
    np.testing.assert_allclose(loaded.predict_proba(TEXTS), pet.predict_proba(TEXTS), atol=1e-6)
    np.testing.assert_allclose(loaded.weights_, pet.weights_)


def test_pmi_subtracts_the_constants_that_the_labels_were_learned_with(embedded):
    """What the untrained model says of the words without a text, in the loss and afterwards; without labels, what the
    trained model says."""
    blank = {"text": [""]}
    pet = PETClassifier(embedded, PATTERNS, WORDS, **QUICK | {"epochs": 2}, mlm_weight=0.5, normalization="pmi")
    plain = [Scorer(embedded, Pattern(pattern), Verbalizer(WORDS), 32).label_scores(blank)[0] for pattern in PATTERNS]
    found = pet.fit(TEXTS, LABELS).predict_proba_by_model(TEXTS)
    for model, pattern, constants, row in zip(pet.models_, PATTERNS, plain, found, strict=True):
        own = Scorer(model, Pattern(pattern), Verbalizer(WORDS), 32)
        assert_close(row, softmax(own.label_scores({"text": TEXTS}) - constants), 1e-5)
        assert np.abs(own.label_scores(blank)[0] - constants).max() > 0.1  # it was trained
    pet.fit([], [], unlabeled=TEXTS)
    own = Scorer(pet.models_[0], Pattern(PATTERNS[0]), Verbalizer(WORDS), 32)
    expected = softmax(own.label_scores({"text": TEXTS}) - own.label_scores(blank))
    assert_close(pet.predict_proba_by_model(TEXTS)[0], expected, 1e-5)


def test_a_classifier_that_was_not_fitted_needs_its_model(embedded, tmp_path):
    pet = PETClassifier(embedded, "{a}[MASK]{b}", Candidates("options"))
    pet.save(tmp_path / "pet")
    with pytest.raises(ValueError, match="Give its model as `backbone`"):
        PETClassifier.load(tmp_path / "pet")
    loaded = PETClassifier.load(tmp_path / "pet", backbone=embedded)
    columns = {"a": ["他"], "b": ["笑"], "options": [["大", "小"]]}
    np.testing.assert_array_equal(loaded.predict_proba(columns), pet.predict_proba(columns))


def test_a_saved_classifier_that_lacks_something_is_refused(embedded, tmp_path):
    PETClassifier(embedded, PATTERNS, WORDS).save(tmp_path / "pet")
    saved = tmp_path / "pet" / "prompt.json"
    about = json.loads(saved.read_text(encoding="utf-8"))
    del about["weights"], about["blank"]
    saved.write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"has no weights, blank\. It is damaged, or of another version"):
        PETClassifier.load(tmp_path / "pet", backbone=embedded)


def test_candidates_can_be_learned(embedded):
    columns = {
        "a": ["他", "她", "天", "水"] * 2,
        "b": ["地笑", "地哭", "很蓝", "很清"] * 2,
        "candidates": [["大声", "小声"], ["小声", "大声"], ["空", "桥面"], ["桥面", "流"]] * 2,
    }
    labels = ["小声", "小声", "空", "桥面"] * 2
    pet = PETClassifier(embedded, "{a}[MASK]{b}", Candidates(), **QUICK | {"epochs": 20, "batch_size": 8})
    assert pet.fit(columns, labels).score(columns, labels) == 1
    pet.set_params(mlm_weight=1.0, epochs=1).fit([], [], unlabeled=columns)
    assert len(pet.history_[0]) == 1
    with pytest.raises(InputError, match="`label_conditioning` needs fixed labels"):
        pet.set_params(label_conditioning=1.0).fit(columns, labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ensemble": "best"}, "`ensemble` must be one of"),
        ({"repetitions": 0}, "`repetitions` must be"),
        ({"distill_epochs": 0}, "`distill_epochs` must be"),
        ({"generations": 1}, "need `unlabeled`"),
        ({"distill": True}, "need `unlabeled`"),
        ({"mlm_weight": -1}, "`mlm_weight` must be a number, 0 or more"),
        ({"mlm_rate": 2.0}, "`mlm_rate` must be between"),
        ({"epochs": 0}, "`epochs` must be"),
        ({"seed": "x"}, "`seed` must be"),
    ],
)
def test_bad_options(embedded, options, message):
    with pytest.raises(InputError, match=message):
        PETClassifier(embedded, PATTERNS[0], WORDS, **options).fit(TEXTS, LABELS)


def test_labels_of_candidates_are_not_learned_with_pmi(embedded):
    columns = {"text": ["他笑"], "candidates": [["大声", "小声"]]}
    pet = PETClassifier(embedded, PATTERNS[0], Candidates(), normalization="pmi")
    assert pet.predict_proba(columns).shape == (1, 2)
    with pytest.raises(InputError, match="cannot be learned with normalization='pmi'"):
        pet.fit(columns, ["大声"])


def test_labels_that_no_word_stands_for(embedded):
    with pytest.raises(InputError, match="'坏 ': it is none of"):
        PETClassifier(embedded, PATTERNS[0], WORDS).fit(TEXTS, ["正面", "坏 "] * 6)


def test_texts_with_several_labels_are_counted_and_learned(one):
    pet = reset(one, epochs=1)
    with pytest.warns(InputWarning, match="1 texts stand there with different labels, the first is 好 \\("):
        assert len(pet.fit(["好", "好", "坏"], ["正面", "负面", "负面"]).history_[0]) == 1
    pet.fit(["好", "好", "坏"], ["正面", "正面", "负面"])  # a warning would be an error


def test_the_next_arguments_change_nothing_that_was_learned(one, tmp_path):
    pet = reset(one, epochs=1).fit(TEXTS, LABELS)
    before = pet.predict_proba(TEXTS)
    pet.set_params(verbalizer=dict(reversed(WORDS.items())), patterns=PATTERNS[1], max_length=20)
    np.testing.assert_array_equal(pet.predict_proba(TEXTS), before)
    assert pet.classes_ == list(WORDS)
    pet.save(tmp_path / "pet")
    loaded = PETClassifier.load(tmp_path / "pet")
    np.testing.assert_allclose(loaded.predict_proba(TEXTS), before, atol=1e-6)
    with pytest.raises(InputError, match="loaded without it"):
        loaded.fit([], [])
    reset(one)


def test_models_that_were_handed_out_stay(one):
    (model,) = reset(one, epochs=1).fit(TEXTS, LABELS).models_
    before = weights(model)
    one.set_params(seed=5).fit(TEXTS, LABELS)
    assert_same(before, weights(model))


def test_a_fit_that_fails_leaves_no_broken_classifier(one):
    zero_shot = PETClassifier(one.mlm, PATTERNS[0], WORDS, max_length=32).predict_proba(TEXTS)
    trained = reset(one, epochs=1).fit(TEXTS, LABELS).predict_proba(TEXTS)
    wrong = {"ensemble": "best", "epochs": 0, "batch_size": 0, "learning_rate": -1.0, "patience": 1}
    for name, value in (wrong | {"unlabeled_batch_size": 0}).items():
        kept = getattr(one, name)
        with pytest.raises(InputError, match=f"`{name}` (must be|needs)"):
            one.set_params(**{name: value}).fit(TEXTS, LABELS)
        one.set_params(**{name: kept})
    with pytest.raises(InputError, match="does not know"):
        one.set_params(verbalizer={"正面": "很", "负面": "\U00020000"}, ensemble="mean").fit(TEXTS, LABELS)
    one.set_params(verbalizer=WORDS)
    np.testing.assert_array_equal(one.predict_proba(TEXTS), trained)
    with pytest.raises(TrainingDiverged):
        one.set_params(ensemble="mean", learning_rate=1e30, epochs=3).fit(TEXTS, LABELS)
    np.testing.assert_allclose(one.predict_proba(TEXTS), zero_shot, atol=1e-6)


def test_no_more_copies_are_kept_than_are_needed(one):
    for length in (24, 32):
        reset(one, epochs=1, max_length=length)
        (scorer,) = one._copies(one._new_question(), 1)
        assert one._kept[2] == [scorer]


def test_unlabelled_texts_may_calibrate_alone(one):
    pet = reset(one, calibration="unlabeled", mlm_weight=0).fit([], [], unlabeled=TEXTS)
    by_hand = PETClassifier(one.mlm, PATTERNS[0], WORDS, max_length=32, calibration="unlabeled").calibrate(TEXTS)
    np.testing.assert_array_equal(pet.predict_proba(TEXTS), by_hand.predict_proba(TEXTS))
    np.testing.assert_array_equal(pet.fit([], []).predict_proba(TEXTS), by_hand.predict_proba(TEXTS))
    with pytest.raises(InputError, match="Calibration needs texts"):
        pet.calibrate([])
    with pytest.raises(InputError, match="needs fixed labels"):
        PETClassifier(one.mlm, PATTERNS[0], Candidates(), calibration="unlabeled").calibrate(
            {"text": ["好"], "candidates": [["大", "小"]]}
        )


def test_priors_are_of_one_model_and_its_patterns(embedded, tmp_path):
    pet = PETClassifier(embedded, PATTERNS[0], WORDS, max_length=32, calibration="unlabeled").calibrate(TEXTS)
    expected = pet.predict_proba(TEXTS)
    pet.save(tmp_path / "pet")
    assert_close(PETClassifier.load(tmp_path / "pet", backbone=embedded).predict_proba(TEXTS), expected, 1e-6)
    other = MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=2)
    with pytest.raises(WeightsMismatch, match="num_hidden_layers: 1 expected, 2 found"):
        PETClassifier.load(tmp_path / "pet", backbone=other)
    for change in ({"mlm": other}, {"patterns": PATTERNS[1], "mlm": embedded}):
        with pytest.raises(InputError, match="call `calibrate`"):
            pet.set_params(**change).predict(TEXTS)
    pet.save(tmp_path / "pet")
    with pytest.raises(InputError, match="call `calibrate`"):
        PETClassifier.load(tmp_path / "pet", backbone=embedded).predict(TEXTS)


@pytest.mark.parametrize(
    "options", [{"mask_template": True}, {"label_conditioning": 0.5}, {"mlm_weight": 0, "calibration": "unlabeled"}]
)
def test_other_losses(one, options):
    pet = reset(one, epochs=20, **options).fit(TEXTS, LABELS, unlabeled=["还可以", "早餐一般"])
    assert pet.score(TEXTS, LABELS) >= 11 / 12  # a prior of two texts may cost one


def test_unlabelled_texts_that_no_option_uses_are_said(one):
    with pytest.warns(InputWarning, match="`unlabeled` is not used"):
        reset(one, mlm_weight=0).fit([], [], unlabeled=TEXTS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mlm": "bert-tiny-zh"}, "`mlm` must be a MaskedLM"),
        ({"patterns": None}, "`patterns` must be patterns"),
        ({"patterns": 5}, "`patterns` must be patterns"),
        ({"calibration": "contxt"}, "`calibration` must be one of"),
        ({"unlabeled_batch_size": -1}, "`unlabeled_batch_size` must be"),
    ],
)
def test_bad_arguments(embedded, arguments, message):
    with pytest.raises(InputError, match=message):
        PETClassifier(**{"mlm": embedded, "patterns": PATTERNS[0], "verbalizer": WORDS} | arguments).fit(TEXTS, LABELS)
