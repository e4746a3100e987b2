"""Text token by token: the likeliest one, or one by chance."""

from dataclasses import dataclass

import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.generation.hypotheses import NEVER, Hypotheses, looped, written


class Sampler:
    """What all ways of generating share: `start`, then `advance` once or often, then `finish`.

    All shapes are fixed, so each can be compiled. Between calls a search is a dict of tensors.
    """

    width = 1
    n_best = 1

    def shape(self):
        """What decides which tensors the sampler needs; two of the same shape can share compiled functions."""
        raise NotImplementedError

    def numbers(self):
        """Settings that a compiled function takes as inputs, `{name: number}`."""
        return {}

    def noise(self, batch, places):
        """Random numbers for a batch of texts, `(batch, places)`, or `None`."""
        return None


class OneByOne(Sampler):
    """A token at a time is chosen for each text; a subclass says in `choose` which."""

    def start(self, token_ids, state, places, ends):
        batch = token_ids.shape[0]
        return {
            "n": ops.convert_to_tensor(0, "int32"),
            "last": ops.cast(token_ids, "int32"),
            "state": state,
            "tokens": ops.zeros((batch, 1, places), "int32"),
            "totals": ops.zeros((batch, 1), "float32"),
            "lengths": ops.zeros((batch, 1), "int32"),
            "ended": ops.zeros((batch,), "bool"),
            "ending": ends.start(batch),
        }

    def advance(self, step, search, until, limit, ends, change=None, noise=None, numbers=None):
        """Choose further tokens. A text that no token may follow has ended as it stands.

        Args:
            step: function `(token_ids, state) -> (logits, state)`, from the last token of each text `(batch,)` to the
                logits `(batch, vocab_size)` of the next.
            search: from `start` or an earlier call.
            until: how many tokens there are at the end, an int or a scalar tensor.
            limit: most tokens of a text, at least `until`.
            ends: an `Ends`.
            change: function `(logits, tokens (batch, 1, places), n) -> logits`, the rules.
            noise: `(batch, places)`, numbers in [0, 1).
            numbers: see `numbers`.
        """

        def goes_on(search):
            return (search["n"] < until) & ~ops.all(search["ended"])

        def advance(search):
            n = search["n"]
            logits, state = step(search["last"], search["state"])
            logits = ops.cast(logits, "float32")
            changed = logits if change is None else change(logits, search["tokens"], n)
            ending = ends.ending(search["ending"], logits.shape[1])
            changed = ops.where(ending & (n + 1 < ends.min_new_tokens), NEVER, changed)
            ended = search["ended"] | ops.all(changed == NEVER, axis=1)
            token = self.choose(changed, None if noise is None else ops.take(noise, n, axis=1), numbers or {})
            log_prob = ops.take_along_axis(logits, token[:, None], axis=1)[:, 0] - ops.logsumexp(logits, axis=1)
            is_end = ops.take_along_axis(ops.broadcast_to(ending, logits.shape), token[:, None], axis=1)[:, 0]
            return {
                "n": n + 1,
                "last": token,
                "state": state,
                "tokens": written(search["tokens"], ops.where(ended, 0, token)[:, None], n),
                "totals": search["totals"] + ops.where(ended, 0.0, log_prob)[:, None],
                "lengths": search["lengths"] + ops.cast(~ended, "int32")[:, None],
                "ended": ended | is_end,
                "ending": ops.where(ended, search["ending"], ends.after(search["ending"], token)),
            }

        return looped(goes_on, advance, search)

    def live(self, search):
        """Which hypotheses go on, bool `(batch, width)`."""
        return ~search["ended"][:, None]

    def finish(self, search):
        """The `Hypotheses`."""
        return Hypotheses(search["tokens"], search["lengths"], search["totals"])

    def choose(self, logits, noise, numbers):
        """Logits `(batch, vocab_size)` to tokens `(batch,)`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Greedy(OneByOne):
    """The likeliest token each time."""

    def shape(self):
        return self

    def choose(self, logits, noise, numbers):
        return ops.cast(ops.argmax(logits, axis=1), "int32")


@dataclass(frozen=True)
class Sample(OneByOne):
    """A token by chance, from the model's distribution or the part of it that is left.

    The limits apply in the order of `top_k`, `top_p`, `min_p` and `typical`, each to what the one before left.

    Args:
        temperature: logits are divided by it.
        top_k: only the k likeliest.
        top_p: only the likeliest that have this probability together (Holtzman et al., 2019,
            https://arxiv.org/abs/1904.09751); the one that reaches it is in.
        seed: of the random numbers; the same call with the same seed gives the same texts, on every backend. By default
            each call is new. Text i of a call has numbers of its own, which do not depend on the other texts.
        min_p: only those with this part of the largest probability (Nguyen et al., 2024,
            https://arxiv.org/abs/2407.01082).
        typical: only those whose information is nearest to the entropy, of this probability together (Meister et al.,
            2022, https://arxiv.org/abs/2202.00666).

    Raises:
        InputError: if a setting is out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    min_p: float | None = None
    typical: float | None = None

    def __post_init__(self):
        problems = [
            f"`{name}` must be above 0 and at most 1. Received: {getattr(self, name)!r}"
            for name in ("top_p", "min_p", "typical")
            if getattr(self, name) is not None and not 0 < getattr(self, name) <= 1
        ]
        if not self.temperature > 0:
            problems.append(f"`temperature` must be above 0 (see Greedy for 0). Received: {self.temperature!r}")
        if self.top_k is not None and (not isinstance(self.top_k, int) or self.top_k < 1):
            problems.append(f"`top_k` must be a whole number, 1 or more. Received: {self.top_k!r}")
        if self.seed is not None and (not isinstance(self.seed, int) or self.seed < 0):
            problems.append(f"`seed` must be a whole number, 0 or more. Received: {self.seed!r}")
        if problems:
            raise InputError("\n".join(problems))

    def shape(self):
        return type(self), self.top_k, *(name for name in ("top_p", "min_p", "typical") if getattr(self, name))

    def numbers(self):
        named = {name: getattr(self, name) for name in ("temperature", "top_p", "min_p", "typical")}
        return {name: value for name, value in named.items() if value is not None}

    def noise(self, batch, places):
        seed = np.random.SeedSequence().entropy if self.seed is None else self.seed
        return np.stack([np.random.default_rng([seed, i]).random(places, "float32") for i in range(batch)])

    def choose(self, logits, noise, numbers):
        logits, ids = logits / numbers["temperature"], None
        if self.top_k or len(self.shape()) > 2:
            logits, ids = ops.top_k(logits, min(self.top_k or logits.shape[1], logits.shape[1]))
        if logits.shape[1] == 1:
            return ops.cast(ids[:, 0], "int32")
        if "top_p" in numbers:
            probabilities = ops.softmax(logits, axis=1)
            before = ops.cumsum(probabilities, axis=1) - probabilities
            logits = ops.where(before < numbers["top_p"], logits, NEVER)
        if "min_p" in numbers:
            logits = ops.where(logits >= logits[:, :1] + ops.log(numbers["min_p"]), logits, NEVER)
        if "typical" in numbers:
            logits = ops.where(_most_typical(logits, numbers["typical"]), logits, NEVER)
        # Where the running sum passes the random number; the factor keeps rounding from passing the last one.
        sums = ops.cumsum(ops.softmax(logits, axis=1), axis=1)
        place = ops.argmax(sums > noise[:, None] * (sums[:, -1:] * (1 - 1e-6)), axis=1)
        return ops.cast(place if ids is None else ops.take_along_axis(ids, place[:, None], axis=1)[:, 0], "int32")


def _most_typical(logits, mass):
    """Which tokens are nearest to the entropy and have a probability together: bool, of the logits' shape."""
    log_probs = ops.log_softmax(logits, axis=1)
    probabilities = ops.exp(log_probs)
    information = ops.where(probabilities > 0, -log_probs, 0.0)
    entropy = ops.sum(probabilities * information, axis=1, keepdims=True)
    distance = ops.where(probabilities > 0, ops.abs(information - entropy), -NEVER)
    nearest, places = ops.top_k(-distance, logits.shape[1])
    ordered = ops.take_along_axis(probabilities, places, axis=1)
    kept = ops.cumsum(ordered, axis=1) - ordered < mass
    farthest = ops.max(ops.where(kept, -nearest, 0.0), axis=1, keepdims=True)
    return distance <= farthest
