"""Questions from texts without any: what stands twice in a text answers the sentence that it is taken out of."""

import re
from collections import Counter, defaultdict
from numbers import Integral

import numpy as np

from nlpgen.errors import InputError
from nlpgen.reading.example import QAExample
from nlpgen.text import check_texts
from nlpgen.text.words import word_cutter

SENTENCE = re.compile(r"[^。！？!?；;\n]+[。！？!?；;\n]*")
NAME = re.compile(r"[\w·.-]+")  # what a span is made of
LONGEST_QUESTION = 60  # characters
WORDS = 4  # most words of a span
COMMON = 0.002  # share of texts from which on a span says nothing of a text
ALWAYS = 5  # so many texts do not make a span common


def recurring_spans(texts, per_text=1, shortest=2, longest=12, seed=0):
    """Make training examples of a reader from plain texts: recurring span selection (Ram et al., 2021, Splinter,
    https://arxiv.org/abs/2101.00438).

    A span of one to four words that stands in two sentences of a text is taken out of one of them. What is left, with
    什么 in its place (多少 for a number), is the question, the rest of the text the passage, and the span the answer.
    Long spans are preferred, those of many texts are left out.

    Args:
        texts: strings of two sentences or more; others give no example.
        per_text: most examples of a text.
        shortest, longest: characters of a span.
        seed: of what is drawn.

    Returns:
        A list of `QAExample`, fewer than the texts where little recurs.

    Raises:
        InputError: if `texts` are no strings, or a number is out of range.

    Example:
        >>> text = "黄山位于安徽省南部。每年有三百万人去登山。人们说，黄山位于安徽省，也属于世界。"
        >>> recurring_spans([text])[0].answers
        ('黄山位于安徽省',)
    """
    numbers = all(isinstance(value, Integral) for value in (per_text, shortest, longest))
    if not (numbers and 1 <= shortest <= longest and per_text >= 1):
        raise InputError(
            "Expected whole numbers, 1 <= shortest <= longest and per_text >= 1. "
            f"Received: shortest={shortest!r}, longest={longest!r}, per_text={per_text!r}"
        )
    read = [_sentences_with(text, shortest, longest) for text in check_texts(texts)]
    counts = Counter(span for _, spans in read for span in spans)
    common = max(ALWAYS, COMMON * len(read))
    generator, made = np.random.default_rng(seed), []
    for sentences, spans in read:
        left = {span: where for span, where in spans.items() if counts[span] <= common}
        for _ in range(min(per_text, len(left))):
            weights = np.array([len(span) for span in left], float)
            span = list(left)[generator.choice(len(left), p=weights / weights.sum())]
            where = left.pop(span)
            asked = where[generator.integers(len(where))]
            question = sentences[asked].strip().replace(span, "多少" if span.isnumeric() else "什么")
            passage = "".join(s for i, s in enumerate(sentences) if i != asked).strip()
            made.append(QAExample(question, passage, span))
    return made


def _sentences_with(text, shortest, longest):
    """The sentences of a text, and its recurring spans: `{span: sentences that can ask for it}`."""
    sentences, where, counts = SENTENCE.findall(text), defaultdict(list), Counter()
    for i, sentence in enumerate(sentences):
        words = word_cutter().lcut(sentence)
        for span in _spans(words, shortest, longest):
            counts[span] += 1
            if not where[span] or where[span][-1] != i:
                where[span].append(i)
    found = {span: places for span, places in where.items() if len(places) > 1}
    # A part of a longer one that stands wherever it does says no more than that.
    parts = {part for span in found for part in found if part != span and part in span and counts[part] == counts[span]}
    kept = {}
    for span in found.keys() - parts:
        asking = [i for i in found[span] if len(span) + 4 <= len(sentences[i].strip()) <= LONGEST_QUESTION]
        if asking:
            kept[span] = asking
    return sentences, {span: kept[span] for span in sorted(kept)}


def _spans(words, shortest, longest):
    for first in range(len(words)):
        span = ""
        for word in words[first : first + WORDS]:
            if not NAME.fullmatch(word):
                break
            span += word
            if shortest <= len(span) <= longest:
                yield span
