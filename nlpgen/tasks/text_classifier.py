"""Text classification by fine-tuning: strings and labels in, labels out."""

from collections import Counter

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError, NonFiniteOutput
from nlpgen.estimator import Estimator
from nlpgen.models import SequenceClassifier
from nlpgen.tasks.fine_tuning import check_seed, check_validation, copy_of_backbone, fine_tune, start
from nlpgen.text import check_texts, length_batches, pad


class TextClassifier(Estimator):
    """A classifier of texts, or of pairs of texts, that fine-tunes a pretrained model.

    A text is a string; a pair is a tuple of two strings. Wherever a list of texts is taken, so is a list of pairs.

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
        self._fitted().save_pretrained(folder, format, dtype)

    def fit(self, texts, labels, validation_data=None):
        """Train on labelled texts, from the pretrained model, whatever was learned before.

        Args:
            texts: a list of strings, or of pairs.
            labels: a list of strings, as many.
            validation_data: `(texts, labels)`; the weights of the epoch with the best accuracy there are kept.

        Returns:
            The classifier.

        Raises:
            InputError: if texts, labels or options are wrong.
            TrainingDiverged: if the loss is no longer a number.
        """
        check_seed(self.seed)
        labels = list(labels)
        pairs = _checked(texts, labels)
        classes = sorted(set(labels))
        if len(classes) < 2:
            raise InputError(f"All {len(labels)} labels are {classes[0]!r}. Give texts of two labels or more.")
        weights = _class_weights(self.class_weight, labels, classes)
        held_out = check_validation(validation_data)
        if held_out is not None:
            held_out = _checked(held_out[0], held_out[1], classes, "validation "), list(held_out[1])
        targets = np.array([classes.index(label) for label in labels])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
        return self._train(pairs, targets, weights[targets], classes, held_out, loss)

    def fit_probabilities(self, texts, probabilities, classes, temperature=2.0, validation_data=None):
        """Train on what another classifier says of texts: distillation (Hinton et al., 2015,
        https://arxiv.org/abs/1503.02531).

        Args:
            texts: a list of strings, or of pairs.
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
        pairs, classes = _pairs(texts), list(classes)
        probabilities = np.asarray(probabilities, "float64")
        if probabilities.shape != (len(pairs), len(classes)) or not pairs or not temperature > 0:
            raise InputError(
                f"Expected probabilities of {len(pairs)} texts and {len(classes)} classes, one text at least, and a "
                f"temperature above 0. Received: an array of shape {probabilities.shape}, temperature={temperature!r}"
            )
        soft = np.maximum(probabilities, 1e-12) ** (1 / temperature)
        soft = (soft / soft.sum(axis=1, keepdims=True)).astype("float32")
        held_out = check_validation(validation_data)
        if held_out is not None:
            held_out = _checked(held_out[0], held_out[1], classes, "validation "), list(held_out[1])
        weights = np.ones(len(pairs), "float32")
        return self._train(pairs, soft, weights, classes, held_out, SoftenedCrossentropy(temperature))

    def _train(self, pairs, targets, weights, classes, held_out, loss):
        backbone = copy_of_backbone(self.model)
        model = SequenceClassifier(backbone, classes, self.pooling, self.dropout, self.max_length)
        model.build()
        start(model, self.model, self.seed)
        rows, score = _encoded(model, pairs), None
        if held_out is not None:
            held_rows = _encoded(model, held_out[0])
            expected = np.array([classes.index(label) for label in held_out[1]])

            def score():
                return float((_logits(model, held_rows).argmax(axis=-1) == expected).mean())

        def batch(indices, length):
            return _inputs(model, [rows[i] for i in indices], length), targets[indices], weights[indices]

        history = fine_tune(
            model,
            [len(row) for row in rows],
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

    def predict_proba(self, texts):
        """Probabilities of the labels.

        Args:
            texts: a string, a pair, or a list of either.

        Returns:
            `(labels,)` for one text, `(texts, labels)` for a list, in the order of `classes_`.

        Raises:
            InputError: if a text cannot be used, or nothing was learned yet.
            NonFiniteOutput: if the model gives NaN or infinity.
        """
        if isinstance(texts, str | tuple):
            return self.predict_proba([texts])[0]
        model = self._fitted()
        logits = _logits(model, _encoded(model, _pairs(texts)))
        if not np.isfinite(logits).all():
            first = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
            raise NonFiniteOutput(f"The model gave NaN or infinity for `texts[{first}]`: its weights are damaged.")
        exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exp / exp.sum(axis=-1, keepdims=True)

    def predict(self, texts):
        """The likeliest label of a text, or a list of the labels of a list."""
        if isinstance(texts, str | tuple):
            return self.predict([texts])[0]
        return [self.classes_[i] for i in self.predict_proba(texts).argmax(axis=-1)]

    def score(self, texts, labels):
        """Accuracy on labelled texts.

        Raises:
            InputError: if there are no texts, not as many labels, or a label that was not learned.
        """
        self._fitted()
        labels = list(labels)
        _checked(texts, labels, self.classes_)
        return sum(p == label for p, label in zip(self.predict(texts), labels, strict=True)) / len(labels)

    def _fitted(self):
        if not hasattr(self, "model_"):
            raise InputError("This TextClassifier has learned nothing yet. Call `fit`, or load one by from_pretrained.")
        return self.model_


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


def _pairs(texts, what=""):
    """Texts, or pairs of them, as a list of tuples."""
    if isinstance(texts, str | bytes | tuple) or not hasattr(texts, "__iter__"):
        raise InputError(f"Give a list of {what}texts. Received: {type(texts).__name__}")
    rows = [tuple(text) if isinstance(text, tuple | list) else (text,) for text in texts]
    widths = {len(row) for row in rows}
    if not widths <= {1} and widths != {2}:
        raise InputError(
            f"Each of the {what}texts must be a string, or each a pair of strings. Received both, or tuples of "
            f"{', '.join(map(str, sorted(widths)))} parts."
        )
    columns = [check_texts(column) for column in zip(*rows, strict=True)]
    empty = [i for i, row in enumerate(rows) if not any(text.strip() for text in row)]
    if empty:
        raise InputError(f"`{what}texts[{empty[0]}]` is empty ({len(empty)} such texts). Leave them out.")
    return list(zip(*columns, strict=True))


def _checked(texts, labels, known=None, what=""):
    """The pairs of labelled texts; raises `InputError` with all that is wrong with the labels."""
    pairs, labels = _pairs(texts, what), list(labels)
    wrong = [i for i, label in enumerate(labels) if not isinstance(label, str) or not label]
    problems = []
    if len(pairs) != len(labels) or not pairs:
        problems.append(f"got {len(pairs)} {what}texts and {len(labels)} labels: give as many of both, one at least")
    if wrong:
        problems.append(
            f"labels must be strings: `labels[{wrong[0]}]` is {labels[wrong[0]]!r} ({len(wrong)} such labels)"
        )
    elif known is not None:
        unknown = sorted(set(labels) - set(known))
        if unknown:
            problems.append(f"unknown labels {', '.join(unknown[:5])}: the training data has {', '.join(known[:20])}")
    if problems:
        raise InputError(f"The {what}labels cannot be used: " + "; ".join(problems) + ".")
    return pairs


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


def _encoded(model, pairs):
    longest = min((n for n in (model.max_length, model.backbone.longest) if n is not None), default=None)
    return [model.tokenizer.encode(*texts, max_length=longest) for texts in pairs]


def _inputs(model, rows, length):
    return {
        "token_ids": pad([row.token_ids for row in rows], model.tokenizer.pad_id or 0, length),
        "segment_ids": pad([row.segment_ids for row in rows], 0, length),
        "padding_mask": pad([[1] * len(row) for row in rows], 0, length),
    }


def _logits(model, rows):
    out = np.empty((len(rows), len(model.labels)))
    for indices, length in length_batches([len(row) for row in rows]):
        out[indices] = model.predict_on_batch(_inputs(model, [rows[i] for i in indices], length))
    return out
