"""What PET and P-tuning share: inputs of any form in, labels out."""

import numpy as np

from nlpgen.errors import InputError
from nlpgen.estimator import Estimator
from nlpgen.prompts.columns import as_columns, count
from nlpgen.prompts.training import check_labels
from nlpgen.prompts.verbalizer import Candidates, Verbalizer
from nlpgen.tasks.labelled import warn_of_contradictions


class PromptClassifier(Estimator):
    """Base of the classifiers with patterns and label words.

    A subclass has an argument `verbalizer` and gives `_patterns`, and `_proba`, from columns to probabilities.

    Inputs are a list of strings, where the patterns have one field; a list of tuples, in the order in which the first
    pattern names the fields; or a dict of columns, `{field: list of strings}`. For one input, a string, a tuple, or a
    dict of strings.
    """

    def predict_proba(self, texts):
        """Probabilities of the labels.

        Args:
            texts: one input or several, see the class.

        Returns:
            `(labels,)` for one, `(texts, labels)` for several, in the order of the verbalizer; rows sum to 1. With
            `Candidates` there is a column for each place in the list of candidates.

        Raises:
            InputError: if an input cannot be used, or patterns and label words do not fit.
            NonFiniteOutput: if the model gives NaN or infinity.
        """
        if _is_one(texts):
            return self.predict_proba(_as_list(texts))[0]
        return self._proba(self._columns(texts))

    def predict(self, texts):
        """The likeliest label of an input, or a list of the labels of several."""
        if _is_one(texts):
            return self.predict(_as_list(texts))[0]
        columns = self._columns(texts)
        best = self._proba(columns).argmax(axis=-1) if count(columns) else []
        return [labels[i] for labels, i in zip(self._labels_of(columns), best, strict=True)]

    def score(self, texts, labels):
        """Accuracy on labelled inputs.

        Raises:
            InputError: if there are no texts, not as many labels, or a label is not in the verbalizer.
        """
        columns = self._columns(texts)
        expected = check_labels(labels, columns, self._labels_of(columns))
        if not count(columns):
            raise InputError("Got 0 texts. Give one at least.")
        return float((self._proba(columns).argmax(axis=-1) == expected).mean())

    def _verbalizer(self):
        known = Verbalizer | Candidates
        return self.verbalizer if isinstance(self.verbalizer, known) else Verbalizer(self.verbalizer)

    def _fields(self):
        """Names of the fields of all patterns, in the order of the first that names them."""
        return list(dict.fromkeys(name for pattern in self._patterns() for name in pattern.fields))

    def _columns(self, texts):
        verbalizer = self._verbalizer()
        further = (verbalizer.field,) if isinstance(verbalizer, Candidates) else ()
        columns = as_columns(texts, self._fields(), further)
        for name in further:
            wrong = [i for i, words in enumerate(columns[name]) if not _are_candidates(words)]
            if wrong:
                raise InputError(
                    f"`{name}[{wrong[0]}]` must be a list of two different strings or more. "
                    f"Received: {columns[name][wrong[0]]!r:.80} ({len(wrong)} such cells)"
                )
        return columns

    def _labels_of(self, columns):
        """The labels of each input."""
        verbalizer = self._verbalizer()
        if isinstance(verbalizer, Candidates):
            return [list(words) for words in columns[verbalizer.field]]
        return [verbalizer.labels] * count(columns)

    def _training_data(self, texts, labels, what=""):
        """Columns and targets; warns of texts that stand there with several labels.

        Raises:
            InputError: with all that is wrong.
        """
        if isinstance(texts, list | tuple) and not texts and not len(labels):
            return {name: [] for name in self._fields()}, np.zeros(0, "int32")
        columns = self._columns(texts)
        targets = check_labels(labels, columns, self._labels_of(columns), what)
        warn_of_contradictions(list(zip(*(columns[name] for name in self._fields()), strict=True)), labels)
        if not len(targets):
            return columns, targets
        if isinstance(self._verbalizer(), Verbalizer) and len(set(targets.tolist())) < 2:
            raise InputError(
                f"All {len(targets)} labels are {labels[0]!r}: there is nothing to tell apart. Give texts of two "
                "labels or more, or none, for a zero-shot prediction."
            )
        return columns, targets


def _is_one(texts):
    return isinstance(texts, str | tuple) or (
        isinstance(texts, dict) and bool(texts) and any(isinstance(cell, str) for cell in texts.values())
    )


def _as_list(text):
    return {name: [cell] for name, cell in text.items()} if isinstance(text, dict) else [text]


def _are_candidates(words):
    return (
        isinstance(words, list | tuple)
        and len(words) > 1
        and all(isinstance(word, str) and word.strip() for word in words)
        and len(set(words)) == len(words)
    )
