"""Rules that change the scores of the next token by the tokens before."""

from dataclasses import dataclass

import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.generation.hypotheses import NEVER


@dataclass(frozen=True)
class Rules:
    """Which tokens become less likely, or cannot come.

    The text is what was given and what was generated since.

    Args:
        repetition_penalty: scores of tokens that the text has are divided by it where positive, else multiplied
            (Keskar et al., 2019, https://arxiv.org/abs/1909.05858); 1 changes nothing.
        no_repeat_ngram_size: no n tokens in a row come twice in a text; 0 for no limit.
        banned: ids that never come.

    Raises:
        InputError: if a setting is out of range.
    """

    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    banned: tuple = ()

    def __post_init__(self):
        if not self.repetition_penalty > 0:
            raise InputError(f"`repetition_penalty` must be above 0. Received: {self.repetition_penalty!r}")
        if not isinstance(self.no_repeat_ngram_size, int) or self.no_repeat_ngram_size < 0:
            raise InputError(
                f"`no_repeat_ngram_size` must be a whole number, 0 or more. Received: {self.no_repeat_ngram_size!r}"
            )

    def inputs(self):
        """What `apply_rules` takes of this as tensors: numbers by name, if they change something."""
        if self.repetition_penalty == 1:
            return {}
        return {"repetition_penalty": np.array(self.repetition_penalty, "float32")}


def apply_rules(scores, context, tokens, n, ngram_size=0, repetition_penalty=None, allowed=None, forced=None):
    """The scores of the next token under rules.

    Args:
        scores: `(batch * width, vocab_size)`.
        context: `(batch, places)`, the given texts, right-aligned, -1 where nothing stands.
        tokens: `(batch, width, max_new_tokens)`, what was generated.
        n: scalar, how many of these there are.
        ngram_size, repetition_penalty: see `Rules`; `None` or 0 for none.
        allowed: bool `(1, vocab_size)` or `(batch * width, vocab_size)`.
        forced: `(batch, k)`, the first tokens; -1 where any may come.

    Returns:
        `(batch * width, vocab_size)`.
    """
    vocab_size, width, places = scores.shape[1], tokens.shape[1], tokens.shape[2]
    if repetition_penalty is not None or ngram_size:
        text = ops.where(ops.arange(places) < n, ops.reshape(tokens, (-1, places)), -1)
        text = ops.concatenate([ops.repeat(context, width, axis=0), text], axis=1)
        size = context.shape[1] + n
    if repetition_penalty is not None:
        less = ops.where(scores > 0, scores / repetition_penalty, scores * repetition_penalty)
        scores = ops.where(_marked(text, text >= 0, vocab_size), less, scores)
    if ngram_size:
        scores = ops.where(_marked(text, _repeats(text, size, ngram_size), vocab_size), NEVER, scores)
    if forced is not None:
        ids = ops.take(forced, ops.minimum(n, forced.shape[1] - 1), axis=1)
        ids = ops.repeat(ops.where(n < forced.shape[1], ids, -1), width, axis=0)[:, None]
        scores = ops.where((ids < 0) | (ops.arange(vocab_size) == ids), scores, NEVER)
    return scores if allowed is None else ops.where(allowed, scores, NEVER)


def _repeats(text, size, ngram_size):
    """Where a token stands that would repeat an n-gram if it came next: bool, of the text's shape `(rows, places)`."""
    places = ops.arange(text.shape[1])
    found = (text >= 0) & (places >= ngram_size - 1)
    for back in range(1, ngram_size):
        last = ops.take(text, ops.maximum(size - back, 0), axis=1)[:, None]
        found = found & (ops.roll(text, back, axis=1) == last) & (last >= 0)
    return found


def _marked(text, where, vocab_size):
    """Which tokens stand at the places where it is true: bool `(rows, vocab_size)`."""
    rows = ops.broadcast_to(ops.arange(text.shape[0])[:, None], text.shape)
    at = ops.where(where, text, vocab_size)
    indices = ops.stack([ops.reshape(rows, (-1,)), ops.reshape(ops.cast(at, rows.dtype), (-1,))], axis=1)
    marks = ops.zeros((text.shape[0], vocab_size + 1), "int32")
    return ops.scatter_update(marks, indices, ops.ones((indices.shape[0],), "int32"))[:, :vocab_size] > 0
