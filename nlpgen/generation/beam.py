"""Beam search over a step function, for a whole batch at once."""

from dataclasses import dataclass

from keras import ops

from nlpgen.errors import InputError
from nlpgen.generation.ends import Ends
from nlpgen.generation.hypotheses import NEVER, Hypotheses, looped, rows_of, written
from nlpgen.generation.samplers import Sampler


@dataclass(frozen=True)
class Beam(Sampler):
    """Beam search: at each step the best unfinished hypotheses go on; the best finished ones are kept.

    A hypothesis of n tokens with probability p scores `log p / n ** length_penalty` (Wu et al., 2016,
    https://arxiv.org/abs/1609.08144, without its constant 5). One that has not ended at `max_new_tokens`, or that no
    token may follow, counts as it is. The search stops as soon as nothing unfinished can score more than what is found,
    whatever would follow.

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
        token_ids = ops.convert_to_tensor(token_ids, "int32")
        ends = Ends((end_id,), min_new_tokens, min_ends)
        search = self.start(token_ids, state, max_new_tokens, ends)
        return self.finish(self.advance(step, search, max_new_tokens, max_new_tokens, ends))

    def shape(self):
        return self

    def start(self, token_ids, state, places, ends):
        batch = token_ids.shape[0]
        first = ops.where(ops.arange(self.width) == 0, 0.0, NEVER)
        return {
            "n": ops.convert_to_tensor(0, "int32"),
            "last": ops.repeat(ops.cast(token_ids, "int32"), self.width, axis=0),
            "state": rows_of(lambda t: ops.repeat(t, self.width, axis=0), state),
            "tokens": ops.zeros((batch, self.width, places), "int32"),
            "totals": ops.broadcast_to(first, (batch, self.width)),
            "ending": ends.start(batch * self.width),
            "found": (
                ops.zeros((batch, self.n_best, places), "int32"),
                ops.zeros((batch, self.n_best), "int32"),
                ops.full((batch, self.n_best), NEVER, "float32"),
            ),
        }

    def advance(self, step, search, until, limit, ends, change=None, noise=None, numbers=None):
        batch = search["tokens"].shape[0]

        def goes_on(search):
            open = self._bound(search["totals"], search["n"], limit) > search["found"][2][:, -1]
            return (search["n"] < until) & ops.any(open)

        def advance(search):
            n, tokens = search["n"], search["tokens"]
            scores, state = step(search["last"], search["state"])
            scores = ops.cast(scores, "float32")
            scores = scores if change is None else change(scores, tokens, n)
            ending = ends.ending(search["ending"], scores.shape[1])
            scores = ops.where(ending & (n + 1 < ends.min_new_tokens), NEVER, scores)
            stuck = ops.reshape(ops.all(scores == NEVER, axis=1), (batch, self.width))
            found = self._best(search["found"], tokens, ops.where(stuck, self._score(search["totals"], n), NEVER), n)
            ending = ops.reshape(ops.broadcast_to(ending, scores.shape), (batch, self.width, -1))
            totals = search["totals"][:, :, None] + ops.reshape(scores, (batch, self.width, -1))
            ended, finished, _ = self._continued(tokens, ops.where(ending, totals, NEVER), n, self.n_best)
            found = self._best(found, finished, self._score(ended, n + 1), n + 1)
            totals, tokens, parents = self._continued(tokens, ops.where(ending, NEVER, totals), n, self.width)
            rows = ops.reshape(ops.arange(batch)[:, None] * self.width + parents, (-1,))
            last = ops.reshape(ops.take(tokens, n, axis=2), (-1,))
            return {
                "n": n + 1,
                "last": last,
                "state": rows_of(lambda t: ops.take(t, rows, axis=0), state),
                "tokens": tokens,
                "totals": totals,
                "ending": ends.after(ops.take(search["ending"], rows, axis=0), last),
                "found": found,
            }

        return looped(goes_on, advance, search)

    def live(self, search):
        return search["totals"] > NEVER

    def finish(self, search):
        # Where the search stopped early, none of these is better than what was found.
        totals = self._score(search["totals"], search["n"])
        return Hypotheses(*self._best(search["found"], search["tokens"], totals, search["n"]))

    def _score(self, totals, n):
        return totals / ops.cast(ops.maximum(n, 1), "float32") ** self.length_penalty

    def _bound(self, totals, n, longest):
        """The most that the best of the unfinished can still score: as it stands, or if no token more has a cost."""
        return self._score(totals[:, 0], longest if self.length_penalty > 0 else n)

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

    def _continued(self, tokens, totals, n, count):
        """The best `count` continuations: their totals, their tokens, and which hypothesis each continues.

        Args:
            tokens: `(batch, width, max_new_tokens)`.
            totals: `(batch, width, vocab_size)`.
        """
        vocab_size = totals.shape[2]
        totals = ops.reshape(totals, (-1, self.width * vocab_size))
        totals, places = ops.top_k(totals, min(count, self.width * vocab_size))
        parents, last = places // vocab_size, places % vocab_size
        return totals, written(ops.take_along_axis(tokens, parents[:, :, None], axis=1), last, n), parents
