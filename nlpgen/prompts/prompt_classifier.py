"""What PET and P-tuning share: inputs of any form in, labels out."""

from nlpgen.errors import InputError
from nlpgen.estimator import Estimator
from nlpgen.prompts.columns import count
from nlpgen.prompts.training import check_labels


class PromptClassifier(Estimator):
    """Base of the classifiers with patterns and label words.

    A subclass gives `_new_question`, what its arguments ask, `_columns`, and `_proba`, from columns to probabilities;
    its `fit` keeps what it asked as `_asked`.

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
            return self.predict_proba(as_list(texts))[0]
        return self._proba(self._columns(texts))

    def predict(self, texts):
        """The likeliest label of an input, or a list of the labels of several."""
        if _is_one(texts):
            return self.predict(as_list(texts))[0]
        columns = self._columns(texts)
        best = self._proba(columns).argmax(axis=-1) if count(columns) else []
        return [labels[i] for labels, i in zip(self._question().labels_of(columns), best, strict=True)]

    def score(self, texts, labels):
        """Accuracy on labelled inputs.

        Raises:
            InputError: if there are no texts, not as many labels, or a label is not in the verbalizer.
        """
        columns = self._columns(texts)
        expected = check_labels(labels, columns, self._question().labels_of(columns))
        if not count(columns):
            raise InputError("Got 0 texts. Give one at least.")
        return float((self._proba(columns).argmax(axis=-1) == expected).mean())

    def _question(self):
        """What `fit` asked, whatever the arguments are now; before it, what they ask."""
        return self._asked if hasattr(self, "_asked") else self._new_question()

    def _columns(self, texts):
        return self._question().columns(texts)


def as_list(text):
    """One input as a list, or as columns, of one."""
    return {name: [cell] for name, cell in text.items()} if isinstance(text, dict) else [text]


def _is_one(texts):
    return isinstance(texts, str | tuple) or (
        isinstance(texts, dict) and bool(texts) and any(isinstance(cell, str) for cell in texts.values())
    )
