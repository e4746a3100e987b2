"""Text from a masked language model, which has no left and right: several tokens at once, or one after another anew."""

from dataclasses import dataclass

import numpy as np

from nlpgen.errors import InputError


@dataclass(frozen=True)
class MaskPredict:
    """All masks are filled, then those of which the model is least certain are masked and filled again.

    In round t of T, from 0, a part `(T - t) / T` of the places is masked (Ghazvininejad et al., 2019,
    https://arxiv.org/abs/1904.09324). Each round costs one pass, whatever the length.

    Args:
        rounds: see above.

    Raises:
        InputError: if it is below 1.
    """

    rounds: int = 4

    def __post_init__(self):
        if not isinstance(self.rounds, int) or self.rounds < 1:
            raise InputError(f"`rounds` must be a whole number, 1 or more. Received: {self.rounds!r}")

    def fill(self, log_probs, ids, places, mask_id, indices=None):
        """Fill the places of texts.

        Args:
            log_probs: function of `(batch, length)` ids to log-probabilities `(batch, places, vocab_size)`.
            ids: `(batch, length)`, `mask_id` at the places.
            places: `(batch, n)`, -1 where a text has fewer.
            mask_id: id of the mask.
            indices: numbers of the texts, by which each has random numbers of its own; 0, 1, 2, … by default.

        Returns:
            The filled ids, and the log-probability of each place's token when it was chosen `(batch, n)`.
        """
        ids, real = ids.copy(), places >= 0
        at, counts = np.maximum(places, 0), real.sum(axis=1)
        certain = np.where(real, -np.inf, np.inf)
        for t in range(self.rounds):
            few = np.floor(counts * (self.rounds - t) / self.rounds).astype(int)
            order = np.argsort(np.argsort(certain, axis=1, kind="stable"), axis=1, kind="stable")
            chosen = real & (order < few[:, None])
            if not chosen.any():
                break
            _put(ids, at, chosen, mask_id)
            found = log_probs(ids)
            best = found.argmax(axis=2)
            _put(ids, at, chosen, best)
            certain = np.where(chosen, np.take_along_axis(found, best[:, :, None], axis=2)[:, :, 0], certain)
        return ids, np.where(real, certain, 0.0)


@dataclass(frozen=True)
class Gibbs:
    """One place after the other is masked and drawn again, given all others (Wang and Cho, 2019,
    https://arxiv.org/abs/1902.04094; Su, 2021, https://kexue.fm/archives/8119).

    The first sweep goes from left to right, so that what is not yet drawn stays masked; later ones in random order.
    Each draw costs a pass over the batch.

    Args:
        sweeps: how often each place is drawn.
        temperature: log-probabilities are divided by it.
        top_k: only the k likeliest tokens.
        seed: of the random numbers; by default each call is new. Text i has numbers of its own.

    Raises:
        InputError: if a setting is out of range.
    """

    sweeps: int = 10
    temperature: float = 1.0
    top_k: int | None = None
    seed: int | None = None

    def __post_init__(self):
        if self.sweeps < 1 or not self.temperature > 0 or (self.top_k is not None and self.top_k < 1):
            raise InputError(
                "`sweeps` and `top_k` must be 1 or more, `temperature` above 0. Received: "
                f"{self.sweeps!r}, {self.top_k!r}, {self.temperature!r}"
            )

    def fill(self, log_probs, ids, places, mask_id, indices=None):
        """Fill the places of texts; see `MaskPredict.fill`."""
        ids, real = ids.copy(), places >= 0
        at, counts = np.maximum(places, 0), real.sum(axis=1)
        seed = np.random.SeedSequence().entropy if self.seed is None else self.seed
        indices = range(len(ids)) if indices is None else indices
        generators = [np.random.default_rng([seed, int(i)]) for i in indices]
        scores = np.zeros(places.shape)
        for sweep in range(self.sweeps):
            orders = [g.permutation(n) if sweep else np.arange(n) for g, n in zip(generators, counts, strict=True)]
            for turn in range(max(counts, default=0)):
                chosen = np.zeros_like(real)
                for i, order in enumerate(orders):
                    if turn < len(order):
                        chosen[i, order[turn]] = True
                _put(ids, at, chosen, mask_id)
                found = log_probs(ids)
                for i, k in np.argwhere(chosen):
                    token = self._drawn(found[i, k], generators[i])
                    ids[i, at[i, k]], scores[i, k] = token, found[i, k, token]
        return ids, scores

    def _drawn(self, log_probs, generator):
        log_probs = np.asarray(log_probs, "float64") / self.temperature
        if self.top_k is not None and self.top_k < len(log_probs):
            log_probs = np.where(log_probs >= np.partition(log_probs, -self.top_k)[-self.top_k], log_probs, -np.inf)
        powers = np.exp(log_probs - log_probs.max())
        return int(generator.choice(len(powers), p=powers / powers.sum()))


def _put(ids, at, chosen, values):
    """Write a value, or those of an array of the places' shape, at the chosen places."""
    rows, columns = np.nonzero(chosen)
    ids[rows, at[rows, columns]] = values if np.isscalar(values) else values[rows, columns]
