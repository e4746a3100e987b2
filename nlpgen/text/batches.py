"""Rows of ids of any length → arrays, and a cut into batches of like length."""

import numpy as np


def pad(rows, value=0, length=None):
    """Stack rows of ids, filled up at the end.

    Args:
        rows: lists of integers.
        value: what fills.
        length: length of the result; the longest row's by default.

    Returns:
        An int32 array `(rows, length)`.

    Example:
        >>> pad([[1, 2, 3], [4]])
        array([[1, 2, 3],
               [4, 0, 0]], dtype=int32)
    """
    if length is None:
        length = max(map(len, rows), default=0)
    out = np.full((len(rows), length), value, dtype="int32")
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def bucket(length):
    """The length that a row of `length` tokens is padded to: few lengths in all, and little padding.

    Multiples of 8 up to 64, of 16 up to 128, of 32 up to 256, of 64 beyond.

    Example:
        >>> [bucket(n) for n in (1, 8, 9, 70, 129, 300)]
        [8, 8, 16, 80, 160, 320]
    """
    step = 8 if length <= 64 else 16 if length <= 128 else 32 if length <= 256 else 64
    return max(step, -(-length // step) * step)


def length_batches(lengths, tokens_per_batch=2048, max_rows=64):
    """Cut rows into batches of like length, the longest first, so that memory peaks at once.

    Args:
        lengths: length of each row.
        tokens_per_batch: rows × padded length of a batch is at most this (one row at least).
        max_rows: most rows in a batch.

    Returns:
        A list of `(indices, padded length)`; every row stands in one batch.
    """
    order = np.argsort(-np.asarray(lengths, dtype=int), kind="stable")
    batches, start = [], 0
    while start < len(order):
        length = bucket(lengths[order[start]])
        rows = max(1, min(max_rows, tokens_per_batch // length))
        batches.append((order[start : start + rows], length))
        start += rows
    return batches


def shuffled_batches(lengths, batch_size, generator):
    """Cut rows into batches for training: at random, but of like length.

    The rows are shuffled and cut into stretches of 50 batches, each stretch is sorted by length and cut into batches,
    and these are shuffled.

    Args:
        lengths: length of each row.
        batch_size: rows of a batch; the last may be smaller.
        generator: a NumPy random generator.

    Returns:
        A list of `(indices, padded length)`; every row stands in one batch.
    """
    lengths = np.asarray(lengths, dtype=int)
    order, batches = generator.permutation(len(lengths)), []
    for start in range(0, len(order), 50 * batch_size):
        stretch = order[start : start + 50 * batch_size]
        stretch = stretch[np.argsort(lengths[stretch], kind="stable")]
        batches += [stretch[i : i + batch_size] for i in range(0, len(stretch), batch_size)]
    return [(batches[i], bucket(lengths[batches[i]].max())) for i in generator.permutation(len(batches))]
