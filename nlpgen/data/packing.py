"""Texts of any length → rows of one length, nearly without padding where their lengths differ.

Long texts are cut, after a sentence where there is one; then texts are put together so that rows are full (best fit,
the longest first, inside a window of texts that stood near each other). Texts that all have one length leave the room
that none of them fits into.
"""

import itertools

import numpy as np

from nlpgen.errors import InputError

WINDOW = 4096


def cut_points(ids, room, stops):
    """Where to cut a text so that each part has at most `room` tokens.

    A part ends after the last token of `stops` in its second half, or else is `room` long.

    Args:
        ids: token ids, a one-dimensional array.
        room: most tokens of a part.
        stops: ids after which a sentence ends.

    Returns:
        The ends of the parts; the last is `len(ids)`.

    Example:
        >>> cut_points(np.array([5, 6, 9, 7, 8, 5, 6]), 4, stops=[9])
        [3, 7]
    """
    ends, start, n = [], 0, len(ids)
    is_stop = np.isin(ids, stops) if n > room else None
    while n - start > room:
        half = start + room // 2
        after = np.flatnonzero(is_stop[half : start + room])
        start = half + int(after[-1]) + 1 if len(after) else start + room
        ends.append(start)
    return [*ends, n]


def pack(tokens, ends, length, cls_id, sep_id, stops=(), pad_id=0, words=None, window=WINDOW):
    """Pack texts into rows `[CLS] text [SEP] text [SEP] … [PAD]`.

    Args:
        tokens: ids of all texts, one after the other, without special tokens.
        ends: where each text ends in `tokens`, ascending.
        length: tokens of a row.
        cls_id, sep_id, pad_id: special tokens.
        stops: ids after which a long text is cut best.
        words: bool, as long as `tokens`: whether a word starts there; every token starts one by default.
        window: how many parts of texts are packed together; more fill better, fewer keep neighbours together.

    Returns:
        `(rows, starts)`: ids `(n, length)` of the dtype of `tokens`, and bool of the same shape, whether a word
        starts there (special tokens do).

    Raises:
        InputError: if `length` is below 4.
    """
    if length < 4:
        raise InputError(f"`length` must be at least 4, to hold [CLS], a text and [SEP]. Received: {length}")
    tokens, stops = np.asarray(tokens), np.asarray(sorted(stops), dtype=np.asarray(tokens).dtype)
    words = np.ones(len(tokens), bool) if words is None else words
    spans, start = [], 0
    for end in np.asarray(ends).tolist():
        cuts = [0, *cut_points(tokens[start:end], length - 2, stops)]
        spans += [(start + a, start + b) for a, b in itertools.pairwise(cuts) if a < b]
        start = end
    layout = []
    for first in range(0, len(spans), window):
        layout += _best_fit(spans[first : first + window], length - 1)
    rows = np.full((len(layout), length), pad_id, tokens.dtype)
    starts = np.ones((len(layout), length), bool)
    for row, start_row, parts in zip(rows, starts, layout, strict=True):
        row[0], at = cls_id, 1
        for start, end in parts:
            n = end - start
            row[at : at + n], start_row[at : at + n] = tokens[start:end], words[start:end]
            start_row[at] = True  # a word that was cut starts anew
            row[at + n] = sep_id
            at += n + 1
    return rows, starts


def _best_fit(spans, room):
    """Put spans, each one longer by its `[SEP]`, into rows of `room`: each into the fullest row that can take it."""
    rows, by_room = [], [[] for _ in range(room + 1)]
    for start, end in sorted(spans, key=lambda span: span[0] - span[1]):
        need = end - start + 1
        left = next((r for r in range(need, room + 1) if by_room[r]), None)
        if left is None:
            left, row = room, []
            rows.append(row)
        else:
            row = by_room[left].pop()
        row.append((start, end))
        by_room[left - need].append(row)
    return rows
