"""Beam search against `AutoRegressiveDecoder` of bert4keras 0.11.5, recorded in tests/golden/b4k_decoder.

Ours differs on purpose, and one search over Python lists says how, as it has either rule:

- What has ended takes no place of what has not, and is kept. bert4keras keeps the best `topk` of both, and drops what
  has ended unless it is the best at that moment; so a text that is better than all that follows can be lost.
- Before the fewest tokens a text cannot end. bert4keras writes on behind an end that comes too early.
"""

import json
from collections import defaultdict
from itertools import groupby

import numpy as np
import pytest
from keras import ops

from nlpgen.errors import InputError
from nlpgen.generation import Beam, Sample
from tests.helpers import GOLDEN, array, assert_close

VOCAB, END = 12, 3


@pytest.fixture(scope="module")
def recorded():
    """The calls, and the logits `(steps, last token, token)`."""
    folder = GOLDEN / "b4k_decoder"
    with np.load(folder / "tables.npz") as file:
        return json.loads((folder / "golden.json").read_text(encoding="utf-8")), file["logits"]


@pytest.fixture(scope="module")
def cases(recorded):
    """`(settings, log-probabilities (steps, last token, token), output)` of each beam search."""
    found, (rows, logits) = [], recorded
    for row in rows["rows"]:
        case = dict(zip(rows["columns"], row, strict=True))
        powers = np.exp(logits / case["temperature"])
        log_probs = np.log(powers / powers.sum(-1, keepdims=True) + 1e-12)
        started = case["start_id"] is not None  # with a start, lengths and steps count it too
        case["shortest"] = max(1, case["minlen"] - started)
        found.append((case, log_probs[started:][:15], tuple(case["output"][started:])))
    return found


def plain_search(case, log_probs, theirs):
    """Beam search over lists by bert4keras' rules or by ours: `(log-probability, tokens)`."""
    width, live, finished = case["topk"], [(0.0, ())], []

    def ends(candidate):
        return candidate[1][-1] == END and candidate[1].count(END) >= case["min_ends"]

    for n in range(case["maxlen"]):
        candidates = []
        for total, tokens in live:
            row = log_probs[n][tokens[-1] if tokens else case["start_id"] or 0]
            candidates += [(total + p, (*tokens, token)) for token, p in enumerate(row)]
        candidates.sort(reverse=True)
        may_end = n + 1 >= case["shortest"]
        if not theirs:
            finished += [c for c in candidates if ends(c) and may_end]
            live = [c for c in candidates if not ends(c)][:width]
        elif may_end:
            if ends(candidates[0]):
                return candidates[0]
            live = [c for c in candidates[:width] if not ends(c)]
            width = len(live)
        else:
            live = candidates[:width]
    return max(finished + live)


def total_of(case, log_probs, tokens):
    befores = (case["start_id"] or 0, *tokens)
    return sum(log_probs[n][before, token] for n, (before, token) in enumerate(zip(befores, tokens, strict=False)))


def test_the_rules_of_bert4keras_give_what_it_gave(cases):
    assert len(cases) == 180
    for case, log_probs, output in cases:
        assert plain_search(case, log_probs, theirs=True)[1] == output, case


def test_our_rules_never_find_a_less_likely_text(cases):
    """How often the same one, and how often a likelier one: the table of docs/bert4keras.md."""
    differences = defaultdict(list)
    for case, log_probs, output in cases:
        total, tokens = plain_search(case, log_probs, theirs=False)
        difference = 0.0 if tokens == output else total - total_of(case, log_probs, output)
        differences[case["minlen"], case["min_ends"]].append(difference)
    counts = {key: [int((np.sign(found) == sign).sum()) for sign in (0, 1, -1)] for key, found in differences.items()}
    assert counts == {(1, 1): [50, 10, 0], (1, 2): [36, 24, 0], (6, 1): [0, 30, 0], (6, 2): [0, 30, 0]}


def drawn_texts(logits, sampler, random):
    """Six texts from token 1 on, by random numbers of which each step takes one for every text that goes on."""
    live, ended = [[1] for _ in range(6)], []
    numbers = {name: np.float32(number) for name, number in sampler.numbers().items()}
    for n in range(1, 11):
        scores = np.array([logits[n, text[-1]] for text in live], "float32")
        noise = random.random_sample(len(live)).astype("float32")
        ids = array(sampler.choose(ops.convert_to_tensor(scores), ops.convert_to_tensor(noise), numbers))
        texts = [[*text, int(id)] for text, id in zip(live, ids, strict=True)]
        ended += [text for text in texts if text[-1] == END]
        live = [text for text in texts if text[-1] != END]
        if not live:
            break
    return ended + live


@pytest.mark.backends
def test_the_same_random_numbers_draw_the_same_texts(recorded):
    """Where only `topk` is given bert4keras draws from the k likeliest in no order; that it is these has to do."""
    rows, logits = recorded
    for temperature, top_k, top_p, outputs in rows["random_rows"]:
        if top_k in (None, 1) or top_p:
            assert drawn_texts(logits, Sample(temperature, top_k, top_p), np.random.RandomState(0)) == outputs
        for text in outputs if top_k else ():
            for n in range(1, len(text)):
                assert (logits[n, text[n - 1]] > logits[n, text[n - 1], text[n]]).sum() < top_k


def settings(item):
    return [item[0][name] for name in ("topk", "maxlen", "shortest", "min_ends")]


@pytest.mark.backends
@pytest.mark.parametrize("width", [1, 3, 12])
def test_every_case_by_our_rules(cases, width):
    """Those of the same settings in one batch, other tables and starts side by side."""
    chosen = sorted((item for item in cases if item[0]["topk"] == width), key=settings)
    for (_, longest, shortest, min_ends), group in groupby(chosen, settings):
        group = list(group)
        tables = ops.convert_to_tensor(np.concatenate([t.reshape(-1, VOCAB) for _, t, _ in group]).astype("float32"))
        steps = len(group[0][1])

        def step(token_ids, state, tables=tables, steps=steps):
            which, n = state
            return ops.take(tables, (which * steps + n) * VOCAB + token_ids, axis=0), (which, n + 1)

        starts = np.array([case["start_id"] or 0 for case, _, _ in group], "int32")
        state = ops.arange(len(group), dtype="int32"), ops.convert_to_tensor(0)
        found = Beam(width).search(step, starts, state, longest, END, shortest, min_ends)
        ids, lengths, scores = (array(part)[:, 0] for part in (found.token_ids, found.lengths, found.scores))
        expected = [plain_search(case, log_probs, theirs=False) for case, log_probs, _ in group]
        assert [tuple(row[:n].tolist()) for row, n in zip(ids, lengths, strict=True)] == [text for _, text in expected]
        assert_close(scores, [total for total, _ in expected])


@pytest.mark.parametrize("options", [{"min_ends": 0}, {"min_new_tokens": 5}, {"max_new_tokens": 0}])
def test_counts_out_of_range(options):
    with pytest.raises(InputError, match="must be 1 or more"):
        Beam().search(None, np.array([0]), (), **{"max_new_tokens": 4, "end_id": 3} | options)
