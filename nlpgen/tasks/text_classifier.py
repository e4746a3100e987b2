"""Text classification by fine-tuning: strings and labels in, labels out."""

from collections import Counter

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.estimator import Estimator
from nlpgen.models import SequenceClassifier
from nlpgen.tasks.classifier import Classifier, softmax
from nlpgen.tasks.encoding import encode, inputs_of, outputs_of
from nlpgen.tasks.fine_tuning import (
    check_seed,
    check_validation,
    copy_of_backbone,
    fine_tune,
    start,
    tokenized_backbone,
)
from nlpgen.tasks.labelled import as_tuples, check_labelled, check_training


class TextClassifier(Classifier, Estimator):
    """A classifier of texts, or of pairs of texts, that fine-tunes a pretrained model.

    A text is a string; a pair is a tuple of two strings, and of a longer tuple the second and later strings are one
    text, joined by `；`. Several are a list, or columns `{field: list of strings}`.

    Args:
        model: the pretrained model: a `Backbone`, or a model on one such as a `MaskedLM`. It stays as it is: each `fit`
            trains a copy. `PooledEncoder` brings its pooler along.
        pooling: see `SequenceClassifier`.
        max_length: most tokens, special ones included; longer texts are cut at their end.
        epochs, batch_size: of the training.
        learning_rate: the highest; it rises to it over the first tenth of the steps and falls to zero.
        weight_decay: factor of AdamW.
        dropout: rate before the last layer.
        class_weight: how much each text of a label counts: `{label: weight}`; `"balanced"` for weights that give all
            labels the same sum; `None` for 1.
        patience: epochs without a better score on the validation data after which training ends; `None` for all.
        seed: of the new layer, dropout and the order of the texts. On PyTorch Keras draws dropout from torch's own
            generator: there `keras.utils.set_random_seed` before `fit` is needed too for the same result.
        verbose: whether a line is printed for each epoch.

    Attributes:
        model_: the trained `SequenceClassifier`.
        classes_: the labels, sorted.
        history_: a dict for each epoch: epoch, loss, seconds, and score on the validation data.

    Example:
        >>> from nlpgen import Bert, TextClassifier
        >>> texts, labels = ["房间很干净", "太脏了", "服务真好", "又贵又差"], ["好", "差", "好", "差"]
        >>> bert = Bert.from_pretrained("bert-tiny-zh")
        >>> classifier = TextClassifier(bert, epochs=8, batch_size=4, learning_rate=1e-3).fit(texts, labels)
        >>> classifier.predict("服务真好")
        '好'
    """

    def __init__(
        self,
        model,
        pooling="cls",
        max_length=128,
        epochs=3,
        batch_size=32,
        learning_rate=5e-5,
        weight_decay=0.01,
        dropout=0.1,
        class_weight=None,
        patience=None,
        seed=0,
        verbose=False,
    ):
        self.model = model
        self.pooling = pooling
        self.max_length = max_length
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.class_weight = class_weight
        self.patience = patience
        self.seed = seed
        self.verbose = verbose

    @classmethod
    def from_pretrained(cls, name_or_folder, **options):
        """Load a trained classifier: what `save_pretrained` wrote, or a Hugging Face
        `…ForSequenceClassification` of BERT, ALBERT or ERNIE.

        Args:
            name_or_folder: see `PretrainedModel.from_pretrained`.
            options: arguments of the constructor for a further `fit`, which starts from its backbone.
        """
        model = SequenceClassifier.from_pretrained(name_or_folder)
        longest = model.max_length or model.backbone.longest
        classifier = cls(model, **{"pooling": model.pooling, "max_length": longest} | options)
        classifier.model_, classifier.classes_, classifier.history_ = model, model.labels, []
        return classifier

    def save_pretrained(self, folder, format="nlpgen", dtype=None):
        """Write the trained model with its labels; the arguments are those of `PretrainedModel.save_pretrained`."""
        self._check_fitted()
        self.model_.save_pretrained(folder, format, dtype)

    def save(self, folder):
        """Write what was learned, the model included, for `load`."""
        self.save_pretrained(folder)

    @classmethod
    def load(cls, folder, backbone=None):
        """Read what `save` wrote; probabilities are the same. Options of the training have their defaults.

        Args:
            folder: where it was saved.
            backbone: the model that a further `fit` starts from; the trained one by default.
        """
        classifier = cls.from_pretrained(folder)
        return classifier if backbone is None else classifier.set_params(model=backbone)

    def fit(self, texts, labels, validation_data=None):
        """Train on labelled texts, from the pretrained model, whatever was learned before.

        Args:
            texts: a list of strings or of pairs, or columns.
            labels: a list of strings, as many.
            validation_data: `(texts, labels)`; the weights of the epoch with the best accuracy there are kept.

        Returns:
            The classifier.

        Raises:
            InputError: if texts, labels or options are wrong.
            TrainingDiverged: if the loss is no longer a number.
        """
        check_seed(self.seed)
        rows, labels, classes = check_training(texts, labels)
        weights = _class_weights(self.class_weight, labels, classes)
        held_out = check_validation(validation_data)
        if held_out is not None:
            held_out = check_labelled(*held_out, classes, "validation ")
        targets = np.array([classes.index(label) for label in labels])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
        return self._train(rows, targets, weights[targets], classes, held_out, loss)

    def fit_probabilities(self, texts, probabilities, classes, temperature=2.0, validation_data=None):
        """Train on what another classifier says of texts: distillation (Hinton et al., 2015,
        https://arxiv.org/abs/1503.02531).

        Args:
            texts: a list of strings or of pairs, or columns.
            probabilities: `(texts, classes)`.
            classes: the labels, in the order of the columns.
            temperature: by which the logarithms of the probabilities, and the logits, are divided.
            validation_data: see `fit`.

        Returns:
            The classifier.

        Raises:
            InputError, TrainingDiverged: see `fit`.
        """
        check_seed(self.seed)
        rows, classes = as_tuples(texts), list(classes)
        probabilities = np.asarray(probabilities, "float64")
        if probabilities.shape != (len(rows), len(classes)) or not rows or not temperature > 0:
            raise InputError(
                f"Expected probabilities of {len(rows)} texts and {len(classes)} classes, one text at least, and a "
                f"temperature above 0. Received: an array of shape {probabilities.shape}, temperature={temperature!r}"
            )
        soft = np.maximum(probabilities, 1e-12) ** (1 / temperature)
        soft = (soft / soft.sum(axis=1, keepdims=True)).astype("float32")
        held_out = check_validation(validation_data)
        if held_out is not None:
            held_out = check_labelled(*held_out, classes, "validation ")
        weights = np.ones(len(rows), "float32")
        return self._train(rows, soft, weights, classes, held_out, SoftenedCrossentropy(temperature))

    def _train(self, rows, targets, weights, classes, held_out, loss):
        model = self._new_model(classes)
        start(model, self.model, self.seed)
        encodings, score = encode(model, rows, self.max_length), None
        if held_out is not None:
            held_encodings = encode(model, held_out[0], self.max_length)
            expected = np.array([classes.index(label) for label in held_out[1]])

            def score():
                return float((outputs_of(model, held_encodings).argmax(axis=-1) == expected).mean())

        def batch(indices, length):
            x = inputs_of(model, [encodings[i] for i in indices], length)
            return x, targets[indices], weights[indices]

        history = fine_tune(
            model,
            [len(each) for each in encodings],
            batch,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            seed=self.seed,
            loss=loss,
            score=score,
            patience=self.patience,
            verbose=self.verbose,
        )
        self.model_, self.classes_, self.history_ = model, classes, history
        return self

    def _new_model(self, classes):
        """The model to be trained; where a former `fit` made the same, it is that one, set back."""
        key = id(self.model), tuple(classes), self.pooling, self.dropout, self.max_length
        if getattr(self, "_kept", (None,))[0] == key:
            _, model, weights = self._kept
            model.set_weights(weights)
            model.backbone.set_weights(tokenized_backbone(self.model).get_weights())
            return model
        backbone = copy_of_backbone(self.model)
        model = SequenceClassifier(backbone, classes, self.pooling, self.dropout, self.max_length)
        model.build()
        self._kept = key, model, model.get_weights()
        return model

    def _proba(self, rows):
        return softmax(outputs_of(self.model_, encode(self.model_, rows, self.model_.max_length)))


@keras.saving.register_keras_serializable("nlpgen")
class SoftenedCrossentropy(keras.losses.Loss):
    """Cross-entropy against probabilities, with logits divided by a temperature; times its square, so that gradients
    are as large as without.
    """

    def __init__(self, temperature, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, y_true, y_pred):
        logits = ops.cast(y_pred, "float32") / self.temperature
        return -(self.temperature**2) * ops.sum(y_true * ops.log_softmax(logits), axis=-1)

    def get_config(self):
        return super().get_config() | {"temperature": self.temperature}


def _class_weights(class_weight, labels, classes):
    """The weight of each class, `(classes,)`."""
    if class_weight is None:
        return np.ones(len(classes), dtype="float32")
    if class_weight == "balanced":
        counts = Counter(labels)
        return np.array([len(labels) / (len(classes) * counts[label]) for label in classes], dtype="float32")
    if not isinstance(class_weight, dict) or set(class_weight) != set(classes):
        raise InputError(
            f"`class_weight` must be None, 'balanced', or a weight for each of {', '.join(classes[:20])}. "
            f"Received: {class_weight!r:.200}"
        )
    weights = np.array([class_weight[label] for label in classes], dtype="float32")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise InputError(f"`class_weight` must have weights of 0 or more, not all 0. Received: {class_weight!r:.200}")
    return weights
