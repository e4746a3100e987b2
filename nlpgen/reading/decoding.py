"""From scores of spans to answers: the best of a window, of a passage, of several passages. NumPy only."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from nlpgen.reading.scoring import HIDDEN, span_at
from nlpgen.reading.windows import Passage, by_head

VOTES = ("probability", "bert4keras")
KEPT = 20  # spans of a passage whose texts are looked at further
POSSIBLE = -1e8  # scores below are those of no span


@dataclass(frozen=True)
class Span:
    """Tokens of a passage as a possible answer.

    Attributes:
        text, passage, start, end: see `Answer`.
        key: what is equal for equal answers.
        score: log probability, or with the vote of bert4keras a probability.
    """

    text: str
    passage: int
    start: int
    end: int
    key: str
    score: float


@dataclass(frozen=True)
class Read:
    """What was read of one passage.

    Attributes:
        passage: what is read.
        index: which of the question's passages.
        odds: `(longest, tokens)`, see `best_spans`: logs of the odds against no answer.
    """

    passage: Passage
    index: int
    odds: np.ndarray

    def possible(self, first, last):
        """Whether the span may be an answer."""
        return last - first < len(self.odds) and self.odds[last - first, first] > POSSIBLE

    def span(self, first, last, key):
        """The `Span`."""
        start, end = self.passage.stretch(first, last)
        return Span(self.passage.text[start:end], self.index, start, end, key, float(self.odds[last - first, first]))


@dataclass(frozen=True)
class Pool:
    """The answers to one question over all that was read.

    Attributes:
        spans: `Span`s with different keys, each where its answer is likeliest; the best of the counted ones first.
        scores: the score of each; log probabilities, or votes.
        none: log probability of no answer.
        rest: log probability of all spans that have another key than the counted ones.
        counted: how many of the first are. The others, alternatives to show, are part of the rest.
    """

    spans: list
    scores: np.ndarray
    none: float
    rest: float
    counted: int


@dataclass(frozen=True)
class Answer:
    """What the passages answer.

    Attributes:
        text: `passages[passage][start:end]`; `""` for no answer.
        score: probability that it is right, calibrated if the reader is; with `vote="bert4keras"` the article's vote.
        passage: index of the passage; `None` for no answer.
        start, end: where it stands in the passage, in characters; 0 for no answer.
        alternatives: the next best answers, which do not overlap it or one another.
        no_answer: probability that the passages do not answer the question; the more is read the lower; `None` with
            `vote="bert4keras"`.
    """

    text: str
    score: float
    passage: int | None
    start: int
    end: int
    alternatives: list = field(default_factory=list)
    no_answer: float | None = None


def best_spans(scores, k):
    """The best spans of a passage.

    Args:
        scores: `(longest, tokens)`: of the span of one token from each on, of two, …; `HIDDEN` for what is none.
        k: how many.

    Returns:
        `[(score, first, last), …]`, the best first; of equals the shorter, then the earlier.
    """
    flat, tokens = scores.ravel(), scores.shape[1]
    found = np.argpartition(-flat, min(k, flat.size) - 1)[:k]
    found = found[flat[found] > POSSIBLE]
    order = np.lexsort((found, -flat[found]))
    return [(float(flat[i]), *span_at(1 + i, tokens)) for i in found[order].tolist()]


def spans_apart(scores):
    """`(first, last)` of the best span of a passage, of the best that does not overlap it, and so on; see
    `best_spans`.
    """
    firsts = np.arange(scores.shape[1])
    lasts, left = firsts + np.arange(len(scores))[:, None], scores.copy()
    while left.max() > POSSIBLE:
        first, last = span_at(1 + int(left.argmax()), len(firsts))
        yield first, last
        left[(firsts <= last) & (lasts >= first)] = HIDDEN


def greedy_span(log_probs, token_ids):
    """bert4keras' decoding: slot by slot the likeliest token that goes on what was chosen as the passage does.

    Args:
        log_probs: `(slots, 1 + n)` over the whole vocabulary, of `[SEP]`, then of the passage's tokens.
        token_ids: the n tokens.

    Returns:
        `(first, last, score)`: the first place where the chosen tokens stand, and the mean probability of them and of
        the `[SEP]` behind; `None` if that is the first token.
    """
    probabilities, ids = np.exp(np.asarray(log_probs, "float64")), np.asarray(token_ids)
    begins, total, count, tokens = np.arange(len(ids)), 0.0, 0, 0
    for i, row in enumerate(probabilities):
        places = begins[begins + i < len(ids)] + i
        best = places[row[1 + places].argmax()] if len(places) else None
        count += 1
        if best is None or row[0] >= row[1 + best]:
            total += row[0]
            break
        total, tokens = total + row[1 + best], i + 1
        begins = places[ids[places] == ids[best]] - i
    if not tokens:
        return None
    return int(begins[0]), int(begins[0]) + tokens - 1, total / count


def pooled(reads, top_k=1):
    """One distribution over all answers: one place answers the question, or none does.

    With p(s | w) the probability of a span in its window, p(s) ∝ p(s | w) / p(none | w), and p(none) ∝ 1. Of a place
    that stands in several windows the highest counts. Equal answers are added, in whatever place or passage they stand.
    Each place more that is read takes something from p(none).

    Answers that are counted are the texts of the 20 best spans of each passage. Those that `top_k` asks for beyond them
    change nothing of these.

    Args:
        reads: a `Read` of each passage.
        top_k: so many different answers of each passage that do not overlap are among the spans, as far as it has them;
            by their likeliest places, so that where sums rank them otherwise, `answer_of` may show fewer.

    Returns:
        A `Pool`.
    """
    counted, further = _places(reads, top_k)
    norm = logsumexp([0.0, *(logsumexp(read.odds) for read in reads)])
    answers = {}
    for key, places in (counted | further).items():
        scores = {(n, first, last): float(reads[n].odds[last - first, first]) for n, first, last in sorted(places)}
        likeliest = max(scores, key=scores.get)
        answers[key] = np.logaddexp.reduce(list(scores.values())) - norm, reads[likeliest[0]].span(*likeliest[1:], key)
    ranked = [sorted((answers[key] for key in keys), key=lambda pair: -pair[0]) for keys in (counted, further)]
    sums, spans = zip(*ranked[0], *ranked[1], strict=True) if answers else ((), ())
    rest = 1 - np.exp(sums[: len(counted)]).sum() - np.exp(-norm)
    looked_at = sum(map(len, counted.values()))
    everything = looked_at == sum(int((read.odds > POSSIBLE).sum()) for read in reads)
    rest = -np.inf if everything else float(np.log(max(rest, 1e-12)))
    return Pool(list(spans), np.array(sums), -norm, rest, len(counted))


def _places(reads, top_k):
    """Where the answers stand that `pooled` counts, and further ones: `{key: {(read, first, last), …}}` of both."""
    counted, further = {}, {}
    for n, read in enumerate(reads):
        for _, first, last in best_spans(read.odds, KEPT):
            counted.setdefault(read.passage.key(first, last), set()).add((n, first, last))
    for n, read in enumerate(reads):
        keys = set()
        for first, last in spans_apart(read.odds):
            key = read.passage.key(first, last)
            keys.add(key)
            if key not in counted:
                further.setdefault(key, set()).add((n, first, last))
            if len(keys - {""}) == top_k:
                break
    for found in (counted, further):
        found.pop("", None)  # white space
    places = counted | further
    heads = by_head(places)
    for n, read in enumerate(reads):
        for key, spans in read.passage.places(heads).items():
            places[key] |= {(n, *span) for span, exact in spans.items() if exact and read.possible(*span)}
    return counted, further


def voted(spans, passages):
    """Su's vote: an answer has Σ s² / (Σ s + 1), over passages, with the probability s of the answer in its best
    window of each.

    Args:
        spans: the `Span` that each window answers with, if it does, its probability as score.
        passages: strings, those of the question. Equal ones are read once, and vote each.

    Returns:
        A `Pool` whose scores are votes.
    """
    copies, best = Counter(passages), {}
    for span in spans:
        known = best.get((span.passage, span.key))
        if known is None or span.score > known.score:
            best[span.passage, span.key] = span
    groups = {}
    for span in best.values():
        groups.setdefault(span.key, []).append(span)
    votes = {}
    for key, group in groups.items():
        pairs = [(copies[passages[span.passage]], span.score) for span in group]
        votes[key] = sum(n * s**2 for n, s in pairs) / (sum(n * s for n, s in pairs) + 1)
    keys = sorted(votes, key=lambda key: -votes[key])
    spans = [max(groups[key], key=lambda span: span.score) for key in keys]
    return Pool(spans, np.array([votes[key] for key in keys]), 0.0, -np.inf, len(keys))


def tempered(pool, temperature):
    """Probabilities of the answers of a `pooled`, of none, and of the rest: the distribution to the power 1 / T.

    All the rest, answers that are not counted, is one outcome in that.
    """
    logs = np.array([*pool.scores, pool.none, pool.rest]) / temperature
    return np.exp(logs - logsumexp(logs[[*range(pool.counted), -2, -1]]))


def confidence(probabilities):
    """p(best) / (p(best) + p(none)) of what `tempered` gives; 0 without an answer."""
    best = probabilities[0] if len(probabilities) > 2 else 0.0
    return float(best / max(best + probabilities[-2], 1e-30))


def answer_of(pool, top_k, vote, temperature=1.0, threshold=0.5):
    """The `Answer` that a pool gives.

    Args:
        pool: of `pooled`, or with `vote="bert4keras"` of `voted`.
        top_k: answers in all: the best and its alternatives.
        vote: a name of `VOTES`.
        temperature: see `tempered`.
        threshold: there is an answer where its `confidence` is as much or more.
    """
    if vote == "bert4keras":
        scores, none, answered = pool.scores, None, len(pool.spans) > 0
    else:
        scores = tempered(pool, temperature)
        none = float(scores[-2])
        answered = len(pool.spans) > 0 and confidence(scores) >= threshold
    chosen = []
    pairs = list(zip(pool.spans, map(float, scores), strict=False))
    for span, score in pairs[:1] + sorted(pairs[1:], key=_rank):
        if len(chosen) == top_k:
            break
        if not any(s.passage == span.passage and s.start < span.end and span.start < s.end for s, _ in chosen):
            chosen.append((span, score))
    answers = [Answer(s.text, score, s.passage, s.start, s.end, [], none) for s, score in chosen]
    if not answered:
        return Answer("", 0.0 if none is None else none, None, 0, 0, answers[: max(top_k - 1, 0)], none)
    best = answers[0]
    return Answer(best.text, best.score, best.passage, best.start, best.end, answers[1:], none)


def _rank(pair):
    """The likelier first; of equals the shorter, then the earlier."""
    span, score = pair
    return -score, span.end - span.start, span.passage, span.start


def logsumexp(values):
    """log Σ exp of all values, in float64; faster for many than `np.logaddexp.reduce`."""
    values = np.asarray(values, "float64")
    highest = values.max()
    if not np.isfinite(highest):
        return float(highest)
    return float(highest + np.log(np.exp(values - highest).sum()))
