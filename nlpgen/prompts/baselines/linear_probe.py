"""A linear probe: what a pretrained model knows of a text, untrained."""

import numpy as np

from nlpgen.estimator import Estimator
from nlpgen.models import SentenceEncoder, SequenceClassifier
from nlpgen.prompts.baselines.folder import open_learned, save_learned
from nlpgen.prompts.baselines.logistic import fit_standardized
from nlpgen.tasks import Classifier, check_seed, check_training, encode, outputs_of, softmax, tokenized_backbone


class LinearProbeClassifier(Classifier, Estimator):
    """Logistic regression on the vectors of a frozen model; needs scikit-learn (extra `sklearn`).

    Args:
        model: the pretrained model: a `Backbone`, or a model on one such as a `MaskedLM`. It is shared and stays as it
            is.
        pooling: how hidden states become a vector, see `nlpgen.models.SentenceEncoder`.
        max_length: most tokens, special ones included; longer texts are cut at their end.
        c: inverse strength of the penalty; `None` for a choice by cross-validation of the training texts, see
            `nlpgen.prompts.baselines.logistic.fit_logistic`.
        seed: of the folds of the cross-validation.

    Attributes:
        model_: a `SequenceClassifier` over the shared backbone.
        classes_: the labels, sorted.
        c_: the strength that was used.
    """

    def __init__(self, model, pooling="mean", max_length=128, c=None, seed=0):
        self.model = model
        self.pooling = pooling
        self.max_length = max_length
        self.c = c
        self.seed = seed

    def fit(self, texts, labels, unlabeled=None, validation_data=None):
        """Learn from labelled texts.

        Args:
            texts: a list of strings or of tuples of strings, or columns.
            labels: a list of strings, as many.
            unlabeled, validation_data: have no use here.

        Returns:
            The classifier.

        Raises:
            InputError: if texts, labels or options are wrong.
            NlpgenError: if scikit-learn is not installed.
        """
        check_seed(self.seed)
        rows, labels, classes = check_training(texts, labels)
        encoder = SentenceEncoder(tokenized_backbone(self.model), self.pooling)
        encoder.build()
        vectors = outputs_of(encoder, encode(encoder, rows, self.max_length))
        targets = np.array([classes.index(label) for label in labels])
        kernel, bias, self.c_ = fit_standardized(vectors, targets, self.c, self.seed)
        self._set(kernel, bias, classes)
        return self

    def save(self, folder):
        """Write the dense layer, a few kilobytes; the model it stands on is not written."""
        self._check_fitted()
        params = {name: value for name, value in self.get_params().items() if name != "model"}
        kernel, bias = self.model_.classifier.get_weights()
        learned = {"classes": self.classes_, "c": self.c_}
        save_learned(folder, self, params, learned, {"kernel": kernel, "bias": bias}, self.model_.backbone)

    @classmethod
    def load(cls, folder, backbone):
        """Read what `save` wrote; probabilities are the same.

        Args:
            folder: where it was saved.
            backbone: the model it was fitted on.

        Raises:
            CheckpointNotFound, CheckpointCorrupt, ConfigError, WeightsMismatch: if there is no such classifier, it is
                damaged, or it was fitted on another model.
        """
        params, learned, opened = open_learned(folder, cls, tokenized_backbone(backbone))
        classifier = cls(backbone, **params)
        classifier.c_ = learned["c"]
        classifier._set(opened.tensors["kernel"], opened.tensors["bias"], learned["classes"])
        return classifier

    def _set(self, kernel, bias, classes):
        model = SequenceClassifier(tokenized_backbone(self.model), classes, self.pooling, max_length=self.max_length)
        model.build()
        model.classifier.set_weights([kernel, bias])
        self.model_, self.classes_ = model, classes

    def _proba(self, rows):
        return softmax(outputs_of(self.model_, encode(self.model_, rows, self.max_length)))
