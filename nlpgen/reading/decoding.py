"""From scores of spans to answers: the best of a window, of a passage, of several passages. NumPy only."""

from dataclasses import dataclass, field

import numpy as np

from nlpgen.reading.scoring import HIDDEN, span_at

VOTES = ("probability", "bert4keras")
KEPT = 20  # spans of a passage that are looked at further
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
        spans: the best `Span`s; their scores are the logs of the odds against no answer.
        total: log of the summed odds of all spans.
    """

    spans: list
    total: float


@dataclass(frozen=True)
class Pool:
    """The answers to one question over all that was read.

    Attributes:
        spans: `Span`s with different keys, best first; each stands where its answer is likeliest.
        scores: the score of each; log probabilities, or votes.
        none: log probability of no answer.
        rest: log probability of all other spans.
    """

    spans: list
    scores: np.ndarray
    none: float
    rest: float


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


def best_spans(scores, k, apart=1):
    """The best spans of a passage.

    Args:
        scores: `(longest, tokens)`: of the span of one token from each on, of two, …; `HIDDEN` for what is none.
        k: how many.
        apart: how many of those given, the best first, have no token in common, as far as there are such.

    Returns:
        `[(score, first, last), …]`, the best first; of equals the shorter, then the earlier.
    """
    flat, tokens = scores.ravel(), scores.shape[1]
    found = np.argpartition(-flat, min(k, flat.size) - 1)[:k]
    if apart > 1:
        found = np.union1d(found, _apart(scores, apart))
    found = found[flat[found] > POSSIBLE]
    order = np.lexsort((found, -flat[found]))
    return [(float(flat[i]), *span_at(1 + i, tokens)) for i in found[order].tolist()]


def _apart(scores, count):
    """Places in `scores` of the best span, of the best that does not overlap it, and so on."""
    firsts = np.arange(scores.shape[1])
    lasts, left, found = firsts + np.arange(len(scores))[:, None], scores.copy(), []
    while len(found) < count and left.max() > POSSIBLE:
        found.append(int(left.argmax()))
        first, last = span_at(1 + found[-1], len(firsts))
        left[(firsts <= last) & (lasts >= first)] = HIDDEN
    return np.array(found, int)


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


def pooled(reads):
    """One distribution over all answers: one place answers the question, or none does.

    With p(s | w) the probability of a span in its window, p(s) ∝ p(s | w) / p(none | w), and p(none) ∝ 1. Of a place
    that stands in several windows the highest counts. Equal answers are added, in whatever place or passage they stand.
    Each place more that is read takes something from p(none).

    Args:
        reads: a `Read` of each passage.

    Returns:
        A `Pool`.
    """
    if not reads:
        return Pool([], np.zeros(0), 0.0, -np.inf)
    norm = logsumexp([0.0, *(read.total for read in reads)])
    groups = {}
    for read in reads:
        for span in read.spans:
            groups.setdefault(span.key, []).append(span)
    sums = {key: logsumexp([span.score for span in group]) - norm for key, group in groups.items()}
    keys = sorted(sums, key=lambda key: -sums[key])
    spans = [max(groups[key], key=lambda span: span.score) for key in keys]
    scores = np.array([sums[key] for key in keys])
    kept = np.exp(scores).sum() + np.exp(-norm)
    return Pool(spans, scores, -norm, float(np.log(max(1 - kept, 1e-12))))


def voted(spans):
    """Su's vote: an answer has Σ s² / (Σ s + 1), over passages, each with its one best answer and its probability s.

    Args:
        spans: the `Span` that each window answers with, if it does, its probability as score.

    Returns:
        A `Pool` whose scores are votes.
    """
    best = {}
    for span in spans:
        known = best.get((span.passage, span.key))
        if known is None or span.score > known.score:
            best[span.passage, span.key] = span
    groups = {}
    for span in best.values():
        groups.setdefault(span.key, []).append(span)
    votes = {key: sum(s.score**2 for s in group) / (sum(s.score for s in group) + 1) for key, group in groups.items()}
    keys = sorted(votes, key=lambda key: -votes[key])
    spans = [max(groups[key], key=lambda span: span.score) for key in keys]
    return Pool(spans, np.array([votes[key] for key in keys]), 0.0, -np.inf)


def tempered(pool, temperature):
    """Probabilities of the answers of a `pooled`, of none, and of the rest: the distribution to the power 1 / T.

    All the rest, spans that are not among the best of their passage, is one outcome in that.
    """
    logs = np.array([*pool.scores, pool.none, pool.rest]) / temperature
    return np.exp(logs - logsumexp(logs))


def answer_of(pool, top_k, vote, temperature=1.0, threshold=0.5):
    """The `Answer` that a pool gives.

    Args:
        pool: of `pooled`, or with `vote="bert4keras"` of `voted`.
        top_k: answers in all: the best and its alternatives.
        vote: a name of `VOTES`.
        temperature: see `tempered`.
        threshold: there is an answer where p(best) / (p(best) + p(none)) is as much or more.
    """
    if vote == "bert4keras":
        scores, none, answered = pool.scores, None, len(pool.spans) > 0
    else:
        scores = tempered(pool, temperature)
        none = float(scores[-2])
        answered = len(pool.spans) > 0 and scores[0] >= threshold * (scores[0] + none)
    chosen = []
    for span, score in zip(pool.spans, scores, strict=False):
        if len(chosen) == top_k:
            break
        if not any(s.passage == span.passage and s.start < span.end and span.start < s.end for s, _ in chosen):
            chosen.append((span, float(score)))
    answers = [Answer(s.text, score, s.passage, s.start, s.end, [], none) for s, score in chosen]
    if not answered:
        return Answer("", 0.0 if none is None else none, None, 0, 0, answers[: max(top_k - 1, 0)], none)
    best = answers[0]
    return Answer(best.text, best.score, best.passage, best.start, best.end, answers[1:], none)


def logsumexp(values):
    """log Σ exp of all values, in float64; NumPy has it for pairs only."""
    values = np.asarray(values, "float64")
    highest = values.max()
    if not np.isfinite(highest):
        return float(highest)
    return float(highest + np.log(np.exp(values - highest).sum()))
