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


def prefix_mask(segment_ids):
    """UniLM (Dong et al., 2019, https://arxiv.org/abs/1905.03197): segment 0 sees all of itself, segment 1 is causal.

    Args:
        segment_ids: `(batch, length)`, zeros then ones.

    Returns:
        `(batch, 1, length, length)`.
    """
    order = ops.cumsum(segment_ids, axis=1)
    return (order[:, None, :] <= order[:, :, None])[:, None]
