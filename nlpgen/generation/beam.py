"""Beam search over a step function, for a whole batch at once."""

from dataclasses import dataclass

import keras
from keras import ops

from nlpgen.errors import InputError

NEVER = float("-inf")


@dataclass(frozen=True)
class Hypotheses:
    """What a search found for each text, the best first.

    Attributes:
        token_ids: `(batch, n_best, max_new_tokens)`, the end included; 0 behind it.
        lengths: `(batch, n_best)`, tokens of each, the end included.
        scores: `(batch, n_best)`; `-inf` where there are fewer hypotheses.
    """

    token_ids: object
    lengths: object
    scores: object


@dataclass(frozen=True)
class Beam:
    """Beam search: at each step the best unfinished hypotheses go on; the best finished ones are kept.

    A hypothesis of n tokens with probability p scores `log p / n ** length_penalty` (Wu et al., 2016,
    https://arxiv.org/abs/1609.08144, without its constant 5). One that has not ended at `max_new_tokens` counts as it
    is. The search stops as soon as nothing unfinished can score more than what is found, whatever would follow.

    Args:
        width: unfinished hypotheses that go on for each text.
        length_penalty: see above; 0 prefers short texts, 1 is the mean of the log-probabilities.
        n_best: how many hypotheses are given back.

    Raises:
        InputError: if `width` or `n_best` is below 1.

    Example:
        >>> import numpy as np
        >>> after = np.log([[0.1, 0.5, 0.4], [0.6, 0.2, 0.2], [0.9, 0.05, 0.05]])  # each token; 0 is the end
        >>> def step(token_ids, state):
        ...     return ops.take(after, token_ids, axis=0), state
        >>> found = Beam(2).search(step, np.array([0]), (), max_new_tokens=3, end_id=0)
        >>> ops.convert_to_numpy(found.token_ids).tolist(), round(float(ops.exp(found.scores)[0, 0]), 4)
        ([[[2, 0, 0]]], 0.36)
    """

    width: int = 4
    length_penalty: float = 0.0
    n_best: int = 1

    def __post_init__(self):
        if self.width < 1 or self.n_best < 1:
            raise InputError(
                f"`width` and `n_best` must be 1 or more. Received: width={self.width}, n_best={self.n_best}"
            )

    def search(self, step, token_ids, state, max_new_tokens, end_id, min_new_tokens=1, min_ends=1):
        """Continue a batch of texts.

        All shapes are fixed, so the whole search can be compiled; `step` is then traced once.

        Args:
            step: function `(token_ids, state) -> (log_probs, state)` from the last token of each row `(rows,)` to the
                log-probabilities `(rows, vocab_size)` of the next. The rows are `batch * width`, those of a text
                together.
            token_ids: `(batch,)`, the last token of each text.
            state: what `step` needs to know of the texts: tensors in nested lists, tuples and dicts. Those with axes
                have one row for each text as the first; they are repeated and reordered with the hypotheses.
            max_new_tokens: most tokens, the end included.
            end_id: the token that ends a text.
            min_new_tokens: fewest tokens of a text that ends, the end included.
            min_ends: how many times `end_id` stands in a text that ends, the last time as its end: 2 for a question and
                an answer that each have one, say.

        Returns:
            `Hypotheses`.

        Raises:
            InputError: if a count is out of range.
        """
        if min_ends < 1 or max_new_tokens < max(1, min_new_tokens):
            raise InputError(
                "`min_ends` and `max_new_tokens` must be 1 or more, and `min_new_tokens` no more than the latter. "
                f"Received: {min_ends}, {max_new_tokens} and {min_new_tokens}"
            )
        batch = ops.shape(token_ids)[0]

        def goes_on(n, last, state, live, found):
            return (n < max_new_tokens) & ops.any(self._bound(live[1], n, max_new_tokens) > found[2][:, -1])

        def advance(n, last, state, live, found):
            log_probs, state = step(last, state)
            log_probs = ops.reshape(ops.cast(log_probs, "float32"), (batch, self.width, -1))
            totals = live[1][:, :, None] + log_probs
            is_end, is_last = ops.arange(totals.shape[2]) == end_id, _count(live[0], end_id, n) + 1 >= min_ends
            ended = ops.where(is_last & (n + 1 >= min_new_tokens), totals[:, :, end_id], NEVER)
            found = self._best(found, _written(live[0], end_id, n), self._score(ended, n + 1), n + 1)
            live, parents = self._live(live[0], ops.where(is_end & is_last[:, :, None], NEVER, totals), n)
            rows = ops.reshape(ops.arange(batch)[:, None] * self.width + parents, (-1,))
            last = ops.reshape(ops.take_along_axis(live[0], ops.full_like(parents, n)[:, :, None], axis=2), (-1,))
            return n + 1, last, _rows(lambda t: ops.take(t, rows, axis=0), state), live, found

        empty = ops.zeros((batch, self.width, max_new_tokens), "int32")
        start = ops.broadcast_to(ops.where(ops.arange(self.width) == 0, 0.0, NEVER), (batch, self.width))
        found = (
            ops.zeros((batch, self.n_best, max_new_tokens), "int32"),
            ops.zeros((batch, self.n_best), "int32"),
            ops.full((batch, self.n_best), NEVER, "float32"),
        )
        last = ops.repeat(ops.cast(token_ids, "int32"), self.width, axis=0)
        state = _rows(lambda t: ops.repeat(t, self.width, axis=0), state)
        first = ops.convert_to_tensor(0, "int32"), last, state, (empty, start), found
        n, _, _, (tokens, totals), found = ops.while_loop(goes_on, advance, first)
        # Where the search stopped early, none of these is better than what was found.
        return Hypotheses(*self._best(found, tokens, self._score(totals, n), n))

    def _score(self, totals, n):
        return totals / ops.cast(n, "float32") ** self.length_penalty

    def _bound(self, totals, n, longest):
        """The most that the best of the unfinished can still score: no token more has a cost."""
        return self._score(totals[:, 0], ops.convert_to_tensor(longest) if self.length_penalty > 0 else n + 1)

    def _best(self, found, tokens, scores, n):
        """The best `n_best` of the hypotheses found and of others, all of `n` tokens."""
        lengths = ops.broadcast_to(n, ops.shape(scores))
        tokens, lengths, scores = (
            ops.concatenate([old, ops.cast(new, old.dtype)], axis=1)
            for old, new in zip(found, (tokens, lengths, scores), strict=True)
        )
        scores, places = ops.top_k(scores, self.n_best)
        return (
            ops.take_along_axis(tokens, places[:, :, None], axis=1),
            ops.take_along_axis(lengths, places, axis=1),
            scores,
        )

    def _live(self, tokens, totals, n):
        """The best `width` continuations, their totals, and which hypothesis each continues.

        Args:
            tokens: `(batch, width, max_new_tokens)`.
            totals: `(batch, width, vocab_size)`.
        """
        vocab_size = totals.shape[2]
        totals, places = ops.top_k(ops.reshape(totals, (ops.shape(totals)[0], -1)), self.width)
        parents, last = places // vocab_size, places % vocab_size
        tokens = ops.take_along_axis(tokens, parents[:, :, None], axis=1)
        return (_written(tokens, last[:, :, None], n), totals), parents


def _written(tokens, token, n):
    """`token` at place `n` of each row of `tokens` `(…, max_new_tokens)`."""
    return ops.where(ops.arange(tokens.shape[-1]) == n, ops.cast(token, tokens.dtype), tokens)


def _count(tokens, token, n):
    """How often `token` is among the first `n` of each row of `tokens` `(…, max_new_tokens)`."""
    return ops.sum(ops.cast((tokens == token) & (ops.arange(tokens.shape[-1]) < n), "int32"), axis=-1)


def _rows(function, state):
    """A function of the rows of every tensor of a state that has any."""
    return keras.tree.map_structure(lambda t: function(t) if len(t.shape) else t, state)
