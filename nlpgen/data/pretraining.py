"""Batches for pretraining, each a pure function of seed and step: the state of the data is one number.

The rows of all genres are packed once and stay in memory; `PackedRows.batch` draws from them, and masks are drawn anew
for every batch. Two runs with the same seed see the same batches from any step on, so that a run that was killed goes
on as if nothing had happened.
"""

import numpy as np

from nlpgen.data.packing import pack
from nlpgen.errors import InputError

SENTENCE_ENDS = "。！？；!?;…"


class PackedRows:
    """The packed rows of a tokenised corpus, and the order in which they are drawn.

    Args:
        cache: a `TokenCache`.
        tokenizer: the tokenizer it was made with.
        length: tokens of a row.
        split: `"train"` or `"held_out"`.
        genres: names; all by default.
        genre_power: a genre is drawn as often as its number of rows to this power says: 1 is by size, 0 all alike.
            Each genre is gone through without repetition before it starts again, in a new order.
        seed: of the order.

    The rows, unlike the texts they are packed from, are in memory: 3 bytes a token (5 with a
    vocabulary of more than 65,536 tokens), about 200 MB for 50 M characters in rows of 64.

    Attributes:
        rows: `{genre: ids (n, length)}`.
        starts: `{genre: bool (n, length)}`, where words start.

    Raises:
        InputError: if the corpus has no text, or not that genre.
    """

    def __init__(self, cache, tokenizer, length, split="train", genres=None, genre_power=1.0, seed=0):
        self.length, self.seed = length, seed
        self.pad_id, self.sep_id = tokenizer.pad_id, tokenizer.sep_id
        self.rows, self.starts = {}, {}
        stops = [tokenizer.vocab.ids[mark] for mark in SENTENCE_ENDS if mark in tokenizer.vocab]
        for name in genres or cache.names:
            texts = cache.texts(name, split)
            rows, starts = pack(
                texts.tokens,
                texts.ends,
                length,
                tokenizer.cls_id,
                tokenizer.sep_id,
                stops,
                tokenizer.pad_id,
                texts.words,
            )
            if len(rows):
                self.rows[name], self.starts[name] = rows, starts
        if not self.rows:
            raise InputError(f"{cache.folder} has no {split} text. Give a corpus with more lines.")
        self.has_words = bool(cache.meta["words"])
        shares = np.array([len(rows) for rows in self.rows.values()], float) ** genre_power
        self._names = list(self.rows)
        self._draws = np.maximum(1, np.round(shares / shares.sum() * len(self))).astype(int)
        self._order = None

    def __len__(self):
        return sum(map(len, self.rows.values()))

    def batch(self, index, size):
        """The rows of batch number `index`, counted from 0 without end.

        Returns:
            `(rows, starts)`, int32 and bool, both `(size, length)`.
        """
        rows = np.empty((size, self.length), "int32")
        starts = np.empty((size, self.length), bool)
        round_size = int(self._draws.sum())
        for i, place in enumerate(range(index * size, (index + 1) * size)):
            turn, at = divmod(place, round_size)
            name, row = self._at(turn, at)
            rows[i], starts[i] = self.rows[name][row], self.starts[name][row]
        return rows, starts

    def _at(self, turn, at):
        """Genre and row at a place of a round."""
        if self._order is None or self._order[0] != turn:
            genres = np.repeat(np.arange(len(self._draws)), self._draws)
            picked = np.concatenate(
                [self._picked(genre, turn * n, (turn + 1) * n) for genre, n in enumerate(self._draws.tolist())]
            )
            shuffled = np.random.default_rng((self.seed, 0, turn)).permutation(len(genres))
            self._order = turn, genres[shuffled], picked[shuffled]
        return self._names[self._order[1][at]], self._order[2][at]

    def _picked(self, genre, first, last):
        """Rows at places `first` to `last` of a genre's endless stream: all rows, shuffled, again and again."""
        n = len(self.rows[self._names[genre]])
        parts = []
        for epoch in range(first // n, (last - 1) // n + 1):
            shuffled = np.random.default_rng((self.seed, 1 + genre, epoch)).permutation(n)
            parts.append(shuffled[max(0, first - epoch * n) : last - epoch * n])
        return np.concatenate(parts)


def masked_lm_batch(rows, masking, index, size, seed=0, shard=(0, 1)):
    """Batch number `index` for a masked language model.

    Args:
        rows: `PackedRows`.
        masking: a `Masking`.
        size: rows of the batch, over all machines.
        seed: of the masks.
        shard: `(machine, machines)`; which part of the batch to return.

    Returns:
        `(inputs, targets, weights)`: `{"token_ids": (size, length), "positions": (size, places)}`, int32 and float32
        `(size, places)`.
    """
    ids, starts = rows.batch(index, size)
    token_ids, positions, targets, weights = masking(ids, np.random.default_rng((seed, index)), starts)
    return _shard(({"token_ids": token_ids, "positions": positions}, targets, weights), shard)


def causal_lm_batch(rows, index, size, shard=(0, 1)):
    """Batch number `index` for a causal language model: every token from those before it.

    Returns:
        `(inputs, targets, weights)`: `{"token_ids": (size, length - 1)}`, int32 and float32 of the same shape; the
        weight is 0 where the target is padding.
    """
    ids, _ = rows.batch(index, size)
    targets = ids[:, 1:]
    return _shard(({"token_ids": ids[:, :-1]}, targets, (targets != rows.pad_id).astype("float32")), shard)


def unilm_batch(rows, index, size, seed=0, shard=(0, 1)):
    """Batch number `index` for a UniLM (Dong et al., 2019): a source that sees itself, and a target after it.

    Each row is cut at a random place between a quarter and three quarters of its tokens: `[CLS] source [SEP] target`
    (the row's last token gives way to the `[SEP]`). The target's tokens are to be guessed from the source and those
    before them.

    Returns:
        `(inputs, targets, weights)`: `{"token_ids", "segment_ids"}`, `(size, length - 1)`; segment 1 is the target.
    """
    ids, _ = rows.batch(index, size)
    rng = np.random.default_rng((seed, index))
    n = (ids != rows.pad_id).sum(axis=1)
    cut = np.maximum(2, (n * rng.uniform(0.25, 0.75, len(ids))).astype(int))[:, None]
    place = np.arange(rows.length)[None, :]
    # Up to the cut as it stands, there [SEP], behind it everything one place later.
    moved = np.where(place <= cut, ids, np.roll(ids, 1, axis=1))
    moved = np.where(place == cut, rows.sep_id, moved).astype("int32")
    segments = ((place > cut) & (moved != rows.pad_id)).astype("int32")
    targets, weights = moved[:, 1:], segments[:, 1:].astype("float32")
    return _shard(({"token_ids": moved[:, :-1], "segment_ids": segments[:, :-1]}, targets, weights), shard)


def endless(batch, first=0):
    """Batches `batch(first)`, `batch(first + 1)`, … without end, as `fit` takes them."""
    index = first
    while True:
        yield batch(index)
        index += 1


def _shard(batch, shard):
    """The part of a batch that belongs to one machine of several."""
    index, count = shard
    inputs, targets, weights = batch
    if len(targets) % count:
        raise InputError(f"A batch of {len(targets)} rows cannot be shared by {count} machines. Give a multiple.")
    part = slice(index * len(targets) // count, (index + 1) * len(targets) // count)
    return {name: array[part] for name, array in inputs.items()}, targets[part], weights[part]
