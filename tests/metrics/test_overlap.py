"""BLEU, chrF and ROUGE-L against their formulas, worked out by hand."""

import sys

import pytest

from nlpgen.errors import InputError, NlpgenError
from nlpgen.metrics import overlap_scores


def test_by_hand():
    """One character of five differs, the last: 4 of 5, 3 of 4, 2 of 3, 1 of 2 and 0 of 1 n-grams are right."""
    scores = overlap_scores(["春风吹绿草"], ["春风吹绿柳"])
    assert scores.bleu == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4))
    assert scores.chrf == pytest.approx(100 * (4 / 5 + 3 / 4 + 2 / 3 + 1 / 2 + 0) / 5)
    assert scores.rouge_l == pytest.approx(100 * 4 / 5)


def test_rouge_is_a_mean_and_a_word_in_latin_letters_is_one_token():
    """Common subsequences: 2 of 3 tokens on both sides; 2 of 2 written, 2 of 4 of the reference."""
    scores = overlap_scores(["用Keras写", "山水"], ["用Keras读", "山青水秀"])
    assert scores.rouge_l == pytest.approx(100 * (2 / 3 + 2 / 3) / 2)


def test_nothing_in_common():
    scores = overlap_scores(["山水", ""], ["花鸟", "风月"])
    assert scores.chrf == scores.rouge_l == 0


@pytest.mark.parametrize("arguments", [([], []), (["山"], []), ("山", "水")])
def test_as_many_of_both(arguments):
    with pytest.raises(InputError, match="as many of both"):
        overlap_scores(*arguments)


def test_a_missing_library_is_named_with_the_remedy(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "rouge_score"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rouge_score", None)
    with pytest.raises(NlpgenError, match=r"pip install 'nlpgen\[overlap\]'"):
        overlap_scores(["山"], ["水"])
