"""The scores of all spans, and what is decoded from them, against brute force."""

import itertools

import numpy as np
import pytest
from keras import ops

from nlpgen.reading.calibration import expected_calibration_error, fit_temperature, fit_threshold
from nlpgen.reading.decoding import (
    Pool,
    Read,
    Span,
    answer_of,
    best_spans,
    confidence,
    greedy_span,
    pooled,
    spans_apart,
    tempered,
    voted,
)
from nlpgen.reading.scoring import (
    HIDDEN,
    PointerLoss,
    SlotSpanLoss,
    pointer_span_scores,
    slot_span_scores,
    span_at,
    span_index,
)
from nlpgen.reading.windows import Passage
from tests.helpers import array, assert_close

SLOTS, LENGTH = 4, 6
COUNTS = (6, 3, 1)


def random_slots(seed=0, slots=SLOTS, length=LENGTH, counts=COUNTS):
    """Log probabilities of slots over the end and the places of passages, padded."""
    x = np.random.default_rng(seed).normal(0, 2, (len(counts), slots, 1 + length))
    for row, count in zip(x, counts, strict=True):
        row[:, 1 + count :] = -np.inf
    x = x - np.log(np.exp(x).sum(axis=2, keepdims=True))
    return np.where(np.isfinite(x), x, HIDDEN).astype("float32")


def brute(log_probs, count):
    """`{(first, last): score}` of all spans of one row, and the score of none."""
    spans = {}
    for first, last in itertools.combinations_with_replacement(range(count), 2):
        tokens = last - first + 1
        if tokens < len(log_probs):
            spans[first, last] = sum(log_probs[i, 1 + first + i] for i in range(tokens)) + log_probs[tokens, 0]
    return spans, log_probs[0, 0]


@pytest.mark.backends
@pytest.mark.parametrize("of", [ops.convert_to_tensor, np.asarray], ids=["backend", "numpy"])
def test_all_spans_of_slots(of):
    log_probs = random_slots()
    scores = array(slot_span_scores(of(log_probs)))
    assert scores.shape == (3, 1 + (SLOTS - 1) * LENGTH)
    for row, x, count in zip(scores, log_probs, COUNTS, strict=True):
        spans, none = brute(x, count)
        found = {span_at(i, LENGTH): row[i] for i in range(1, len(row)) if row[i] > -1e8}
        assert found.keys() == spans.keys()
        assert_close([found[span] for span in spans], list(spans.values()))
        assert row[0] == pytest.approx(none)
        assert all(row[span_index(*span, LENGTH)] == found[span] for span in spans)


@pytest.mark.backends
def test_all_spans_of_pointers():
    x = np.random.default_rng(1).normal(size=(2, 2, 1 + LENGTH)).astype("float32")
    x[1, :, 4:] = HIDDEN
    scores = array(pointer_span_scores(ops.convert_to_tensor(x), 3))
    for row, pointers, count in zip(scores, x, (6, 3), strict=True):
        expected = {
            (i, j): pointers[0, 1 + i] + pointers[1, 1 + j] for i in range(count) for j in range(i, min(i + 3, count))
        }
        found = {span_at(i, LENGTH): row[i] for i in range(1, len(row)) if row[i] > -1e8}
        assert found.keys() == expected.keys()
        assert_close([found[span] for span in expected], list(expected.values()))
        assert row[0] == pytest.approx(pointers[:, 0].sum())


@pytest.mark.backends
def test_losses():
    log_probs = random_slots()
    gold = np.array([[span_index(0, 1, LENGTH), span_index(2, 3, LENGTH)], [0, -1], [span_index(0, 0, LENGTH), -1]])
    expected = []
    for x, count, right in zip(log_probs, COUNTS, ([(0, 1), (2, 3)], None, [(0, 0)]), strict=True):
        spans, none = brute(x, count)
        total = np.exp(none) + sum(map(np.exp, spans.values()))
        share = np.exp(none) if right is None else sum(np.exp(spans[s]) for s in right)
        expected.append(np.log(total) - 1.1 * np.log(share))
    loss = array(SlotSpanLoss(reduction=None)(gold, log_probs))
    assert_close(loss, expected)
    shifted = log_probs.copy()
    shifted[:, :, 0] += 0.7  # the share of the right ones says nothing of the end
    assert_close(array(SlotSpanLoss(reduction=None)(gold, shifted)), loss - 0.07)

    x = np.random.default_rng(1).normal(size=(1, 2, 1 + LENGTH)).astype("float32")
    p = np.exp(x) / np.exp(x).sum(axis=2, keepdims=True)
    expected = -(np.log(p[0, 0, 1] + p[0, 0, 3]) + np.log(p[0, 1, 4])) / 2
    assert_close(array(PointerLoss()(np.array([[[1, 3], [4, -1]]]), x)), expected)


def test_best_spans_are_the_best():
    for seed in range(20):
        log_probs = random_slots(seed)
        scores = array(slot_span_scores(log_probs))
        for row, x, count in zip(scores, log_probs, COUNTS, strict=True):
            expected, _ = brute(x, count)
            for k in (1, 5, 100):
                spans = best_spans(row[1:].reshape(-1, LENGTH)[:, :count], k)
                ranked = sorted(expected, key=lambda span: -expected[span])[:k]
                assert [span[1:] for span in spans] == ranked
                assert_close([span[0] for span in spans], [expected[span] for span in ranked])


def test_best_spans_that_do_not_overlap():
    """All spans from the best on, but those that overlap one before."""
    scores = np.random.default_rng(0).normal(0, 1, (4, 40))
    scores[:, 18:22] += 9  # the spans here are the best
    scores[np.arange(1, 5)[:, None] + np.arange(40) > 40] = HIDDEN
    expected = []
    for i in np.argsort(-scores, axis=None):
        first, last = span_at(1 + i, 40)
        if scores.flat[i] > HIDDEN and all(last < a or first > b for a, b in expected):
            expected.append((first, last))
    assert list(spans_apart(scores)) == expected
    assert len(expected) > 10


# --- bert4keras' decoding, told anew from its article: sets of n-grams, one slot after the other.


def next_tokens(token_ids, chosen):
    """What follows the chosen tokens, as an n-gram, somewhere in the passage."""
    n = len(chosen) + 1
    grams = [tuple(token_ids[i : i + n]) for i in range(len(token_ids) - n + 1)]
    return {gram[-1] for gram in grams if gram[:-1] == tuple(chosen)}


def article_decodes(probabilities, token_ids, sep):
    """`(tokens without [SEP], mean probability)`; `token_ids` are those of the passage with `[SEP]` behind."""
    chosen, total = [], 0.0
    for row in probabilities:
        allowed = np.zeros_like(row)
        for token in next_tokens(token_ids, chosen) | {sep}:
            allowed[token] = row[token]
        chosen.append(int(allowed.argmax()))
        total += allowed.max()
        if chosen[-1] == sep:
            break
    return [token for token in chosen if token != sep], total / len(chosen)


def test_greedy_decoding_is_the_articles():
    generator, empty, full = np.random.default_rng(0), 0, 0
    for _ in range(400):
        vocabulary, slots = 8, int(generator.integers(1, 6))
        ids = generator.integers(1, vocabulary, generator.integers(0, 9)).tolist()  # few tokens: many repetitions
        logits = generator.normal(0, 2, (slots, vocabulary))
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        expected, score = article_decodes(probabilities, [*ids, 0], 0)
        found = greedy_span(np.log(probabilities[:, [0, *ids]]), ids)
        if found is None:
            assert expected == []
            empty += 1
            continue
        first, last, mean = found
        assert ids[first : last + 1] == expected
        assert mean == pytest.approx(score)
        assert not any(ids[i : i + len(expected)] == expected for i in range(first))
        full += len(expected) == slots
    assert empty > 30
    assert full > 30


def test_exact_beats_greedy():
    """The case of a favourite first token with a bad continuation."""
    p = np.array([[0.05, 0.5, 0.05, 0.4, 0.0], [0.1, 0.0, 0.01, 0.0, 0.89], [0.9, 0, 0, 0, 0.1]]) + 1e-9
    log_probs = np.log(p)[None].astype("float32")
    first, last, _ = greedy_span(log_probs[0], [1, 2, 3, 4])
    assert (first, last) != (2, 3)
    ((score, *found),) = best_spans(array(slot_span_scores(log_probs))[0, 1:].reshape(-1, 4), 1)
    assert found == [2, 3]
    assert np.exp(score) == pytest.approx(0.4 * 0.89 * 0.9, rel=1e-4)


# --- over windows and passages


def span(text, passage, start, score):
    return Span(text, passage, start, start + len(text), text, score)


def read(tokens, index, odds, longest=3):
    """A passage of these tokens, each a character where it is a string, with `{(first, last): odds}` of some spans."""
    scores = np.full((longest, len(tokens)), HIDDEN, "float32")
    for (first, last), value in odds.items():
        scores[last - first, first] = np.log(value)
    ends = list(itertools.accumulate(map(len, tokens)))
    offsets = list(zip([0, *ends[:-1]], ends, strict=True))
    return Read(Passage("".join(tokens), list(range(len(tokens))), offsets), index, scores)


def test_pooling_by_hand():
    """Two passages: p(甲) = 0.6, p(乙) = 0.1, p(none) = 0.3; and p(甲) = 0.2, p(none) = 0.8."""
    reads = [
        read("甲天地人山乙", 0, {(0, 0): 0.6 / 0.3, (5, 5): 0.1 / 0.3}),
        read("天地人甲", 1, {(3, 3): 0.2 / 0.8}),
    ]
    pool = pooled(reads)
    # Exactly one passage answers, or none does: 0.6 * 0.8, 0.1 * 0.8, 0.3 * 0.2, 0.3 * 0.8.
    total = 0.6 * 0.8 + 0.1 * 0.8 + 0.3 * 0.2 + 0.3 * 0.8
    assert_close(tempered(pool, 1.0), np.array([0.6 * 0.8 + 0.3 * 0.2, 0.1 * 0.8, 0.3 * 0.8, 0]) / total)
    assert pool.rest == -np.inf
    answer = answer_of(pool, 3, "probability")
    assert (answer.text, answer.passage, answer.start, answer.end) == ("甲", 0, 0, 1)
    assert answer.score == pytest.approx((0.6 * 0.8 + 0.3 * 0.2) / total)
    assert answer.no_answer == pytest.approx(0.3 * 0.8 / total)
    assert [each.text for each in answer.alternatives] == ["乙"]
    silent = answer_of(pool, 3, "probability", threshold=0.7)
    assert (silent.text, silent.passage, silent.start, silent.end) == ("", None, 0, 0)
    assert [each.text for each in silent.alternatives] == ["甲", "乙"]
    assert answer_of(pooled([]), 3, "probability").no_answer == 1.0


def test_all_places_of_an_answer_are_added():
    """Also those that are not among the best of their passage, in any width and case, but of no longer token."""
    odds = {(i, i): 1.0 for i in range(30)} | {(30, 30): 25.0}
    other = read("甲ａB天", 1, {(i, i): 0.5 for i in range(4)} | {(1, 2): 4.0})
    for top_k in (1, 3, 40):
        answer = answer_of(pooled([read("甲" * 30 + "丙", 0, odds), other], top_k), top_k, "probability")
        assert (answer.text, answer.passage, answer.start) == ("甲", 0, 0)
        assert answer.score == pytest.approx(30.5 / 62)
        assert answer.no_answer == pytest.approx(1 / 62)
        expected = [("丙", 25 / 62), ("ａB", 4 / 62), ("天", 0.5 / 62)][: top_k - 1]
        assert [(each.text, pytest.approx(each.score)) for each in answer.alternatives] == expected
    two = [read("ｇＯ天go", 0, {(0, 1): 1.0, (3, 4): 2.0}), read("GO", 1, {(0, 1): 3.0})]
    answer = answer_of(pooled(two), 1, "probability")
    assert (answer.text, answer.passage, answer.score) == ("GO", 1, pytest.approx(6 / 7))
    answer = answer_of(pooled([read(["o", "天", "go"], 0, {(0, 0): 2.0, (2, 2): 3.0})]), 2, "probability")
    found = [(each.text, each.score) for each in (answer, *answer.alternatives)]
    assert found == [("go", pytest.approx(3 / 6)), ("o", pytest.approx(2 / 6))]


def test_alternatives_change_nothing_of_the_answer():
    """With texts beyond the best 20, that only `top_k` asks for; whatever the temperature."""
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 60)))
    odds = {(i, i): 1 + 1 / (1 + i) for i in range(60)}
    pools = {top_k: pooled([read(text, 0, odds)], top_k) for top_k in (1, 5, 60)}
    total = 1 + sum(odds.values())
    for temperature in (1.0, 3.0):
        found = {k: answer_of(pool, k, "probability", temperature) for k, pool in pools.items()}
        assert {each.text for each in found.values()} == {text[0]}
        assert_close([each.score for each in found.values()], [found[1].score] * 3)
        assert_close([each.no_answer for each in found.values()], [found[1].no_answer] * 3)
        assert [len(each.alternatives) for each in found.values()] == [0, 4, 59]
    # The rest is one outcome in the distribution to the power 1 / 3, its parts are given in the same measure.
    p = np.array([*sorted(odds.values(), reverse=True)[:20], 1.0]) / total
    norm = (p ** (1 / 3)).sum() + (1 - p.sum()) ** (1 / 3)
    assert found[60].score == pytest.approx(p[0] ** (1 / 3) / norm)
    assert found[60].alternatives[-1].score == pytest.approx((odds[59, 59] / total) ** (1 / 3) / norm)


def test_alternatives_are_different_answers():
    """Of a text that stands forty times only one counts; those that stand elsewhere are found all the same."""
    odds = {(2 * i, 2 * i + 1): 9.0 for i in range(40)} | {(80, 80): 0.2, (81, 81): 0.1}
    answer = answer_of(pooled([read("九点" * 40 + "十周", 0, odds)], 3), 3, "probability")
    assert [each.text for each in (answer, *answer.alternatives)] == ["九点", "十", "周"]


def test_an_answer_is_found_by_what_it_is_judged_by():
    """A threshold just over the surest of all answers none."""
    generator = np.random.default_rng(0)
    for _ in range(2000):
        pool = pooled([read("甲乙", 0, dict(zip([(0, 0), (1, 1)], generator.exponential(size=2), strict=True)))])
        sure = confidence(tempered(pool, 1.3))
        assert answer_of(pool, 1, "probability", 1.3, sure).text
        above = fit_threshold([sure], [0.0], [1.0])
        assert not answer_of(pool, 1, "probability", 1.3, above).text


def test_the_articles_vote():
    spans = [
        span("甲", 0, 0, 0.9),
        span("乙", 1, 0, 0.6),
        span("乙", 2, 4, 0.7),
        span("乙", 2, 9, 0.5),  # of one passage only the best counts
    ]
    passages = ["天", "地", "人"]
    answer = answer_of(voted(spans, passages), 5, "bert4keras")
    one, two = 0.9**2 / 1.9, (0.6**2 + 0.7**2) / (1.3 + 1)
    assert one > two
    assert answer.text == "甲"
    assert answer.score == pytest.approx(one)
    assert [(each.text, each.passage, each.start) for each in answer.alternatives] == [("乙", 2, 4)]
    assert answer.alternatives[0].score == pytest.approx(two)
    again = answer_of(voted(spans, [*passages, "地", "地"]), 5, "bert4keras")  # a passage that is given thrice
    assert (again.text, again.start) == ("乙", 4)
    assert again.score == pytest.approx((3 * 0.6**2 + 0.7**2) / (2.5 + 1))
    assert answer_of(voted([], passages), 5, "bert4keras").text == ""


def test_alternatives_do_not_overlap():
    """北京 stands before 北京市 and 京, 上海 before 海."""
    odds = {(0, 1): 9, (0, 2): 8, (1, 1): 7, (5, 6): 6, (6, 6): 5}
    pool = pooled([read("北京市天地上海", 0, odds)], 5)
    answer = answer_of(pool, 5, "probability", threshold=0.0)
    assert [answer.text, *(each.text for each in answer.alternatives)] == ["北京", "上海"]
    assert answer_of(pool, 1, "probability").alternatives == []


def test_calibration():
    generator = np.random.default_rng(0)
    pools, targets = [], []
    for _ in range(3000):
        logs = generator.normal(0, 2, 5)
        logs -= np.log(np.exp(logs).sum())
        targets.append(int(generator.choice(5, p=np.exp(logs))))
        sharp = logs * 2.5  # says with too much confidence what is true at temperature 2.5
        sharp -= np.log(np.exp(sharp).sum())
        pools.append(Pool([None] * 3, sharp[:3], sharp[3], sharp[4], 3))
    temperature = fit_temperature(pools, targets)
    assert temperature == pytest.approx(2.5, rel=0.1)

    def error(temperature):
        p = np.array([tempered(pool, temperature) for pool in pools])
        return expected_calibration_error(p.max(axis=1), p.argmax(axis=1) == targets)

    assert error(1.0) > 0.1
    assert error(temperature) < 0.03


def test_a_temperature_that_changes_nothing_is_one():
    """The right answers are all the rest, of which there is nothing."""
    pools = [Pool([], np.array([]), 0.0, -np.inf, 0)] * 3
    assert fit_temperature(pools, [-1, -1, -1]) == 1.0


def test_threshold_by_brute_force():
    generator = np.random.default_rng(2)
    for _ in range(50):
        sure = np.round(generator.random(12), 1)  # with equals
        answered, silent = generator.random(12), (generator.random(12) < 0.4).astype(float)
        threshold = fit_threshold(sure, answered, silent)
        gains = [np.where(sure >= t, answered, silent).sum() for t in [0.0, *(sure + 1e-6)]]
        assert np.where(sure >= threshold, answered, silent).sum() == pytest.approx(max(gains))
    assert fit_threshold([0.1, 0.2], [0.5, 0.5], [0.0, 0.0]) == 0
