"""What a prompt classifier asks: patterns and label words, and the inputs and labels that fit them."""

import numpy as np

from nlpgen.errors import InputError
from nlpgen.prompts.columns import as_columns, count, is_table
from nlpgen.prompts.pattern import Pattern
from nlpgen.prompts.training import check_labels
from nlpgen.prompts.verbalizer import Candidates, Verbalizer
from nlpgen.tasks.fine_tuning import check_validation
from nlpgen.tasks.labelled import warn_of_contradictions


class Question:
    """Patterns and their label words.

    Args:
        patterns: a pattern or a list of them, each a string or a `Pattern`.
        verbalizer: `{label: word or words}`, a `Verbalizer` or `Candidates`; `None` for a classification head.
        labels: the labels of a classification head.

    Attributes:
        patterns: a list of `Pattern`.
        verbalizer: a `Verbalizer` or `Candidates`, or `None`.
        fields: names of the fields, in the order of the first pattern.
        labels: the labels in the order of all scores; `None` where each input brings its own.

    Raises:
        InputError: if they cannot be used.
    """

    def __init__(self, patterns, verbalizer, labels=None):
        needs_mask = labels is None
        patterns = [patterns] if isinstance(patterns, str | Pattern) else patterns
        if not isinstance(patterns, list | tuple) or not patterns:
            what = "is empty" if isinstance(patterns, list | tuple) else f"must be patterns. Received: {patterns!r:.80}"
            raise InputError(f"`patterns` {what}. Give a pattern or more, e.g. '[MASK]满意。{{text}}'.")
        self.patterns = [each if isinstance(each, Pattern) else Pattern(each, needs_mask) for each in patterns]
        fields = {tuple(sorted(pattern.fields)) for pattern in self.patterns}
        if len(fields) > 1:
            raise InputError(f"The patterns ask for different fields: {', '.join(map(str, sorted(fields)))}.")
        self.fields = self.patterns[0].fields
        if labels is None and not isinstance(verbalizer, Verbalizer | Candidates):
            verbalizer = Verbalizer(verbalizer)
        self.verbalizer, self.by_input = verbalizer, isinstance(verbalizer, Candidates)
        self.labels = getattr(verbalizer, "labels", None) if labels is None else list(labels)

    def columns(self, texts, domain=None):
        """Inputs as columns, see `as_columns`, with the candidates and the column `domain` where there are such."""
        further = (self.verbalizer.field,) if self.by_input else ()
        columns = as_columns(texts, self.fields, further)
        for name in further:
            wrong = [i for i, words in enumerate(columns[name]) if not _are_candidates(words)]
            if wrong:
                raise InputError(
                    f"`{name}[{wrong[0]}]` must be a list of two different strings or more. "
                    f"Received: {columns[name][wrong[0]]!r:.80} ({len(wrong)} such cells)"
                )
        if domain is not None:
            if not is_table(texts) or domain not in texts or len(texts[domain]) != count(columns):
                raise InputError(f"`domain` is {domain!r}: give a dict of columns with one of this name.")
            columns[domain] = list(texts[domain])
        return columns

    def labels_of(self, columns):
        """The labels of each input."""
        if self.by_input:
            return [list(words) for words in columns[self.verbalizer.field]]
        return [self.labels] * count(columns)

    def training_data(self, texts, labels, domain=None):
        """Columns and targets; warns of texts that stand there with several labels.

        Raises:
            InputError: with all that is wrong.
        """
        if isinstance(texts, list | tuple) and not texts and isinstance(labels, list | tuple) and not labels:
            further = [self.verbalizer.field] if self.by_input else []
            return {name: [] for name in (*self.fields, *further)}, np.zeros(0, "int32")
        columns = self.columns(texts, domain)
        targets = check_labels(labels, columns, self.labels_of(columns))
        warn_of_contradictions(list(zip(*(columns[name] for name in self.fields), strict=True)), labels)
        if len(targets) and not self.by_input and len(set(targets.tolist())) < 2:
            raise InputError(
                f"All {len(targets)} labels are {self.labels[targets[0]]!r}: there is nothing to tell apart. Give "
                "texts of two labels or more, or none, for a zero-shot prediction."
            )
        return columns, targets

    def held_out(self, validation_data, domain=None):
        """Columns and targets of `(texts, labels)`, or `None`."""
        held_out = check_validation(validation_data)
        if held_out is None:
            return None
        columns = self.columns(held_out[0], domain)
        return columns, check_labels(held_out[1], columns, self.labels_of(columns), "validation ")


def _are_candidates(words):
    return (
        isinstance(words, list | tuple)
        and len(words) > 1
        and all(isinstance(word, str) and word.strip() for word in words)
        and len(set(words)) == len(words)
    )
