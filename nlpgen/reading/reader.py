"""What the readers share: passages in windows, training on what occurs in them, answers of several passages."""

import copy
import warnings
from numbers import Integral, Real

import numpy as np
from keras import ops

from nlpgen.checkpoints import open_folder
from nlpgen.errors import ConfigError, InputError, InputWarning, NonFiniteOutput, WeightsMismatch, with_article
from nlpgen.estimator import Estimator
from nlpgen.metrics import check_metric
from nlpgen.reading.calibration import calibrated
from nlpgen.reading.decoding import KEPT, VOTES, Read, Span, answer_of, best_spans, logsumexp, pooled, voted
from nlpgen.reading.evaluation import answer_scores
from nlpgen.reading.example import check_examples, check_pairs, fingerprint
from nlpgen.reading.rows import NEGATIVES, RowReader, TrainingRows
from nlpgen.reading.scoring import HIDDEN
from nlpgen.reading.windows import matchable
from nlpgen.tasks.fine_tuning import check_seed, fine_tune
from nlpgen.text import bucket, length_batches, pad

FREE = ("epochs", "patience", "threshold", "verbose")  # what a run that goes on may change
STATE = ("temperature_", "threshold_", "calibration_")
QUESTIONS = 64  # whose spans are in memory at once


class Reader(Estimator):
    """Base of the readers.

    A subclass has the arguments of `MLMReader` from `answer_length` on that are used here, and gives `model_class`,
    `_new_model`, `_longest`, `_targets` and `_loss`; and `_none_at`, or `_inputs` and `_scores`.
    """

    model_class = None
    with_commas = True  # whether passages are read as `nlpgen.reading.windows.AS_COMMA` has them
    temperature_, threshold_, calibration_, history_, unlearned_ = 1.0, 0.5, None, (), ()  # until they are learned

    def fit(self, examples, validation_data=None, state=None, metric="cmrc2018"):
        """Train from the model that the constructor was given, whatever was learned since; after `load` that is the
        trained one. A call that fails leaves the reader as it was.

        Args:
            examples: a list of `QAExample`; those whose answers stand in no passage are left out, see `unlearned_`.
            validation_data: further examples. The weights of the epoch with the best mean of exact match and F1 there
                are kept; then the temperature of the scores is fitted on it, and the threshold unless one is given.
            state: a folder that keeps the run after each epoch: called again with the same data and options, `fit` goes
                on from there, and with `epochs` lowered to what it has done it ends with the best of them. `patience`,
                `threshold` and `verbose` may change too.
            metric: that of exact match and F1, a name in `nlpgen.metrics.READING_METRICS`.

        Returns:
            The reader.

        Raises:
            InputError: if examples or options are wrong, or the state is of a run with others.
            TrainingDiverged: if the loss is no longer a number.
        """
        learner = copy.copy(self)
        learner._learn(examples, validation_data, state, metric)
        self.__dict__ = learner.__dict__
        return self

    def _learn(self, examples, validation_data, state, metric):
        check_seed(self.seed)
        check_metric(metric)
        examples = check_examples(examples)
        held_out = None if validation_data is None else check_examples(validation_data, "validation_data")
        model = self._new_model()
        rows_of = self._row_reader(model)
        training = TrainingRows(rows_of, examples, self._longest(), self.negative_rate, self.negatives, self.seed)
        self._warn_of_rows(training, len(examples))
        drawn, generator = [], None

        def lengths(epoch):
            nonlocal drawn, generator
            drawn, generator = training.draw(epoch), np.random.default_rng([self.seed, 4, epoch])
            return [self._length(row) for row in drawn]

        def batch(indices, length):
            rows = [drawn[i] for i in indices]
            return self._targets(model, rows, self._inputs(model, rows, length), generator)

        self.model_, self.temperature_, self.calibration_ = model, 1.0, None
        # Until it is fitted: where all validation questions have an answer, all are answered.
        self.threshold_ = 0.0 if held_out is not None and all(each.targets for each in held_out) else 0.5
        self.history_ = fine_tune(
            model,
            lengths,
            batch,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            seed=self.seed,
            loss=self._loss(),
            score=None if held_out is None else lambda: self.evaluate(held_out, metric)["average"],
            patience=self.patience,
            verbose=self.verbose,
            state=state,
            settings=self._settings(examples, held_out, metric),
        )
        self.unlearned_ = training.unlearned
        if held_out is not None and self.vote == "probability":
            self.calibrate(held_out, metric)

    def _settings(self, examples, held_out, metric):
        """What must be equal for a stopped run to go on, as JSON."""
        free = (*FREE, self._model_argument())
        return {name: value for name, value in self.get_params().items() if name not in free} | {
            "metric": metric,
            "examples": fingerprint(examples),
            "validation_data": None if held_out is None else fingerprint(held_out),
        }

    def calibrate(self, examples, metric="cmrc2018"):
        """Fit the temperature of the scores, and the threshold unless the constructor was given one.

        Args:
            examples: a list of `QAExample` that was not trained on. The threshold is the one with the best F1 there: 0,
                which always answers, where all of them have an answer.
            metric: that of F1 and exact match, a name in `nlpgen.metrics.READING_METRICS`.

        Returns:
            `{"temperature", "threshold", "ece_before", "ece_after"}`, also in `calibration_`; the errors are those of
            the best answer's score against exact match, on the same examples.

        Raises:
            InputError: if examples or metric are wrong, or the vote gives no probabilities.
        """
        check_metric(metric)
        examples = check_examples(examples)
        if self.vote != "probability":
            raise InputError(
                f"Only vote='probability' gives probabilities to calibrate. This reader has {self.vote!r}."
            )
        pools = self._pools([(each.question, each.passages) for each in examples])
        self.calibration_ = calibrated(pools, examples, self.threshold, metric)
        self.temperature_, self.threshold_ = self.calibration_["temperature"], self.calibration_["threshold"]
        return self.calibration_

    def answer(self, question, passages, top_k=1):
        """The answer to a question, as it stands in one of the passages.

        Args:
            question: a string.
            passages: a list of strings of any length, or one string. Of equal ones the first is read.
            top_k: answers in all: the best, and up to `top_k - 1` alternatives that overlap neither it nor each other.

        Returns:
            An `Answer`; its text is `""` where the passages do not answer the question, there are none, or they hold
            no token.

        Raises:
            InputError: if question or passages cannot be used.
            NonFiniteOutput: if the model gives NaN or infinity.

        Warns:
            InputWarning: if the question is longer than `question_length` and was cut.
        """
        return self._answers([(question, passages)], top_k)[0]

    def answer_batch(self, pairs, top_k=1):
        """The answers to several questions, computed together.

        Args:
            pairs: a list of `(question, passages)`.
            top_k: see `answer`.

        Returns:
            A list of `Answer`.

        Raises, Warns:
            As `answer` does.
        """
        return self._answers(pairs, top_k)

    def _answers(self, pairs, top_k=1):
        if not isinstance(top_k, Integral) or top_k < 1:
            raise InputError(f"`top_k` must be a whole number, 1 or more. Received: {top_k!r}")
        threshold = self.threshold_ if self.threshold is None else self.threshold
        pools = self._pools(check_pairs(pairs), top_k)
        return [answer_of(pool, top_k, self.vote, self.temperature_, threshold) for pool in pools]

    def evaluate(self, examples, metric="cmrc2018"):
        """Scores on questions with known answers.

        Args:
            examples: a list of `QAExample`.
            metric: a name in `nlpgen.metrics.READING_METRICS`.

        Returns:
            What `nlpgen.metrics.reading_scores` gives, in percent: `exact_match`, `f1`, `average`, `questions`, and
            `groups` where examples have one. With `vote="probability"` also `ece`, the expected calibration error of
            the score, from 0 to 1; with unanswerable questions also `has_answer_exact_match`, `has_answer_f1` and
            `no_answer_accuracy`.

        Raises:
            InputError: if examples or metric are wrong.
        """
        examples = check_examples(examples)
        check_metric(metric)
        answers = self._answers([(each.question, each.passages) for each in examples])
        return answer_scores(examples, answers, metric)

    def save(self, folder, dtype=None):
        """Write model and settings; a reader of the folder finds the old ones or the new. The folder is also a model
        of its own, e.g. for `MaskedLM.from_pretrained`.

        Args:
            folder: where.
            dtype: type of the weights on disk, e.g. `"float16"`; the model's own by default.
        """
        params = {name: value for name, value in self.get_params().items() if name != self._model_argument()}
        state = {name: getattr(self, name) for name in STATE}
        model = self._fitted()
        model.reader = {"class": type(self).__name__, "params": params, "state": state}
        model.save_pretrained(folder, dtype=dtype)

    @classmethod
    def load(cls, folder_or_name, **options):
        """Read what `save` wrote.

        Args:
            folder_or_name: a folder, or the name of an embedded reader.
            options: arguments of the constructor in place of the saved ones.

        Raises:
            CheckpointNotFound: if there is nothing.
            ConfigError: if it is no reader, or one of another class.
            InputError: if there is no such option.
        """
        try:
            model = cls.model_class.from_pretrained(folder_or_name)
            about = model.reader
        except WeightsMismatch:  # that of another reader has another head
            head = open_folder(folder_or_name).config.get("head")
            about = head.get("reader") if isinstance(head, dict) else None
            if not isinstance(about, dict) or about.get("class") == cls.__name__:
                raise
        if not isinstance(about, dict) or about.get("class") != cls.__name__:
            raise ConfigError(f"{folder_or_name} is {cls._hint(about)}")
        reader = cls(model, **about["params"]).set_params(**options)
        reader.model_ = model
        for name, value in about["state"].items():
            setattr(reader, name, value)
        return reader

    @classmethod
    def _hint(cls, about):
        if isinstance(about, dict):
            name = str(about.get("class"))
            return f"{with_article(name)}: load it with {name}.load."
        return f"a MaskedLM, not a reader. Train one: {cls.__name__}(mlm).fit(examples)."

    @classmethod
    def _model_argument(cls):
        return "mlm"

    def _fitted(self):
        if not hasattr(self, "model_"):
            raise InputError(f"This {type(self).__name__} has learned nothing yet. Call `fit`, or `load` one.")
        return self.model_

    def _row_reader(self, model):
        """Checks the options, also against the model."""
        if problems := list(self._problems()):
            raise InputError("The options of the reader are wrong:\n  " + "\n  ".join(problems) + "\nCorrect them.")
        tokenizer = model.tokenizer
        missing = [role for role in ("cls", "sep") if getattr(tokenizer, f"{role}_id") is None]
        if missing:
            raise InputError(f"A reader needs a model with the tokens [CLS] and [SEP]; this one has no {missing[0]}.")
        longest, most = model.backbone.longest, self._most(tokenizer)
        if longest is not None and most > longest:
            raise InputError(
                f"The model reads {longest} tokens, but question, window and answer may have {most}. Lower "
                "`passage_length`, `question_length` or `answer_length`."
            )
        return RowReader(tokenizer, self.question_length - 1, self.passage_length - 1, self.stride, self.with_commas)

    def _problems(self):
        """What is wrong with the options."""
        counts = {name: getattr(self, name) for name in ("answer_length", "question_length", "passage_length")}
        wrong = {name: value for name, value in counts.items() if not isinstance(value, Integral) or value < 2}
        yield from (f"`{name}` must be a whole number, 2 or more. Received: {value!r}" for name, value in wrong.items())
        if self.stride is not None and (not isinstance(self.stride, Integral) or self.stride < 1):
            yield f"`stride` must be a whole number, 1 or more, or None. Received: {self.stride!r}"
        elif self.stride is not None and "passage_length" not in wrong and self.stride >= self.passage_length:
            yield "`stride` must be less than `passage_length`: tokens between windows would not be read"
        if not isinstance(self.negative_rate, Real) or not 0 <= self.negative_rate < 1:
            yield f"`negative_rate` must be from 0 to below 1. Received: {self.negative_rate!r}"
        if self.threshold is not None and not (isinstance(self.threshold, Real) and self.threshold >= 0):
            yield f"`threshold` must be a number, 0 or more, or None. Received: {self.threshold!r}"
        for name, known in self._choices().items():
            if type(value := getattr(self, name)) not in map(type, known) or value not in known:
                yield f"`{name}` must be one of {known}. Received: {value!r}"

    def _choices(self):
        """What some of the options may be."""
        return {"negatives": NEGATIVES, "vote": VOTES}

    def _before(self, tokenizer, question):
        """What stands before a window."""
        return [tokenizer.cls_id, *question, tokenizer.sep_id]

    def _most(self, tokenizer):
        """Most tokens of a row."""
        return len(self._before(tokenizer, [0] * (self.question_length - 1))) + self.passage_length

    def _length(self, row):
        return len(self._before(self._tokenizer(), row.question)) + row.end - row.begin + 1

    def _tokenizer(self):
        return self._fitted().tokenizer

    def _inputs(self, model, rows, length):
        """Rows as inputs of the model; the part that all have. A dict of int32 arrays: `token_ids` and `padding_mask`
        `(rows, length)`, `columns` and `column_mask` `(rows, 1 + width)`, see `SlotModel`.
        """
        tokenizer = model.tokenizer
        befores = [self._before(tokenizer, row.question) for row in rows]
        ids = [[*before, *row.token_ids, tokenizer.sep_id] for before, row in zip(befores, rows, strict=True)]
        widths = [row.end - row.begin for row in rows]
        width = bucket(max(widths))
        columns = [
            [self._none_at(before), *range(len(before), len(before) + w)]
            for before, w in zip(befores, widths, strict=True)
        ]
        return {
            "token_ids": pad(ids, tokenizer.pad_id or 0, length),
            "padding_mask": pad([[1] * len(row) for row in ids], 0, length),
            "columns": pad(columns, 0, 1 + width),
            "column_mask": pad([[1] * (1 + w) for w in widths], 0, 1 + width),
        }

    def _outputs(self, model, inputs, rows):
        """What the model says of rows, an array `(rows, …, 1 + width)`."""
        return model.predict_on_batch(inputs)

    def _pools(self, pairs, top_k=1):
        """A `Pool` of each question."""
        model, pools, cut = self._fitted(), [], 0
        reader = self._row_reader(model)
        gathered = self._reads if self.vote == "probability" else self._votes
        for begin in range(0, len(pairs), QUESTIONS):
            part = pairs[begin : begin + QUESTIONS]
            rows, more = reader.rows(part)
            found, cut = [[] for _ in part], cut + more
            for question, each in gathered(model, rows, part):
                found[question].append(each)
            for each, (_, passages) in zip(found, part, strict=True):
                pools.append(pooled(each, top_k) if self.vote == "probability" else voted(each, passages))
        self._warn_of_cut(cut, len(pairs))
        return pools

    def _warn_of_rows(self, training, count):
        if training.unlearned:
            i, why = training.unlearned[0]
            warnings.warn(
                f"{len(training.unlearned)} of {count} examples cannot be learned from and were left out, the first is "
                f"{i}: {why}. All are in `unlearned_`.",
                InputWarning,
                stacklevel=4,
            )
        self._warn_of_cut(training.cut, count)

    def _warn_of_cut(self, cut, count):
        if cut:
            warnings.warn(
                f"{cut} of {count} questions have more than {self.question_length - 1} tokens and were cut. "
                "Shorten them, or raise `question_length`.",
                InputWarning,
                stacklevel=5,
            )

    def _reads(self, model, rows, pairs):
        """`(question, Read)` of each passage. Of a place that several windows hold the highest odds count."""
        odds, passages = {}, {}
        for row, none, spans in self._checked(model, rows, pairs):
            if row.index not in odds:
                shape = len(spans), len(row.passage.token_ids)
                odds[row.index], passages[row.index] = np.full(shape, HIDDEN, "float32"), row.passage
            held = odds[row.index][:, row.begin : row.end]
            np.maximum(held, spans - none, out=held)
        for (question, i), passage in sorted(passages.items(), key=lambda item: item[0]):
            yield question, Read(passage, i, odds[question, i])

    def _votes(self, model, rows, pairs):
        """`(question, Span)` of each window where its best answer is likelier than none, its probability as score."""
        for row, none, spans in self._checked(model, rows, pairs):
            total = np.logaddexp(logsumexp(spans), none)
            for score, first, last in best_spans(spans, KEPT):
                span = self._span(row.passage, row.index[1], row.begin + first, row.begin + last, np.exp(score - total))
                if span.text:
                    if score >= none:
                        yield row.index[0], span
                    break

    def _checked(self, model, rows, pairs):
        """What `_scores` gives, all of it numbers."""
        for row, none, spans in self._scores(model, rows):
            check_finite([none, spans.max()], pairs[row.index[0]][0])
            yield row, none, spans

    def _scores(self, model, rows):
        """`(row, score of no answer, scores of spans)` in any order, the latter as `best_spans` has them."""
        for batch, outputs in self._batches(model, rows):
            scores = ops.convert_to_numpy(model.span_scores(outputs, self._longest()))
            for row, none, spans in zip(batch, scores[:, 0], scores[:, 1:], strict=True):
                yield row, none, spans.reshape(self._longest(), -1)[:, : row.end - row.begin]

    def _batches(self, model, rows):
        """`(rows, what the model says of them)`."""
        for indices, length in length_batches([self._length(row) for row in rows]):
            batch = [rows[i] for i in indices]
            inputs = self._inputs(model, batch, length)
            yield batch, np.asarray(ops.convert_to_numpy(self._outputs(model, inputs, batch)), "float32")

    def _span(self, passage, index, first, last, score):
        start, end = passage.stretch(first, last)
        text = passage.text[start:end]
        return Span(text, index, start, end, self._key(passage, first, last, text), float(score))

    def _key(self, passage, first, last, text):
        return matchable(text)


def check_finite(scores, question):
    """Raises `NonFiniteOutput`, with the question, unless all scores are numbers."""
    if not np.isfinite(scores).all():
        raise NonFiniteOutput(f"The model gave NaN or infinity for {question!r:.60}: its weights are damaged.")
