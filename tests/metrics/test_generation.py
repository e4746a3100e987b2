"""Measures of generated texts, by hand and by what must hold."""

import itertools
import math

import pytest

from nlpgen.metrics import BigramModel, bleu, distinct_n, self_bleu, token_f1


def test_distinct_by_hand():
    assert distinct_n(["ab", "ab"], 1) == 0.5
    assert distinct_n(["abc", "abd"], 2) == 0.75
    assert distinct_n([], 1) == 0


def test_bleu_by_hand():
    """Precisions 3/4, 2/4, 1/3 and 1/2 with one added from pairs on, and no brevity penalty."""
    assert bleu(list("abcx"), [list("abcd")]) == pytest.approx((3 / 4 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)
    assert bleu(list("ab"), [list("abcd")], most=1) == pytest.approx(math.exp(1 - 4 / 2))
    assert bleu([], [list("ab")]) == bleu(list("xy"), [list("ab")]) == 0


def test_texts_that_are_all_alike_have_a_high_self_bleu():
    assert self_bleu([list("abcde")] * 3) == pytest.approx(1)
    assert self_bleu([list("abcde"), list("fghij")]) == 0
    assert self_bleu([list("abcde")]) == 0


def test_a_bigram_model_is_a_distribution():
    """Over what can follow, seen or not, the probabilities are one."""
    model = BigramModel([list("abab"), list("ba")], vocab_size=5)  # a, b, c, d and the end
    ends = ["a", "b", "c", "d"]
    for first in ("a", "b", "c"):
        seen = sum(model._probability(first, second) for second in ends)
        assert seen + model._probability(first, "<end>") == pytest.approx(1)
    assert model.perplexity([list("abab")]) < model.perplexity([list("aabb")]) < model.perplexity([list("cdcd")])
    short = [list(text) for n in range(6) for text in itertools.product("abcd", repeat=n)]
    assert 0.6 < sum(math.exp(model.log_prob(text)) for text in short) <= 1
    assert BigramModel([], 4).perplexity([list("ab")]) == pytest.approx(4)


def test_token_f1():
    assert token_f1("abc", "cba") == 1
    assert token_f1("aab", "ab") == pytest.approx(0.8)
    assert token_f1("", "ab") == 0
