"""Lines of text to batches of arrays and back."""

import inspect
import os
import warnings
from pathlib import Path

import numpy as np

from nlpgen.errors import InputError, InputWarning
from nlpgen.text import check_texts, pad, shuffled_batches

STEP = 4  # lengths of batches are multiples of this, or that of the longest text
PACKAGE = str(Path(__file__).parents[1]) + os.sep


def start_id(tokenizer):
    """What stands before the first token: `[CLS]`, or where there is none the token that ends a text."""
    return tokenizer.eos_id if tokenizer.cls_id is None else tokenizer.cls_id


class Lines:
    """Texts as rows of ids, with the tokens before the first and behind the last.

    Args:
        tokenizer: a `Tokenizer`.
        lines: strings.
        max_length: most tokens of a row; longer texts are cut.
        name: of the lines, for errors.
        limit: what `max_length` is, for the warning.

    Raises:
        InputError: if there is no line, or one is no string or has no token.

    Warns:
        InputWarning: if lines are cut.
    """

    def __init__(self, tokenizer, lines, max_length, name="lines", limit="`max_length`"):
        lines = check_texts(lines, name)
        if not lines:
            raise InputError(f"`{name}` must have one line of text or more. Received: an empty list")
        first, last = start_id(tokenizer), tokenizer.eos_id
        rows = tokenizer.ids(lines)
        empty = [i for i, row in enumerate(rows) if not row]
        if empty:
            raise InputError(
                f"`{name}[{empty[0]}]` has no token ({len(empty)} such lines): {lines[empty[0]]!r:.60}. Leave them out."
            )
        long = sum(len(row) > max_length - 2 for row in rows)
        if long:
            warn(f"{long} of {len(rows)} `{name}` have more than {max_length - 2} tokens and are cut there ({limit}).")
        self.rows = [[first, *row[: max_length - 2], last] for row in rows]
        self.lengths = np.array([len(row) for row in self.rows])

    def __len__(self):
        return len(self.rows)

    def part(self, most):
        """At most `most` of the rows, evenly spread."""
        indices = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).astype(int))
        return self.of([self.rows[i] for i in indices])

    @classmethod
    def of(cls, rows):
        """Rows of ids as they are."""
        lines = cls.__new__(cls)
        lines.rows, lines.lengths = rows, np.array([len(row) for row in rows])
        return lines

    @property
    def num_tokens(self):
        """Tokens that a decoder guesses: all but the first of each row."""
        return int(self.lengths.sum()) - len(self)

    def batch(self, indices):
        """`{"token_ids", "padding_mask"}` of some rows, padded to a length of few kinds."""
        lengths = self.lengths[indices]
        length = min(-(-lengths.max() // STEP) * STEP, self.lengths.max())
        return {
            "token_ids": pad([self.rows[i] for i in indices], 0, length),
            "padding_mask": np.arange(length) < lengths[:, None],
        }

    def shuffled(self, batch_size, generator):
        """Batches for an epoch of training, of like length; a rest of less than half a batch is left out.

        Statistics of a batch would be poor for a few rows; another shuffle leaves out others.
        """
        batches = [indices for indices, _ in shuffled_batches(self.lengths, batch_size, generator)]
        full = [indices for indices in batches if 2 * len(indices) >= min(batch_size, len(self))]
        return [self.batch(indices) for indices in full]

    def in_order(self, batch_size):
        """Batches of like length for evaluation, each with the indices of its rows."""
        order = np.argsort(self.lengths, kind="stable")
        for at in range(0, len(order), batch_size):
            indices = order[at : at + batch_size]
            yield indices, self.batch(indices)


def warn(text):
    """Warn of texts, at the line outside of this package that gave them."""
    files = [frame.filename for frame in inspect.stack(0)]
    level = next((i for i, file in enumerate(files, 1) if not file.startswith(PACKAGE)), 2)
    warnings.warn(text, InputWarning, stacklevel=level)
