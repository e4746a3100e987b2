"""Which position may see which: bool masks `(batch, heads, queries, keys)`, `True` where a key may be seen."""

from keras import ops


def padding_mask(token_ids, pad_id=0):
    """Every token that is not padding is seen: `(batch, length)` ids to `(batch, 1, 1, length)`."""
    return ops.not_equal(token_ids, pad_id)[:, None, None, :]


def causal_mask(length, keys=None, first=0):
    """A position sees itself and what stands before it.

    Args:
        length: number of queries.
        keys: number of places that may be seen; `length` by default.
        first: place of the first query among them, an int or a scalar tensor.

    Returns:
        `(1, 1, length, keys)`.
    """
    queries = first + ops.arange(length)
    return (ops.arange(length if keys is None else keys)[None, :] <= queries[:, None])[None, None]


def shared_mask(seen, mask, rows):
    """The mask of what stands before a cache, and of the cache.

    Args:
        seen: `(rows / width, places)`, where each row belongs to `width` rows that follow each other.
        mask: over the cache, `(1, 1, queries, keys)`.
        rows: see above, an int.

    Returns:
        `(rows, 1, queries, places + keys)`.
    """
    seen = ops.repeat(ops.cast(seen, "bool"), rows // seen.shape[0], axis=0)[:, None, None, :]
    shape = rows, 1, mask.shape[2]
    return ops.concatenate([ops.broadcast_to(part, (*shape, part.shape[3])) for part in (seen, mask)], axis=3)


def prefix_mask(segment_ids):
    """UniLM (Dong et al., 2019, https://arxiv.org/abs/1905.03197): segment 0 sees all of itself, segment 1 is causal.

    Args:
        segment_ids: `(batch, length)`, zeros then ones.

    Returns:
        `(batch, 1, length, length)`.
    """
    order = ops.cumsum(segment_ids, axis=1)
    return (order[:, None, :] <= order[:, :, None])[:, None]
