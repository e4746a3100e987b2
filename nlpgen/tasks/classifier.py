"""What the classifiers of texts share: strings in, labels out."""

import numpy as np

from nlpgen.errors import InputError, NonFiniteOutput
from nlpgen.tasks.labelled import as_tuples, check_labelled


class Classifier:
    """`predict_proba`, `predict` and `score`, beside `Estimator` as a base.

    A subclass learns `classes_`, a list of labels, and defines `_proba`, from a list of tuples of strings to their
    probabilities `(texts, classes)`. A text is a string or a tuple of strings; several are a list of either, or columns
    `{field: list of strings}`.
    """

    def predict_proba(self, texts):
        """Probabilities of the labels.

        Args:
            texts: a text, or several.

        Returns:
            `(classes,)` for one text, `(texts, classes)` for several, in the order of `classes_`; rows sum to 1.

        Raises:
            InputError: if a text cannot be used, or nothing was learned yet.
            NonFiniteOutput: if the model gives NaN or infinity.
        """
        if isinstance(texts, str | tuple):
            return self.predict_proba([texts])[0]
        self._check_fitted()
        rows = self._rows(texts)
        if not rows:
            return np.empty((0, len(self.classes_)))
        probabilities = self._proba(rows)
        if not np.isfinite(probabilities).all():
            first = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
            raise NonFiniteOutput(f"The model gave NaN or infinity for `texts[{first}]`: its weights are damaged.")
        return probabilities

    def predict(self, texts):
        """The likeliest label of a text, or a list of the labels of several."""
        if isinstance(texts, str | tuple):
            return self.predict([texts])[0]
        return [self.classes_[i] for i in self.predict_proba(texts).argmax(axis=-1)]

    def score(self, texts, labels):
        """Accuracy on labelled texts.

        Raises:
            InputError: if there are no texts, not as many labels, or a label that is not in `classes_`.
        """
        self._check_fitted()
        _, labels = check_labelled(texts, labels, self.classes_)
        return sum(p == label for p, label in zip(self.predict(texts), labels, strict=True)) / len(labels)

    def _rows(self, texts):
        return as_tuples(texts)

    def _check_fitted(self):
        if not hasattr(self, "classes_"):
            raise InputError(
                f"This {type(self).__name__} has learned nothing yet. Call `fit`, or load one that was saved."
            )


def softmax(logits):
    """Logits `(…, n)` to probabilities; NaN where one is NaN or infinite."""
    with np.errstate(invalid="ignore"):
        exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exp / exp.sum(axis=-1, keepdims=True)
