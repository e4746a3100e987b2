"""Questions from texts without any: a part of a sentence is asked for with what is left of the sentence."""

from functools import cache
from itertools import groupby
from numbers import Integral, Real

import numpy as np

from nlpgen.errors import InputError
from nlpgen.reading.example import QAExample
from nlpgen.reading.recurring_spans import SENTENCE
from nlpgen.text import check_texts
from nlpgen.text.words import word_cutter

# What asks for a run of words: the tags that one of them has, that all have, and question words. The tags are jieba's.
PERSONS, PLACES, NUMBERS = {"nr", "nrt", "nrfg"}, {"ns", "s"}, {"m", "q"}
THINGS = {"n", "nz", "nt", "vn", "an", "j", "l", "i", "eng"}
ASKING = (
    (PERSONS, PERSONS, ("谁", "哪位", "什么人")),
    (PLACES, PLACES, ("哪里", "何处", "什么地方")),
    ({"t"}, {"t"} | NUMBERS, ("什么时候", "何时", "哪年")),
    ({"m"}, NUMBERS, ("多少", "几")),
    (THINGS, THINGS | PERSONS | PLACES | NUMBERS | {"a", "b"}, ("什么", "哪个", "何")),
)
ASKING_CLAUSE = ("什么", "怎么样", "为什么", "如何", "哪些")
CLAUSE_ENDS = "，,；;：:。！？!?"
TRIES = 4  # sentences of a text that are looked at, until something can be asked for
OFTEN = 3  # times in a text up to which an answer says where it is from
SHORTEST = 4  # characters of a question besides the question word
IN_PLACE, AT_END = 0.6, 0.25  # where the question word stands, of all questions; in the others it is the first


def cloze_questions(texts, per_text=1, drop=0.25, longest=30, seed=0):
    """Make training examples of a reader from plain texts: noisy cloze questions (Lewis et al., 2019,
    https://arxiv.org/abs/1906.04980).

    A run of words of a sentence or one of its clauses is the answer. The question is what stands around it there, less
    some words, with a question word (谁, 哪里, 多少, …, by the kind of words) in its place, at the end or in front. The
    passage is the whole text.

    Args:
        texts: strings; those where nothing is found to ask for give no example.
        per_text: most examples of a text, drawn one by one: some may be alike.
        drop: share of the words that a question misses.
        longest: characters of an answer, and of each side of a question.
        seed: of what is drawn.

    Returns:
        A list of `QAExample`.

    Raises:
        InputError: if `texts` are no strings, or a number is out of range.

    Example:
        >>> (example,) = cloze_questions(["黄山位于安徽省南部，每年有三百万人去登山。"], drop=0, seed=1)
        >>> example.question, example.answers
        ('黄山位于安徽省南部，每年有几人去登山？', ('三百万',))
    """
    numbers = isinstance(per_text, Integral) and isinstance(drop, Real) and isinstance(longest, Integral)
    if not (numbers and per_text >= 1 and 0 <= drop < 1 and longest >= 1):
        raise InputError(
            "Expected whole per_text >= 1, 0 <= drop < 1 and whole longest >= 1. "
            f"Received: per_text={per_text!r}, drop={drop!r}, longest={longest!r}"
        )
    generator, made = np.random.default_rng(seed), []
    for text in check_texts(texts):
        sentences = [sentence.strip(CLAUSE_ENDS + " \n") for sentence in SENTENCE.findall(text)]
        for _ in range(per_text):
            drawn = generator.permutation(len(sentences))[:TRIES]
            found = (_asked(sentences[i], text, drop, longest, generator) for i in drawn)
            made += [QAExample(question, text, answer) for question, answer in filter(None, found)][:1]
    return made


def _asked(sentence, text, drop, longest, generator):
    """A question of a sentence and its answer; `None` if there is none."""
    pairs, by_kind = tagger().lcut(sentence), {}
    words = [pair.word for pair in pairs]
    for asking, first, last in [*_runs([pair.flag for pair in pairs]), *_clauses(words)]:
        answer = "".join(words[first:last])
        if answer.strip() and len(answer) <= longest and text.count(answer) <= OFTEN:
            by_kind.setdefault(asking, []).append((first, last, answer))
    if not by_kind:
        return None
    asking = _one(list(by_kind), generator)
    first, last, answer = _one(by_kind[asking], generator)
    before, after = _near(words[:first][::-1], longest)[::-1], _near(words[last:], longest)
    before, after = ([word for word in side if generator.random() >= drop] for side in (before, after))
    word, place = [_one(asking, generator)], generator.random()
    if place < IN_PLACE:
        parts = before + word + after
    else:
        parts = before + after + word if place < IN_PLACE + AT_END else word + before + after
    question = "".join(parts).strip(CLAUSE_ENDS)
    if len(question) < SHORTEST + len(word[0]) or answer in question:
        return None
    return question + "？", answer


def _one(choices, generator):
    return choices[generator.integers(len(choices))]


def _near(words, longest):
    """The first words, of at most so many characters."""
    lengths = np.cumsum([len(word) for word in words])
    return words[: np.searchsorted(lengths, longest, side="right")]


def _runs(tags):
    """`(question words, first, end)` of the longest runs of words that a line of `ASKING` is for."""
    for heads, allowed, asking in ASKING:
        for inside, run in groupby(range(len(tags)), lambda i: tags[i] in allowed):  # noqa: B023  (used at once)
            run = list(run)
            if inside and heads & {tags[i] for i in run}:
                yield asking, run[0], run[-1] + 1


def _clauses(words):
    """The same for the clauses of a sentence, if it has two or more."""
    runs = [list(run) for end, run in groupby(range(len(words)), lambda i: words[i] in CLAUSE_ENDS) if not end]
    return [(ASKING_CLAUSE, run[0], run[-1] + 1) for run in runs] if len(runs) > 1 else []


@cache
def tagger():
    """A `jieba.posseg.POSTokenizer`, one a process."""
    from jieba import posseg  # not above: it would make `import nlpgen` slow

    return posseg.POSTokenizer(word_cutter())
