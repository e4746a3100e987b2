import numpy as np
import pytest

from nlpgen import PETClassifier
from nlpgen.errors import InputError
from nlpgen.prompts import Pattern, find_label_words
from tests.helpers import array
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
    ],
)
def test_bad_inputs(embedded, pattern, labels, message):
    with pytest.raises(InputError, match=message):
        find_label_words(embedded, pattern, TEXTS, labels)
