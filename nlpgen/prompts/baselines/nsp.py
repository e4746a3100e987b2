"""NSP-BERT: labels as sentences that may follow a text (Sun et al., 2021, https://arxiv.org/abs/2109.03564)."""

import numpy as np

from nlpgen.errors import InputError
from nlpgen.estimator import Estimator
from nlpgen.models import NextSentence
from nlpgen.prompts.baselines.folder import open_learned, save_learned
from nlpgen.prompts.baselines.logistic import fit_logistic, scikit_learn
from nlpgen.tasks import (
    JOINED_BY,
    Classifier,
    as_tuples,
    check_training,
    encode,
    outputs_of,
    softmax,
    tokenized_backbone,
)


class NSPClassifier(Classifier, Estimator):
    """Asks the next-sentence head of BERT which label's sentence belongs to a text; needs no labelled example.

    The odds of a label are `exp(scale * log_odds + shift)`, where `log_odds` are those of the head that the sentence
    follows, less their mean over the labels of the text; scale and shift are 1 and 0 unless learned. The probabilities
    are the odds divided by their sum. The parts of a tuple are one text, joined by `；`.

    Args:
        next_sentence: a `NextSentence`; it is shared and stays as it is. ALBERT's head, which was trained on the order
            of two sentences of one document, knows little of the kind.
        label_texts: `{label: sentence}`, a sentence of any length for each label, e.g.
            `{"体育": "这是一则体育新闻。", "财经": "这是一则财经新闻。"}`.
        label_first: whether the sentence stands before the text.
        max_length: most tokens, special ones included; texts are cut at their end, sentences never.
        c: scikit-learn's `C`, the inverse strength of the penalty of what is learned.

    Attributes:
        scale_, shift_: `(labels,)`, what was learned.
    """

    zero_shot = True

    def __init__(self, next_sentence, label_texts, label_first=False, max_length=128, c=1.0):
        self.next_sentence = next_sentence
        self.label_texts = label_texts
        self.label_first = label_first
        self.max_length = max_length
        self.c = c

    @property
    def classes_(self):
        """The labels, in the order of `label_texts`."""
        table = self.label_texts
        if (
            not isinstance(table, dict)
            or len(table) < 2
            or not all(isinstance(text, str) and text.strip() for each in table.items() for text in each)
        ):
            raise InputError(
                "`label_texts` must be a dict of two labels or more, each with its sentence, none empty. "
                f"Received: {table!r:.200}"
            )
        return list(table)

    def fit(self, texts, labels, unlabeled=None, validation_data=None):
        """Learn scale and shift of each label, by logistic regression on the log-odds of all texts and labels.

        Whether a label is a text's own is what is predicted: from the log-odds with a scale and a shift for all
        labels, and a deviation from both for each label, which the penalty keeps small where there are few examples.
        Needs scikit-learn (extra `sklearn`).

        Args:
            texts: a list of strings or of tuples of strings, or columns. No texts and no labels forget what was
                learned.
            labels: a list of strings, as many, all in `label_texts`.
            unlabeled, validation_data: have no use here.

        Returns:
            The classifier.

        Raises:
            InputError: if texts, labels or options are wrong.
            NlpgenError: if scikit-learn is not installed.
        """
        classes = self.classes_
        n = len(classes)
        if not len(labels) and not as_tuples(texts):
            self.scale_, self.shift_ = np.ones(n), np.zeros(n)
            return self
        rows, labels, _ = check_training(texts, labels, classes)
        scikit_learn("sklearn.linear_model")  # before the model is asked, which may be long
        odds = self._relative_odds(rows).reshape(-1, 1)  # (rows * labels, 1)
        unit = odds.std() or 1.0  # so that the penalty is the same for heads that are sure and for those that are not
        odds = odds / unit
        own = np.tile(np.eye(n), (len(rows), 1))  # (rows * labels, labels)
        is_right = np.equal.outer([classes.index(label) for label in labels], np.arange(n)).ravel().astype(int)
        kernel, bias, _ = fit_logistic(np.concatenate([odds, odds * own, own], axis=1), is_right, self.c)
        weights, shift = kernel[:, 1] - kernel[:, 0], bias[1] - bias[0]
        self.scale_, self.shift_ = (weights[0] + weights[1 : n + 1]) / unit, shift + weights[n + 1 :]
        return self

    def log_odds(self, texts):
        """The log-odds of the head that each label's sentence follows each text, `(texts, labels)`.

        Args:
            texts: a list of strings or of tuples of strings, or columns.

        Raises:
            InputError: if a text or an option cannot be used, or a sentence alone has more than `max_length` tokens.
        """
        model, classes = _checked(self.next_sentence), self.classes_
        rows = []
        for row in as_tuples(texts):
            text = JOINED_BY.join(row)
            rows += [
                (sentence, text) if self.label_first else (text, sentence) for sentence in self.label_texts.values()
            ]
        truncate = "second" if self.label_first else "first"
        logits = outputs_of(model, encode(model, rows, self.max_length, truncate))
        return (logits[:, 0] - logits[:, 1]).reshape(-1, len(classes))

    def save(self, folder):
        """Write the sentences, scales and shifts; the model is not written."""
        params = {name: value for name, value in self.get_params().items() if name != "next_sentence"}
        scale, shift = self._learned()
        save_learned(folder, self, params, {}, {"scale": scale, "shift": shift}, _checked(self.next_sentence))

    @classmethod
    def load(cls, folder, backbone):
        """Read what `save` wrote; probabilities are the same.

        Args:
            folder: where it was saved.
            backbone: the `NextSentence` it was fitted on.

        Raises:
            CheckpointNotFound, CheckpointCorrupt, ConfigError, WeightsMismatch: if there is no such classifier, it is
                damaged, or it was fitted on another model.
        """
        params, _, opened = open_learned(folder, cls, _checked(backbone))
        classifier = cls(backbone, **params)
        classifier.scale_, classifier.shift_ = opened.tensors["scale"], opened.tensors["shift"]
        return classifier

    def _relative_odds(self, rows):
        # How well anything seems to follow a text is the text's own, and would drown what tells its labels apart.
        odds = self.log_odds(rows)
        return odds - odds.mean(axis=1, keepdims=True)

    def _learned(self):
        n = len(self.classes_)
        return getattr(self, "scale_", np.ones(n)), getattr(self, "shift_", np.zeros(n))

    def _proba(self, rows):
        scale, shift = self._learned()
        return softmax(scale * self._relative_odds(rows) + shift)


def _checked(model):
    if not isinstance(model, NextSentence):
        raise InputError(
            f"Give a model with the next-sentence head: NextSentence.from_pretrained(folder). Received: {model!r:.80}"
        )
    tokenized_backbone(model)
    return model
