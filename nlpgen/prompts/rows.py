"""Inputs ready to be scored, and what a model says of them, batch by batch."""

from dataclasses import dataclass

import numpy as np

from nlpgen.prompts.prompt_model import HIDDEN
from nlpgen.prompts.verbalizer import Plan
from nlpgen.text import length_batches, pad

TOKENS_PER_BATCH = 2048


@dataclass(frozen=True)
class Row:
    """An input ready to be scored.

    Attributes:
        clozes: one for each fill of the plan.
        plan: how its words are scored; `None` where a classification head does it.
        owners: index of each word's label.
        scale, bias: `(words,)`, by which each word's score is multiplied, and what is then added.
    """

    clozes: list
    plan: Plan | None = None
    owners: tuple = ()
    scale: np.ndarray | None = None
    bias: np.ndarray | None = None

    def __len__(self):
        return max(map(len, self.clozes))


def batch_of(rows, length, pad_id, columns=None, segments=False):
    """Rows, padded to a length, as inputs of a `PromptModel`.

    Args:
        rows: a list of `Row`.
        length: padded length of the clozes.
        pad_id: of padding.
        columns: see `PromptModel`; sorted.
        segments: whether the model reads segment ids.
    """
    most = max(len(row.clozes) for row in rows)
    clozes = [cloze for row in rows for cloze in row.clozes + row.clozes[:1] * (most - len(row.clozes))]
    shape = len(rows), most, -1
    batch = {
        "token_ids": pad([cloze.token_ids for cloze in clozes], pad_id, length).reshape(shape),
        "slots": pad([cloze.slots for cloze in clozes]).reshape(shape),
    }
    if segments:
        batch["segment_ids"] = pad([cloze.segment_ids for cloze in clozes], 0, length).reshape(shape)
    plans = [row.plan for row in rows]
    if plans[0] is None:
        return batch
    tokens = [plan.token if columns is None else np.searchsorted(columns, plan.token) for plan in plans]
    tokens = [np.where(plan.weight > 0, token, 0) for plan, token in zip(plans, tokens, strict=True)]
    return batch | {
        "word_clozes": _stack([plan.cloze for plan in plans]),
        "word_slots": _stack([plan.slot for plan in plans]),
        "word_tokens": _stack([token.astype("int32") for token in tokens]),
        "word_weights": _stack([plan.weight for plan in plans]),
        "word_scale": _stack([row.scale for row in rows]),
        "word_bias": _stack([row.bias for row in rows], HIDDEN),
        "word_labels": _stack([np.array(row.owners, "int32") for row in rows], -1),
    }


def run(model, rows, inputs):
    """What a model says of rows, in batches of like length: `(rows, labels or words)`.

    Args:
        model: a `PromptModel`.
        rows: a list of `Row`.
        inputs: function from rows and a padded length to the model's inputs.
    """
    out = np.full((len(rows), model.num_labels or most_words(rows)), HIDDEN)
    clozes = max((len(row.clozes) for row in rows), default=1)
    for indices, length in length_batches([len(row) for row in rows], max(1, TOKENS_PER_BATCH // clozes)):
        scores = np.asarray(model.predict_on_batch(inputs([rows[i] for i in indices], length)))
        out[indices, : scores.shape[1]] = scores
    return out


def most_words(rows):
    """How many words the row with the most has."""
    return max((len(row.bias) for row in rows), default=0)


def _stack(arrays, value=0):
    """Arrays of several sizes as one, filled up at the end."""
    shape = tuple(np.max([array.shape for array in arrays], axis=0))
    out = np.full((len(arrays), *shape), value, arrays[0].dtype)
    for i, array in enumerate(arrays):
        out[(i, *map(slice, array.shape))] = array
    return out
