"""What a search found, and what it works with."""

from dataclasses import dataclass

import keras
from keras import ops

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


def written(tokens, token, n):
    """`token` at place `n` of each row of `tokens` `(…, max_new_tokens)`."""
    return ops.where(ops.arange(tokens.shape[-1]) == n, ops.cast(token, tokens.dtype)[..., None], tokens)


def rows_of(function, state):
    """A function of the rows of every tensor of a state that has any."""
    return keras.tree.map_structure(lambda t: function(t) if len(t.shape) else t, state)


def looped(goes_on, advance, search):
    """`ops.while_loop` over a dict."""
    names = list(search)

    def as_dict(values):
        return dict(zip(names, values, strict=True))

    def step(*values):
        further = advance(as_dict(values))
        return [further[name] for name in names]

    values = ops.while_loop(
        lambda *values: goes_on(as_dict(values)),
        step,
        [search[name] for name in names],
    )
    return as_dict(values)
