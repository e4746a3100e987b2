"""How good and how different generated texts are, from their tokens alone."""

import math
from collections import Counter, defaultdict
from itertools import count

import numpy as np
from sacrebleu import BLEU

START, END = "<start>", "<end>"


def distinct_n(texts, n):
    """The share of n-grams that are different (Li et al., 2016, https://arxiv.org/abs/1510.03055).

    Args:
        texts: lists of tokens.
        n: tokens of an n-gram.

    >>> distinct_n([["a", "b", "a", "b"]], 2)
    0.6666666666666666
    """
    grams = [gram for text in texts for gram in _grams(text, n)]
    return len(set(grams)) / max(len(grams), 1)


def bleu(candidate, references, most=4):
    """sacrebleu's BLEU of a text against others, from 0 to 1, with 1 added to the counts of n-grams from two tokens on
    (Papineni et al., 2002, https://aclanthology.org/P02-1040; smoothing 2 of Chen & Cherry, 2014,
    https://aclanthology.org/W14-3346). For a score to be quoted see `overlap_scores`.

    Args:
        candidate: a list of tokens.
        references: lists of tokens, one or more.
        most: tokens of the longest n-grams.

    >>> round(bleu(list("abcx"), [list("abcd"), list("bcx")]), 3)
    0.841
    """
    scorer = BLEU(tokenize="none", smooth_method="add-k", smooth_value=1, max_ngram_order=most, effective_order=True)
    number = defaultdict(count().__next__)  # sacrebleu parts tokens at spaces, which a token may have
    text, *others = (" ".join(str(number[token]) for token in tokens) for tokens in (candidate, *references))
    return scorer.sentence_score(text, others).score / 100


def self_bleu(texts, most=4, judged=100, references=100):
    """The mean BLEU of texts against the others (Zhu et al., 2018, https://arxiv.org/abs/1802.01886): high where all
    are alike.

    Args:
        texts: lists of tokens.
        most: see `bleu`.
        judged: of how many, from the first on.
        references: how many others each is compared with, the ones that follow it.
    """
    n = len(texts)
    if n < 2:
        return 0.0
    others = [[texts[(i + j) % n] for j in range(1, min(n, references + 1))] for i in range(min(n, judged))]
    return float(np.mean([bleu(texts[i], rest, most) for i, rest in enumerate(others)]))


class BigramModel:
    """An interpolated bigram model with absolute discounting, over a unigram model that knows every token.

    It is what forward and reverse perplexity are measured with: cheap, the same for all, and without any seed.

    Args:
        texts: lists of tokens to count.
        vocab_size: number of tokens there can be, the end included.
        discount: what is taken from every count.
    """

    def __init__(self, texts, vocab_size, discount=0.75):
        self.vocab_size, self.discount = vocab_size, discount
        self.pairs, self.totals, self.kinds, self.single = Counter(), Counter(), defaultdict(int), Counter()
        for text in texts:
            for first, second in zip([START, *text], [*text, END], strict=True):
                self.kinds[first] += (first, second) not in self.pairs
                self.pairs[first, second] += 1
                self.totals[first] += 1
                self.single[second] += 1
        self.tokens = sum(self.single.values())

    def log_prob(self, text):
        """log p of a text with its end, nats."""
        return sum(math.log(self._probability(*pair)) for pair in zip([START, *text], [*text, END], strict=True))

    def perplexity(self, texts):
        """exp of the mean surprise of a token, ends included."""
        tokens = sum(len(text) + 1 for text in texts)
        return math.exp(-sum(map(self.log_prob, texts)) / tokens)

    def _probability(self, first, second):
        left = self.discount * len(self.single) / max(self.tokens, 1)
        unigram = max(self.single[second] - self.discount, 0) / max(self.tokens, 1)
        unigram += (left if self.tokens else 1.0) / self.vocab_size
        total = self.totals[first]
        if not total:
            return unigram
        seen = max(self.pairs[first, second] - self.discount, 0) / total
        return seen + self.discount * self.kinds[first] / total * unigram


def token_f1(text, reference):
    """The harmonic mean of the shares of tokens that are in the other text too, in any order.

    >>> round(token_f1(list("abc"), list("abd")), 3)
    0.667
    """
    common = sum((Counter(text) & Counter(reference)).values())
    return 2 * common / (len(text) + len(reference)) if common else 0.0


def _grams(tokens, n):
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
