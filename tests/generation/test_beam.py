"""Beam search against brute force, and against a beam search with Python lists."""

import keras
import numpy as np
import pytest
from keras import ops

from nlpgen.errors import InputError
from nlpgen.generation import Beam
from tests.helpers import array, assert_close

pytestmark = pytest.mark.backends
VOCAB, END, STUCK, LONGEST = 5, 3, 4, 6


class Toy:
    """A small recurrent language model: what it says depends on every token before, and on who is asked.

    After a token of `stuck` no other may come.
    """

    def __init__(self, seed, stuck=()):
        self.stuck = stuck
        rng = np.random.default_rng(seed)
        self.tokens, self.recurrent, self.output = (
            rng.normal(0, scale, shape).astype("float32")
            for scale, shape in ((1.0, (VOCAB, 8)), (0.5, (8, 8)), (1.0, (8, VOCAB)))
        )
        self.starts = rng.normal(size=(3, 8)).astype("float32")

    def step(self, token_ids, state):
        hidden = ops.tanh(ops.matmul(state["hidden"], self.recurrent) + ops.take(self.tokens, token_ids, axis=0))
        log_probs = ops.log_softmax(ops.matmul(hidden, self.output), axis=-1)
        for token in self.stuck:
            log_probs = ops.where((token_ids == token)[:, None], -np.inf, log_probs)
        return log_probs, {"hidden": hidden, "steps": state["steps"] + 1}

    def start(self, texts=(0, 1, 2)):
        texts = np.array(texts, "int32")
        return texts, {"hidden": ops.convert_to_tensor(self.starts[texts]), "steps": ops.convert_to_tensor(0)}

    def next(self, hidden, token):
        """In NumPy, for one text: the state after a token, and the log-probabilities of the next."""
        hidden = np.tanh(hidden @ self.recurrent + self.tokens[token])
        logits = hidden @ self.output
        return hidden, logits - np.log(np.exp(logits).sum())

    def all_texts(self, text):
        """`{tokens: log-probability}` of every sequence that ends within the limit, or reaches it."""

        def longer(tokens, total, hidden):
            if len(tokens) == LONGEST or (tokens and tokens[-1] in (END, *self.stuck)):
                yield tokens, total
                return
            hidden, row = self.next(hidden, tokens[-1] if tokens else text)
            for token in range(VOCAB):
                yield from longer((*tokens, token), total + row[token], hidden)

        return dict(longer((), 0.0, self.starts[text].astype("float64")))


def listed(found, text):
    """What was found for a text: `[(tokens, score)]`."""
    parts = (array(t)[text] for t in (found.token_ids, found.lengths, found.scores))
    return [(tuple(ids[:n].tolist()), score) for ids, n, score in zip(*parts, strict=True)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_wide_beam_equals_brute_force(seed):
    """1,024 hypotheses hold every unfinished text of five tokens, so nothing may be lost."""
    toy = Toy(seed)
    every = [toy.all_texts(text) for text in range(3)]
    assert len(every[0]) == sum(4**n for n in range(LONGEST)) + 4**LONGEST
    for length_penalty in (0.0, 0.6, 1.0, 2.0, -0.5):
        beam = Beam((VOCAB - 1) ** (LONGEST - 1), length_penalty, n_best=8)
        found = beam.search(toy.step, *toy.start(), LONGEST, END)
        for text, totals in enumerate(every):
            truth = {tokens: total / len(tokens) ** length_penalty for tokens, total in totals.items()}
            best = sorted(truth, key=truth.get, reverse=True)[:8]
            assert [tokens for tokens, _ in listed(found, text)] == best
            assert_close([score for _, score in listed(found, text)], [truth[tokens] for tokens in best])


def test_a_text_that_nothing_may_follow_counts_as_it_is():
    toy = Toy(3, stuck=(STUCK,))
    for text in range(3):
        totals, beam = toy.all_texts(text), Beam(3 * 3**LONGEST, 0.6, n_best=8)
        truth = {tokens: total / len(tokens) ** 0.6 for tokens, total in totals.items()}
        found = beam.search(toy.step, *toy.start([text]), LONGEST, END)
        assert [tokens for tokens, _ in listed(found, 0)] == sorted(truth, key=truth.get, reverse=True)[:8]


def test_what_is_cut_short_is_no_text():
    """With a penalty below zero what has not ended looks better than it can become."""
    for seed in range(2):
        toy = Toy(seed)
        for text in range(3):
            found = Beam(4 ** (LONGEST - 1), -1.0).search(toy.step, *toy.start([text]), LONGEST, END)
            truth = {tokens: total * len(tokens) for tokens, total in toy.all_texts(text).items()}
            assert listed(found, 0)[0][0] == max(truth, key=truth.get)


def plain_beam_search(toy, text, width, length_penalty, n_best):
    """The same search over lists, without early stopping."""
    live, finished = [(0.0, (text,), toy.starts[text].astype("float64"))], []
    for _ in range(LONGEST):
        candidates = []
        for total, tokens, hidden in live:
            hidden, row = toy.next(hidden, tokens[-1])
            candidates += [(total + row[token], (*tokens, token), hidden) for token in range(VOCAB)]
        finished += [c for c in candidates if c[1][-1] == END]
        live = sorted((c for c in candidates if c[1][-1] != END), key=lambda c: -c[0])[:width]
    scored = [(total / len(tokens[1:]) ** length_penalty, tokens[1:]) for total, tokens, _ in finished + live]
    return sorted(scored, reverse=True)[:n_best]


@pytest.mark.parametrize(("width", "length_penalty"), [(1, 0.0), (2, 0.8), (3, 0.0), (7, 0.8)])
def test_a_narrow_beam_equals_a_plain_one(width, length_penalty):
    for seed in range(3):
        toy = Toy(seed)
        found = Beam(width, length_penalty, n_best=2).search(toy.step, *toy.start(), LONGEST, END)
        for text in range(3):
            expected = plain_beam_search(toy, text, width, length_penalty, 2)
            assert [tokens for tokens, _ in listed(found, text)] == [tokens for _, tokens in expected]
            assert_close([score for _, score in listed(found, text)], [score for score, _ in expected])


def test_a_batch_equals_its_members():
    toy = Toy(7)
    together = Beam(3, 0.6, 3).search(toy.step, *toy.start(), LONGEST, END)
    for text in range(3):
        alone = Beam(3, 0.6, 3).search(toy.step, *toy.start([text]), LONGEST, END)
        assert [tokens for tokens, _ in listed(alone, 0)] == [tokens for tokens, _ in listed(together, text)]


@pytest.mark.skipif(keras.config.backend() == "jax", reason="JAX traces a step once, however often it runs")
def test_it_stops_when_nothing_better_can_come():
    """The end has 0.9 at first: 0.1 is left for all longer texts."""
    calls = []

    def step(token_ids, state):
        calls.append(1)
        return ops.log(ops.convert_to_tensor([[0.05, 0.05, 0.9]] * 2)), state

    found = Beam(2).search(step, np.array([0]), (), max_new_tokens=50, end_id=2)
    assert len(calls) == 1
    assert listed(found, 0)[0][0] == (2,)


def test_fewer_hypotheses_than_asked_for():
    def step(token_ids, state):
        return ops.log(ops.convert_to_tensor([[0.0, 1.0]] * 2)), state

    found = Beam(2, n_best=3).search(step, np.array([0]), (), max_new_tokens=4, end_id=1)
    assert array(found.scores)[0].tolist() == [0.0, -np.inf, -np.inf]


def test_no_beam_without_width():
    with pytest.raises(InputError, match="width=0, n_best=1"):
        Beam(0)
