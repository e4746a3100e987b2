"""A checkpoint seen with fewer or further vocabulary rows: bert4keras' `keep_tokens` and `compound_tokens`."""

import numpy as np

from nlpgen.errors import VocabularyError


class VocabularySubset:
    """Tensors whose vocabulary axis is cut to some rows and continued by averages of rows.

    Args:
        tensors: a checkpoint.
        names: names of the tensors with a vocabulary axis: the last of a `/kernel`, which projects to the vocabulary,
            and the first of all others.
        keep_tokens: ids to keep, in this order; `None` for all.
        compound_tokens: for each new row the ids that it is the average of, or a pair `(ids, weights)`. The ids count
            after `keep_tokens`, as in bert4keras.

    Raises:
        VocabularyError: if an id is out of range.
    """

    def __init__(self, tensors, names, keep_tokens=None, compound_tokens=()):
        self._tensors = tensors
        self._names = frozenset(names)
        self._compound = [item if isinstance(item, tuple) else (item, None) for item in compound_tokens]
        self.dtype, self.original, self.unread = tensors.dtype, tensors.original, tensors.unread
        rows = next(tensors.shape(name)[0] for name in names if name in tensors)
        self._keep = np.arange(rows) if keep_tokens is None else np.asarray(keep_tokens, dtype=int)
        _check("keep_tokens", self._keep, rows)
        for ids, weights in self._compound:
            if not len(ids) or (weights is not None and (len(weights) != len(ids) or not sum(weights))):
                raise VocabularyError(
                    "A compound token needs one id or more, and as many weights, which do not sum to 0. "
                    f"Received: {ids!r}, {weights!r}"
                )
            _check("compound_tokens", np.asarray(ids, dtype=int), len(self._keep))

    def __contains__(self, name):
        return name in self._tensors

    def __iter__(self):
        return iter(self._tensors)

    def __getitem__(self, name):
        tensor = self._tensors[name]
        if name not in self._names:
            return tensor
        if name.endswith("/kernel"):
            return np.ascontiguousarray(self._rows(tensor.T).T)
        return self._rows(tensor)

    def shape(self, name):
        shape = self._tensors.shape(name)
        if name not in self._names:
            return shape
        rows = len(self._keep) + len(self._compound)
        return (*shape[:-1], rows) if name.endswith("/kernel") else (rows, *shape[1:])

    def _rows(self, tensor):
        kept = tensor[self._keep]
        new = [np.average(kept[list(ids)], axis=0, weights=weights) for ids, weights in self._compound]
        return np.concatenate([kept, np.stack(new).astype(kept.dtype)]) if new else kept


def _check(argument, ids, rows):
    wrong = ids[(ids < 0) | (ids >= rows)]
    if wrong.size:
        raise VocabularyError(f"`{argument}` holds {wrong[0]}, but ids go from 0 to {rows - 1}. Correct the list.")
