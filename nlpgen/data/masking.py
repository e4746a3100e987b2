"""Which tokens a masked language model has to guess: random tokens, whole words or spans, by BERT's 80/10/10 rule.

All three schemes go through a row's units in random order and take those that still fit into its budget; they differ
only in where a unit starts: at every token, at every word, or at random. So one function does all, for a whole batch at
once.
"""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nlpgen.errors import InputError

SCHEMES = ("random", "whole_word", "span")
UNUSED = re.compile(r"\[unused\d+\]")
SPAN_STOP, LONGEST_SPAN = 0.2, 10  # SpanBERT's geometric distribution (https://arxiv.org/abs/1907.10529, 3.1)


@dataclass(frozen=True)
class Masking:
    """How tokens are chosen and what is put in their place.

    Args:
        vocab_size: ids of random tokens are below it.
        mask_id: id of `[MASK]`.
        special_ids: ids that are never chosen.
        first_random_id: ids of random tokens start here, above `[unused…]`; special tokens are left out.
        scheme: `"random"` (Devlin et al., 2018), `"whole_word"` (Cui et al., 2019, https://arxiv.org/abs/1906.08101)
            or `"span"` (Joshi et al., 2019, https://arxiv.org/abs/1907.10529; lengths geometric with p 0.2, at most
            10).
        rate: share of a row's tokens to choose, special tokens and padding not counted: `round(rate * tokens)`, at
            least one. Whole words and spans that would go over stay out, and shorter ones come in their place, as in
            BERT's own code: the shorter are chosen somewhat more often.
        mask_share, random_share: of the chosen tokens, which share becomes `[MASK]`, and which a random token; the
            rest stays.

    Raises:
        InputError: if the scheme is unknown or a share is none.
    """

    vocab_size: int
    mask_id: int
    special_ids: tuple
    first_random_id: int
    scheme: str = "random"
    rate: float = 0.15
    mask_share: float = 0.8
    random_share: float = 0.1

    def __post_init__(self):
        shares = self.mask_share, self.random_share, 1 - self.mask_share - self.random_share
        if self.scheme not in SCHEMES or not 0 < self.rate < 1 or min(shares) < -1e-9:
            raise InputError(
                f"`scheme` is one of {', '.join(SCHEMES)}, `rate` lies between 0 and 1, and `mask_share` and "
                f"`random_share` are shares of at most 1 together. Received: {self.scheme!r}, {self.rate}, "
                f"{self.mask_share}, {self.random_share}"
            )
        if not 0 <= self.first_random_id < self.vocab_size:
            raise InputError(
                f"`first_random_id` must be an id of the vocabulary of {self.vocab_size:,} tokens. "
                f"Received: {self.first_random_id}"
            )

    @classmethod
    def for_tokenizer(cls, tokenizer, **options):
        """A masking for the ids of a tokenizer; random tokens are neither special nor `[unused…]`.

        Args:
            tokenizer: a `Tokenizer`.
            options: `scheme`, `rate`, `mask_share`, `random_share`.

        Raises:
            VocabularyError: if there is no `[MASK]`.
        """
        special = tokenizer.special_ids
        tokens = enumerate(tokenizer.vocab.tokens)
        first = next(
            (i for i, token in tokens if i not in special and not UNUSED.fullmatch(token)), len(tokenizer.vocab)
        )
        return cls(len(tokenizer.vocab), tokenizer.mask_id, tuple(sorted(special)), first, **options)

    @classmethod
    def for_judging(cls, tokenizer, rate=0.15):
        """The masking that models are judged by: random tokens, all of which become `[MASK]`."""
        return cls.for_tokenizer(tokenizer, rate=rate, mask_share=1.0, random_share=0.0)

    @cached_property
    def random_ids(self):
        """The ids of random tokens."""
        return np.setdiff1d(np.arange(self.first_random_id, self.vocab_size, dtype="int32"), self.special_ids)

    def places(self, length):
        """How many positions of a row of `length` tokens are guessed at most."""
        return max(1, round(self.rate * length))

    def __call__(self, rows, rng, starts=None):
        """Mask a batch.

        Args:
            rows: token ids `(batch, length)`.
            rng: a `numpy.random.Generator`; the same state gives the same masks.
            starts: bool `(batch, length)`, where words start; needed by `"whole_word"`.

        Returns:
            `(inputs, positions, targets, weights)`: `inputs` is `rows` with masks; the others are
            `(batch, places)`: ascending positions, the ids that stood there, and 1.0, or 0.0 where a row has fewer
            chosen tokens than places.

        Raises:
            InputError: if words are to be masked and `starts` is missing.
        """
        rows = np.asarray(rows, dtype="int32")
        chosen = self.choose(rows, rng, starts)
        places = self.places(rows.shape[1])
        # Chosen positions first, in ascending order; a stable sort of the booleans.
        positions = np.argsort(~chosen, axis=1, kind="stable")[:, :places].astype("int32")
        weights = np.take_along_axis(chosen, positions, axis=1)
        targets = np.take_along_axis(rows, positions, axis=1)
        positions, targets = positions * weights, targets * weights
        u = rng.random(rows.shape, dtype="float32")
        noise = self.random_ids[rng.integers(len(self.random_ids), size=rows.shape)]
        inputs = np.where(chosen & (u < self.mask_share), self.mask_id, rows)
        random = chosen & (u >= self.mask_share) & (u < self.mask_share + self.random_share)
        return np.where(random, noise, inputs).astype("int32"), positions, targets, weights.astype("float32")

    def choose(self, rows, rng, starts=None):
        """Bool `(batch, length)`: which tokens are chosen."""
        batch, length = rows.shape
        free = ~np.isin(rows, self.special_ids)
        if self.scheme == "whole_word":
            if starts is None:
                raise InputError(
                    "Whole-word masking needs `starts`, where words start. Tokenise the corpus with words=True."
                )
            starts = np.asarray(starts, bool)
        elif self.scheme == "span":
            starts = random_starts(rows.shape, rng)
        else:
            starts = np.ones(rows.shape, bool)
        # Units also end at special tokens, which are units of no size.
        starts = starts | ~free | np.roll(~free, 1, axis=1)
        starts[:, 0] = True
        unit = np.cumsum(starts, axis=1) - 1
        row = np.arange(batch)[:, None]
        sizes = np.bincount((unit + row * length)[free], minlength=batch * length).reshape(batch, length)
        free_tokens = free.sum(axis=1)
        left = np.where(free_tokens > 0, np.maximum(1, np.round(self.rate * free_tokens)), 0)
        taken = np.zeros_like(free)
        for units in np.argsort(rng.random(sizes.shape, dtype="float32"), axis=1).T:
            size = sizes[row[:, 0], units]
            fits = size <= left
            taken[row[:, 0], units] = fits
            left -= size * fits
            if not left.any():
                break
        return taken[row, unit] & free


def random_starts(shape, rng, stop=SPAN_STOP, longest=LONGEST_SPAN):
    """Cut rows into spans whose lengths are geometric, but at most `longest`.

    Returns:
        Bool `shape`, `True` where a span starts.
    """
    batch, length = shape
    sizes = np.minimum(rng.geometric(stop, (batch, length)), longest)
    starts = np.zeros((batch, length + 1), bool)
    np.put_along_axis(starts, np.minimum(np.cumsum(sizes, axis=1), length), True, axis=1)
    starts[:, 0] = True
    return starts[:, :length]
