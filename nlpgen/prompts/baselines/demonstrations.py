"""Demonstrations: labelled examples in the context of a cloze question (LM-BFF; Gao et al., 2021,
https://arxiv.org/abs/2012.15723)."""

import dataclasses
import zlib

import numpy as np

from nlpgen.errors import InputError
from nlpgen.estimator import Estimator
from nlpgen.models import SentenceEncoder
from nlpgen.prompts.baselines.folder import open_learned, save_learned
from nlpgen.prompts.columns import as_columns
from nlpgen.prompts.pattern import Cloze, Pattern
from nlpgen.prompts.rows import run
from nlpgen.prompts.scorer import Scorer
from nlpgen.prompts.verbalizer import Verbalizer
from nlpgen.tasks import (
    JOINED_BY,
    Classifier,
    as_tuples,
    check_seed,
    check_training,
    encode,
    outputs_of,
    softmax,
    tokenized_backbone,
)

SHORTEST = 16  # tokens that a text and a demonstration must have room for


class DemonstrationClassifier(Classifier, Estimator):
    """Asks a frozen masked language model, with an answered example of each label behind the question.

    The examples are drawn from those that are most similar to the text, by the cosine of the means of the frozen
    model's hidden states, and stand in random order; the probabilities of several draws are averaged. What is drawn
    depends on `seed` and the text alone. LM-BFF trains the model with such contexts, this does not.

    Args:
        masked_lm: a `MaskedLM` with its tokenizer; it is shared and stays as it is.
        pattern: a pattern, e.g. `"[MASK]满意。{text}"`, or a `Pattern`. Several fields are columns, or the parts of a
            tuple in their order; where there is one field, the parts of a tuple are one text, joined by `；`.
        verbalizer: `{label: word or words}`, or a `Verbalizer`. An example is answered with its label's first word.
        samples: draws a text; the paper has 16.
        similar: share of a label's examples that are drawn from, the most similar ones.
        max_length: most tokens of the text and of each example, with the pattern; fewer where together they would be
            more than the model reads.
        seed: of the draws.

    Attributes:
        examples_: the training texts as tuples.
        example_labels_: index of each one's label in `classes_`.
        vectors_: their vectors of length 1, `(texts, hidden_size)`.
        classes_: the labels, in the order of the verbalizer.
    """

    def __init__(self, masked_lm, pattern, verbalizer, samples=4, similar=0.5, max_length=128, seed=0):
        self.masked_lm = masked_lm
        self.pattern = pattern
        self.verbalizer = verbalizer
        self.samples = samples
        self.similar = similar
        self.max_length = max_length
        self.seed = seed

    def fit(self, texts, labels, unlabeled=None, validation_data=None):
        """Keep the labelled texts as examples.

        Args:
            texts: a list of strings or of tuples of strings, or columns.
            labels: a list of strings, as many, all in the verbalizer. A label without a text has no example.
            unlabeled, validation_data: have no use here.

        Returns:
            The classifier.

        Raises:
            InputError: if texts, labels or options are wrong.
        """
        self._check_options()
        rows, labels, classes = check_training(self._rows(texts), labels, self._verbalizer().labels)
        self._set(rows, np.array([classes.index(label) for label in labels]), None)
        return self

    def save(self, folder):
        """Write the examples with their vectors; the model is not written."""
        self._check_fitted()
        params = {name: value for name, value in self.get_params().items() if name != "masked_lm"}
        params |= {"pattern": self._pattern().template, "verbalizer": self._verbalizer().words}
        learned = {"examples": self.examples_, "labels": self.example_labels_.tolist()}
        save_learned(folder, self, params, learned, {"vectors": self.vectors_}, self.masked_lm)

    @classmethod
    def load(cls, folder, backbone):
        """Read what `save` wrote; probabilities are the same.

        Args:
            folder: where it was saved.
            backbone: the `MaskedLM` it was fitted on.

        Raises:
            CheckpointNotFound, CheckpointCorrupt, ConfigError, WeightsMismatch: if there is no such classifier, it is
                damaged, or it was fitted on another model.
        """
        tokenized_backbone(backbone)
        params, learned, opened = open_learned(folder, cls, backbone)
        classifier = cls(backbone, **params)
        classifier._set(list(map(tuple, learned["examples"])), np.array(learned["labels"]), opened.tensors["vectors"])
        return classifier

    def _set(self, rows, targets, vectors):
        self._asked = Asked(self.masked_lm, self._pattern(), self._verbalizer(), self.max_length)
        self._encoder = SentenceEncoder(tokenized_backbone(self.masked_lm))
        self._encoder.build()
        self.vectors_ = self._vectors(rows) if vectors is None else vectors
        self.examples_, self.example_labels_, self.classes_ = rows, targets, self._verbalizer().labels

    def _proba(self, rows):
        nearest = np.argsort(-self._vectors(rows) @ self.vectors_.T, axis=1, kind="stable")
        questions = self._asked.questions(rows)
        demonstrations = self._asked.answered(self.examples_, self.example_labels_)
        contexts = []
        for row, order, question in zip(rows, nearest, questions, strict=True):
            generator = np.random.default_rng([self.seed, zlib.crc32(JOINED_BY.join(row).encode("utf-8"))])
            for _ in range(self.samples):
                contexts.append((question, [demonstrations[i] for i in self._drawn(order, generator)]))
        probabilities = softmax(self._asked.scores(contexts))
        return probabilities.reshape(len(rows), self.samples, -1).mean(axis=1)

    def _drawn(self, order, generator):
        """An example of each label, in random order: indices of the most similar ones in `order`."""
        chosen = []
        for label in np.unique(self.example_labels_):
            of_label = order[self.example_labels_[order] == label]
            chosen.append(generator.choice(of_label[: max(1, round(self.similar * len(of_label)))]))
        return generator.permutation(chosen)

    def _rows(self, texts):
        fields = self._pattern().fields
        if len(fields) == 1:
            return as_tuples(texts)
        return list(zip(*as_columns(texts, fields).values(), strict=True))

    def _vectors(self, rows):
        vectors = outputs_of(self._encoder, encode(self._encoder, rows, self.max_length))
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def _pattern(self):
        return self.pattern if isinstance(self.pattern, Pattern) else Pattern(self.pattern)

    def _verbalizer(self):
        return self.verbalizer if isinstance(self.verbalizer, Verbalizer) else Verbalizer(self.verbalizer)

    def _check_options(self):
        check_seed(self.seed)
        problems = []
        if type(self.samples) is not int or self.samples < 1:
            problems.append(f"`samples` must be a whole number, 1 or more. Received: {self.samples!r}")
        if not isinstance(self.similar, int | float) or not 0 < self.similar <= 1:
            problems.append(f"`similar` must be above 0 and at most 1. Received: {self.similar!r}")
        if problems:
            raise InputError("The options are wrong:\n  " + "\n  ".join(problems) + "\nCorrect them.")


class Asked:
    """A masked language model with a pattern and label words: the one place that knows how these work together.

    Args:
        masked_lm: a `MaskedLM`.
        pattern: a `Pattern`.
        verbalizer: a `Verbalizer`.
        max_length: most tokens of a text with its pattern.

    Raises:
        InputError: if the model cannot read an example of each label.
    """

    def __init__(self, masked_lm, pattern, verbalizer, max_length):
        longest = masked_lm.backbone.longest
        if longest is not None:
            room = longest // (1 + len(verbalizer.labels))
            max_length = room if max_length is None else min(max_length, room)
            if room < SHORTEST:
                raise InputError(
                    f"A text and an example of each of {len(verbalizer.labels)} labels have {room} tokens each of the "
                    f"{longest} that the model reads; {SHORTEST} are needed. Use fewer labels, or a model for longer "
                    "texts."
                )
        self.scorer = Scorer(masked_lm, pattern, verbalizer, max_length)
        self.first_words = [self.scorer.words[self.scorer.owners.index(i)] for i in range(len(verbalizer.labels))]

    def questions(self, rows):
        """Texts in the pattern, a `Row` of each."""
        fields = self.scorer.pattern.fields
        if len(fields) == 1:
            rows = [(JOINED_BY.join(row),) for row in rows]
        return self.scorer.rows(dict(zip(fields, map(list, zip(*rows, strict=True)), strict=True)))

    def answered(self, rows, targets):
        """Texts in the pattern with the first words of their labels in the masks, as they stand behind a question."""
        found = []
        for row, target in zip(self.questions(rows), targets, strict=True):
            word = self.first_words[target]
            cloze = next(each for each in row.clozes if len(each.slots) == len(word))
            ids = list(cloze.token_ids)
            for slot, id in zip(cloze.slots, word, strict=True):
                ids[slot] = id
            found.append(ids[1:])  # without [CLS]
        return found

    def scores(self, contexts):
        """Log scores of the labels: `(question, demonstrations)` to `(contexts, labels)`."""
        rows = []
        for question, behind in contexts:
            shown = [id for each in behind for id in each]
            clozes = [self._followed(cloze, shown) for cloze in question.clozes]
            rows.append(dataclasses.replace(question, clozes=clozes))
        return run(self.scorer.model, rows, self.scorer.inputs)

    def _followed(self, cloze, ids):
        more = [0] * len(ids)
        return Cloze([*cloze.token_ids, *ids], [*cloze.segment_ids, *more], cloze.slots, [*cloze.is_text, *more])
