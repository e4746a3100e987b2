import numpy as np
import pytest

from nlpgen import CausalLM, PETClassifier
from nlpgen.errors import InputError
from nlpgen.prompts import Candidates, Pattern, Scorer, Verbalizer, find_label_words
from tests.helpers import array, assert_close
from tests.prompts.test_pet_training import LABELS, TEXTS

PATTERN = "[MASK]满意。{text}"


def test_the_words_with_the_greatest_likelihood_ratio(embedded):
    found = find_label_words(embedded, PATTERN, TEXTS, LABELS, per_label=2, frequent=200)
    assert len({word for words in found.values() for word in words}) == 4
    tokenizer, probabilities = embedded.tokenizer, []
    for (cloze,) in Pattern(PATTERN).encode(tokenizer, {"text": TEXTS}):
        logits = array(embedded({"token_ids": np.array([cloze.token_ids])}))[0, cloze.slots[0]].astype("float64")
        probabilities.append(np.exp(logits) / np.exp(logits).sum())
    p = np.array(probabilities)
    chinese = [i for i, t in enumerate(tokenizer.vocab.tokens) if len(t) == 1 and "\u4e00" <= t <= "\u9fff"]
    words = sorted(chinese, key=lambda i: -np.log(p[:, i]).mean())[:200]
    odds = np.log(p / (1 - p))
    right = np.array(LABELS) == "正面"
    ratio = odds[right].mean(axis=0) - odds[~right].mean(axis=0)
    best = max(words, key=lambda i: ratio[i])
    assert found["正面"][0] == tokenizer.vocab.token(best)
    assert found["负面"][0] == tokenizer.vocab.token(min(words, key=lambda i: ratio[i]))


def test_they_are_a_verbalizer(embedded):
    words = find_label_words(embedded, PATTERN, TEXTS, LABELS)
    pet = PETClassifier(embedded, PATTERN, words, calibration="unlabeled")
    assert pet.calibrate(TEXTS).score(TEXTS, LABELS) >= 0.75


@pytest.mark.parametrize(
    ("pattern", "labels", "message"),
    [
        ("[MASK][MASK]{text}", LABELS, "one .MASK."),
        (PATTERN, ["正面"] * 12, "labels of 1 kinds"),
        (PATTERN, LABELS[:3], "3 labels"),
        (PATTERN, [1, 0] * 6, "a label must be a string"),
        (PATTERN, ["b", "b "] * 6, "'b ' has spaces around it"),
        ("[P*2]" + PATTERN, LABELS, "no virtual tokens"),
    ],
)
def test_bad_inputs(embedded, pattern, labels, message):
    with pytest.raises(InputError, match=message):
        find_label_words(embedded, pattern, TEXTS, labels)


@pytest.mark.parametrize("options", [{"per_label": 0}, {"frequent": "x"}])
def test_bad_numbers(embedded, options):
    with pytest.raises(InputError, match="must be a whole number, 1 or more"):
        find_label_words(embedded, PATTERN, TEXTS, LABELS, **options)


def test_a_second_segment_is_read_as_by_the_scorer(embedded):
    """The log odds of two words are what the scorer says of them."""
    pattern = Pattern("{text}[SEP]很[MASK]满意")
    ids = embedded.tokenizer.ids("很不")
    found = Scorer(embedded, pattern, Candidates()).token_scores({"text": TEXTS}, ids)
    expected = Scorer(embedded, pattern, Verbalizer({"a": "很", "b": "不"})).label_scores({"text": TEXTS})
    assert_close(found[:, 0] - found[:, 1], expected[:, 0] - expected[:, 1], 1e-4)


def test_a_causal_model_is_read_before_the_mask():
    gpt = CausalLM.from_pretrained("gpt-tiny-zh", num_hidden_layers=1)
    pattern = Pattern("{text}很[MASK]")
    found = Scorer(gpt, pattern, Candidates()).token_scores({"text": TEXTS[:1]}, gpt.tokenizer.ids("好坏"))
    ids = np.array([[gpt.tokenizer.cls_id, *gpt.tokenizer.ids(TEXTS[0] + "很")]])
    logits = array(gpt({"token_ids": ids}))[0, -1].astype("float64")
    expected = logits - np.logaddexp.reduce(logits)
    assert_close(found[0], expected[gpt.tokenizer.ids("好坏")], 1e-4)
    assert set(find_label_words(gpt, pattern, TEXTS, LABELS)) == {"正面", "负面"}
