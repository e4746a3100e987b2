"""Character n-grams and logistic regression: what can be had without a pretrained model."""

import itertools

import numpy as np

from nlpgen.errors import InputError
from nlpgen.estimator import Estimator
from nlpgen.prompts.baselines.folder import open_learned, save_learned
from nlpgen.prompts.baselines.logistic import fit_logistic, scikit_learn
from nlpgen.tasks import Classifier, check_seed, check_training, softmax

VOCABULARY = "vocab.txt"


class TfidfClassifier(Classifier, Estimator):
    """Logistic regression on the TF-IDF of character n-grams, all by scikit-learn (extra `sklearn`).

    Each part of a tuple has n-grams of its own. Of every two parts, and every length of n-grams, three numbers more say
    how much they overlap: the share of the first's n-grams that the second has, the reverse, and the share of all that
    both have.

    Args:
        ngrams: shortest and longest length of the n-grams.
        c: inverse strength of the penalty; `None` for a choice by cross-validation of the training texts, see
            `nlpgen.prompts.baselines.logistic.fit_logistic`.
        seed: of the folds of the cross-validation.

    Attributes:
        vectorizers_: scikit-learn's `TfidfVectorizer` of each part.
        kernel_, bias_: `(features, classes)` and `(classes,)`.
        classes_: the labels, sorted.
        c_: the strength that was used.
    """

    def __init__(self, ngrams=(1, 3), c=None, seed=0):
        self.ngrams = ngrams
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
        shortest, _ = self._lengths()
        rows, labels, classes = check_training(texts, labels)
        columns, vectorizers = _columns(rows), []
        for i, column in enumerate(columns):
            if max(map(len, column)) < shortest:
                raise InputError(f"Part {i} of no text has {shortest} characters. Give shorter n-grams than that.")
            vectorizers.append(self._vectorizer().fit(column))
        targets = np.array([classes.index(label) for label in labels])
        features = self._features(vectorizers, columns)
        self.kernel_, self.bias_, self.c_ = fit_logistic(features, targets, self.c, self.seed)
        self.vectorizers_, self.classes_ = vectorizers, classes
        return self

    def save(self, folder):
        """Write the coefficients, and the n-grams as `vocab.txt`, one a line."""
        self._check_fitted()
        grams = [vectorizer.get_feature_names_out().tolist() for vectorizer in self.vectorizers_]
        learned = {"classes": self.classes_, "c": self.c_, "ngrams": [len(of_part) for of_part in grams]}
        tensors = {"kernel": self.kernel_, "bias": self.bias_}
        tensors |= {f"idf_{i}": vectorizer.idf_ for i, vectorizer in enumerate(self.vectorizers_)}
        text = "\n".join(itertools.chain.from_iterable(grams))
        save_learned(folder, self, self.get_params(), learned, tensors, files={VOCABULARY: text.encode("utf-8")})

    @classmethod
    def load(cls, folder):
        """Read what `save` wrote; probabilities are the same.

        Raises:
            CheckpointNotFound, CheckpointCorrupt, ConfigError: if there is no such classifier, or it is damaged.
            NlpgenError: if scikit-learn is not installed.
        """
        params, learned, opened = open_learned(folder, cls)
        classifier = cls(**params)
        grams = iter((opened.path / VOCABULARY).read_bytes().decode("utf-8").split("\n"))
        classifier.vectorizers_ = []
        for i, count in enumerate(learned["ngrams"]):
            vectorizer = classifier._vectorizer(list(itertools.islice(grams, count)))
            vectorizer.idf_ = opened.tensors[f"idf_{i}"]
            classifier.vectorizers_.append(vectorizer)
        classifier.kernel_, classifier.bias_ = opened.tensors["kernel"], opened.tensors["bias"]
        classifier.classes_, classifier.c_ = learned["classes"], learned["c"]
        return classifier

    def _vectorizer(self, vocabulary=None):
        new_vectorizer = scikit_learn("sklearn.feature_extraction.text").TfidfVectorizer
        return new_vectorizer(
            analyzer="char", ngram_range=self._lengths(), sublinear_tf=True, vocabulary=vocabulary, dtype=np.float64
        )

    def _lengths(self):
        lengths = tuple(self.ngrams) if isinstance(self.ngrams, tuple | list) else ()
        if len(lengths) != 2 or not all(type(n) is int for n in lengths) or not 1 <= lengths[0] <= lengths[1]:
            raise InputError(
                f"`ngrams` must be two whole numbers, the shortest and the longest length. Received: {self.ngrams!r}"
            )
        return lengths

    def _features(self, vectorizers, columns):
        """Of texts, given as columns: a sparse matrix `(texts, features)`."""
        sparse, (shortest, longest) = scikit_learn("scipy.sparse"), self._lengths()
        blocks = [vectorizer.transform(column) for vectorizer, column in zip(vectorizers, columns, strict=True)]
        for first, second in itertools.combinations(columns, 2):
            for n in range(shortest, longest + 1):
                blocks.append(sparse.csr_matrix([overlap(a, b, n) for a, b in zip(first, second, strict=True)]))
        return sparse.hstack(blocks, format="csr")

    def _proba(self, rows):
        if len(rows[0]) != len(self.vectorizers_):
            raise InputError(
                f"The classifier learned from texts of {len(self.vectorizers_)} parts. Received: {len(rows[0])} parts."
            )
        return softmax(self._features(self.vectorizers_, _columns(rows)) @ self.kernel_ + self.bias_)


def overlap(first, second, n):
    """The share of a string's n-grams of length n that another has, the reverse, and the share of all that both have.

    >>> overlap("天气很好", "天气", 1)
    (0.5, 1.0, 0.5)
    """
    a, b = ({text[i : i + n] for i in range(len(text) - n + 1)} for text in (first, second))
    return tuple(len(a & b) / max(len(of), 1) for of in (a, b, a | b))


def _columns(rows):
    """The parts of the texts, in lower case and with single spaces, so that no n-gram holds the end of a line."""
    return [[" ".join(part.lower().split()) for part in column] for column in zip(*rows, strict=True)]
