"""SetFit: sentence vectors tuned on pairs of labelled texts (Tunstall et al., 2022, https://arxiv.org/abs/2209.11055)."""

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.models import SentenceEncoder, SequenceClassifier
from nlpgen.prompts.baselines.logistic import fit_standardized, scikit_learn
from nlpgen.tasks import (
    TextClassifier,
    check_labelled,
    check_seed,
    check_training,
    check_validation,
    copy_of_backbone,
    encode,
    fine_tune,
    inputs_of,
    outputs_of,
    start,
)


class SetFitClassifier(TextClassifier):
    """Texts of one label are drawn together, texts of two apart, then logistic regression tells their vectors apart.

    Needs scikit-learn (extra `sklearn`).

    Args:
        model: the pretrained model, see `TextClassifier`. It stays as it is: each `fit` trains a copy.
        pooling: how hidden states become a vector, see `nlpgen.models.SentenceEncoder`.
        max_length: most tokens, special ones included; longer texts are cut at their end.
        iterations: how often each text is paired with one of its label and with one of another (the paper's R).
        epochs, batch_size: of the training on these pairs.
        learning_rate, weight_decay: see `TextClassifier`.
        c: inverse strength of the penalty of the logistic regression, see
            `nlpgen.prompts.baselines.logistic.fit_logistic`.
        seed: of the pairs, their order, dropout and the folds of the cross-validation; see `TextClassifier`.
        verbose: whether a line is printed for each epoch.

    Attributes:
        model_: a `SequenceClassifier`.
        classes_: the labels, sorted.
        c_: the strength that was used.
        history_: a dict for each epoch: epoch, loss, seconds, and score on the validation data.
    """

    def __init__(
        self,
        model,
        pooling="mean",
        max_length=128,
        iterations=20,
        epochs=1,
        batch_size=16,
        learning_rate=2e-5,
        weight_decay=0.01,
        c=None,
        seed=0,
        verbose=False,
    ):
        self.model = model
        self.pooling = pooling
        self.max_length = max_length
        self.iterations = iterations
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.c = c
        self.seed = seed
        self.verbose = verbose

    def fit(self, texts, labels, unlabeled=None, validation_data=None):
        """Learn from labelled texts, from the pretrained model, whatever was learned before.

        Args:
            texts: a list of strings or of tuples of strings, or columns.
            labels: a list of strings, as many.
            unlabeled: has no use here.
            validation_data: `(texts, labels)`; the weights of the epoch with the best accuracy there are kept.

        Returns:
            The classifier.

        Raises:
            InputError: if texts, labels or options are wrong.
            NlpgenError: if scikit-learn is not installed.
            TrainingDiverged: if the loss is no longer a number.
        """
        check_seed(self.seed)
        if not isinstance(self.iterations, int) or isinstance(self.iterations, bool) or self.iterations < 1:
            raise InputError(f"`iterations` must be a whole number, 1 or more. Received: {self.iterations!r}")
        scikit_learn("sklearn.linear_model")  # before the training, which may be long
        rows, labels, classes = check_training(texts, labels)
        held_out = check_validation(validation_data)
        if held_out is not None:
            held_out = check_labelled(*held_out, classes, "validation ")
        targets = np.array([classes.index(label) for label in labels])
        encoder = SentenceEncoder(copy_of_backbone(self.model), self.pooling)
        encoder.build()
        start(encoder, self.model, self.seed)
        model = SequenceClassifier(encoder.backbone, classes, self.pooling, max_length=self.max_length)
        model.build()
        encodings, score = encode(encoder, rows, self.max_length), None

        def set_head():
            kernel, bias, c = fit_standardized(outputs_of(encoder, encodings), targets, self.c, self.seed)
            model.classifier.set_weights([kernel, bias])
            return c

        if held_out is not None:
            held_encodings = encode(encoder, held_out[0], self.max_length)
            expected = np.array([classes.index(label) for label in held_out[1]])

            def score():
                set_head()
                return float((outputs_of(model, held_encodings).argmax(axis=-1) == expected).mean())

        history = self._tune(encoder, encodings, targets, score)
        self.c_ = set_head()
        self.model_, self.classes_, self.history_ = model, classes, history
        return self

    def _tune(self, encoder, encodings, targets, score):
        """Train the encoder on pairs of texts; returns the history."""
        pairs, same = contrastive_pairs(targets, self.iterations, np.random.default_rng(self.seed))

        def batch(indices, length):
            both = [encodings[i] for i in pairs[indices].ravel()]
            return inputs_of(encoder, both, length), same[indices], None

        return fine_tune(
            encoder,
            [max(len(encodings[i]), len(encodings[j])) for i, j in pairs],
            batch,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            seed=self.seed,
            loss=CosineLoss(),
            score=score,
            verbose=self.verbose,
        )


@keras.saving.register_keras_serializable("nlpgen")
class CosineLoss(keras.losses.Loss):
    """Squared difference between the cosine of two vectors and what it should be.

    Call arguments:
        y_true: `(pairs,)`, 1 for a pair that belongs together, 0 for one that does not.
        y_pred: `(2 * pairs, size)`, the two vectors of a pair one after the other.
    """

    def call(self, y_true, y_pred):
        vectors = ops.reshape(ops.normalize(y_pred, axis=-1), (-1, 2, y_pred.shape[-1]))
        cosine = ops.sum(vectors[:, 0] * vectors[:, 1], axis=-1)
        return ops.square(cosine - ops.reshape(y_true, (-1,)))


def contrastive_pairs(targets, iterations, generator):
    """Pairs of texts with equal and with different labels.

    In each iteration every text is paired with another one of its label, drawn at random, if there is one, and with one
    of another label.

    Args:
        targets: `(texts,)`, index of each text's label; two labels at least.
        iterations: a whole number, 1 or more.
        generator: a NumPy random generator.

    Returns:
        Indices `(pairs, 2)`, and float32 `(pairs,)`: 1 where the labels are the same, else 0.
    """
    pairs = []
    for _ in range(iterations):
        for i, target in enumerate(targets):
            like = np.flatnonzero((targets == target) & (np.arange(len(targets)) != i))
            if len(like):
                pairs.append((i, generator.choice(like)))
            pairs.append((i, generator.choice(np.flatnonzero(targets != target))))
    pairs = np.array(pairs)
    return pairs, (targets[pairs[:, 0]] == targets[pairs[:, 1]]).astype("float32")
