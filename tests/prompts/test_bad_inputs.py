"""What a user may get wrong, in every classifier with a pattern."""

import pytest

from nlpgen import CausalLM, MaskedLM, PETClassifier
from nlpgen.errors import InputError, InputWarning
from nlpgen.prompts import PTuningClassifier

WORDS = {"正面": "很", "负面": "不"}
TEXTS, LABELS = ["房间很干净", "服务真好", "太脏了"], ["正面", "正面", "负面"]


def pet(lms, pattern="[MASK]满意。{text}", verbalizer=WORDS):
    return PETClassifier(lms[0], pattern, verbalizer)


def p_tuning(lms, pattern="[MASK]满意。{text}", verbalizer=WORDS):
    return PTuningClassifier(lms[0], pattern, verbalizer, prefix_length=1)


def p_tuning_gpt(lms, pattern="{text}[MASK]", verbalizer=WORDS):
    return PTuningClassifier(lms[1], pattern, verbalizer, prefix_length=1)


def head(lms, pattern="[P*2]{text}"):
    return PTuningClassifier(lms[0], pattern, head="classifier")


WITH_WORDS = [pet, p_tuning, p_tuning_gpt]


@pytest.fixture(scope="module")
def lms():
    return [
        MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=1),
        CausalLM.from_pretrained("gpt-tiny-zh", num_hidden_layers=1),
    ]


@pytest.mark.parametrize("make", WITH_WORDS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pattern": "{text}好"}, "no .MASK."),
        ({"pattern": "{title}[MASK]"}, "fields title, but the inputs have text"),
        ({"verbalizer": {}}, "two labels or more"),
        ({"verbalizer": {"正面": "很", "负面": "不\U00020000"}}, "does not know these label words.*: '不\U00020000'"),
        ({"verbalizer": {"正面": "很", "负面 ": "不"}}, "'负面 ' has spaces around it"),
        ({"verbalizer": {"正面": "很", "负面": []}}, "'负面' needs a word"),
    ],
)
def test_pattern_and_words(lms, make, changes, message):
    with pytest.raises(InputError, match=message):
        make(lms, **changes).fit({"text": TEXTS}, LABELS)


@pytest.mark.parametrize("pattern", ["[P*2][MASK]好{text}", "{text}[MASK][P*2]", "[P*2]{text}[MASK][MASK]"])
def test_the_mask_of_a_causal_model_is_last(lms, pattern):
    with pytest.raises(InputError, match=r"must end with its one .MASK.. Received"):
        p_tuning_gpt(lms, pattern).fit(TEXTS, LABELS)


@pytest.mark.parametrize("make", [*WITH_WORDS, head])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["正面"] * 3, "All 3 labels are '正面'"),
        (["正面", "正面", "负面 "], "'负面 ' has spaces around it"),
        (["正面", "负面"], "3 texts and 2 labels"),
        (["正面", "负面", None], "None"),
        ("正面", "Give a list of labels"),
        (None, "Give a list of labels"),
    ],
)
def test_labels(lms, make, labels, message):
    with pytest.raises(InputError, match=message):
        make(lms).fit(TEXTS, labels)


@pytest.mark.parametrize("make", [p_tuning, p_tuning_gpt, head])
def test_no_labels_where_nothing_is_known_without(lms, make):
    with pytest.raises(InputError, match=r"has nothing to learn from.*PETClassifier, which predicts without any"):
        make(lms).fit([], [])


@pytest.mark.parametrize("make", [*WITH_WORDS, head])
def test_contradictions_are_counted(lms, make):
    """`validation_data` is none, so that the fit ends behind the warning."""
    with (
        pytest.warns(
            InputWarning, match=r"^1 texts .* different labels, the first is 服务真好 \(正面, 负面\)"
        ) as found,
        pytest.raises(InputError, match="`validation_data` must be"),
    ):
        make(lms).fit([*TEXTS, "服务真好"], [*LABELS, "负面"], validation_data=3)
    assert found[0].filename == __file__
