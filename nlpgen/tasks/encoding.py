"""Tuples of strings → what a model computes of them, batch by batch."""

import numpy as np

from nlpgen.tasks.labelled import as_pair
from nlpgen.text import length_batches, pad


def encode(model, rows, max_length=None, truncate="longest"):
    """The `Encoding` of each text, with at most as many tokens as the model reads.

    Args:
        model: a model with its tokenizer.
        rows: tuples of strings; the second and later strings of a tuple are the second segment.
        max_length: most tokens, special ones included.
        truncate: see `Tokenizer.encode`.
    """
    longest = min((n for n in (max_length, model.backbone.longest) if n is not None), default=None)
    return [model.tokenizer.encode(*as_pair(row), max_length=longest, truncate=truncate) for row in rows]


def inputs_of(model, encodings, length):
    """Encodings as inputs of a model, `(encodings, length)`."""
    return {
        "token_ids": pad([each.token_ids for each in encodings], model.tokenizer.pad_id or 0, length),
        "segment_ids": pad([each.segment_ids for each in encodings], 0, length),
        "padding_mask": pad([[1] * len(each) for each in encodings], 0, length),
    }


def outputs_of(model, encodings):
    """What a model computes of one encoding or more, a float64 array `(encodings, …)`."""
    out = None
    for indices, length in length_batches([len(each) for each in encodings]):
        values = np.asarray(model.predict_on_batch(inputs_of(model, [encodings[i] for i in indices], length)))
        if out is None:
            out = np.empty((len(encodings), *values.shape[1:]))
        out[indices] = values
    return out
