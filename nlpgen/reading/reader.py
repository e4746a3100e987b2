"""What the readers share: passages in windows, training on what occurs in them, answers of several passages."""

import warnings

import numpy as np
from keras import ops

from nlpgen.errors import ConfigError, InputError, InputWarning, NonFiniteOutput
from nlpgen.estimator import Estimator
from nlpgen.metrics import READING_METRICS, question_scores, reading_scores
from nlpgen.reading.calibration import expected_calibration_error, fit_temperature, fit_threshold
from nlpgen.reading.decoding import KEPT, VOTES, Read, Span, answer_of, best_spans, pooled, tempered, voted
from nlpgen.reading.example import check_examples, check_pairs
from nlpgen.reading.rows import NEGATIVES, RowReader, TrainingRows
from nlpgen.reading.windows import matchable
from nlpgen.tasks.fine_tuning import check_seed, fine_tune
from nlpgen.text import bucket, length_batches, pad

STATE = ("temperature_", "threshold_")


class Reader(Estimator):
    """Base of the readers.

    A subclass has the arguments of `MLMReader` from `answer_length` on that are used here, and gives `model_class`,
    `_new_model`, `_longest`, `_targets` and `_loss`; and `_none_at`, or `_inputs` and `_reads`.
    """

    model_class = None

    def fit(self, examples, validation_data=None, state=None):
        """Train from the given model, whatever was learned before.

        Args:
            examples: a list of `QAExample`; those whose answers stand in no passage are left out, see `unlearned_`.
            validation_data: further examples. The weights of the epoch with the best mean of exact match and F1 there
                are kept; then the temperature of the scores is fitted on it, and the threshold unless one is given.
            state: a folder that keeps the run after each epoch: called again with the same data and options, `fit` goes
                on from there, and with `epochs` lowered to what it has done it ends with the best of them.

        Returns:
            The reader.

        Raises:
            InputError: if examples or options are wrong, or the state is of a run with others.
            TrainingDiverged: if the loss is no longer a number.
        """
        check_seed(self.seed)
        examples = check_examples(examples)
        held_out = None if validation_data is None else check_examples(validation_data, "validation_data")
        model = self._new_model()
        rows_of = self._row_reader(model)
        training = TrainingRows(rows_of, examples, self._longest(), self.negative_rate, self.negatives, self.seed)
        if training.unlearned:
            i, why = training.unlearned[0]
            warnings.warn(
                f"{len(training.unlearned)} of {len(examples)} examples cannot be learned from and were left out, the "
                f"first is {i}: {why}. All are in `unlearned_`.",
                InputWarning,
                stacklevel=2,
            )
        drawn = []

        def lengths(epoch):
            drawn[:] = training.draw(epoch)
            return [self._length(row) for row in drawn]

        def batch(indices, length):
            rows = [drawn[i] for i in indices]
            return self._targets(model, rows, self._inputs(model, rows, length))

        self.model_, self.temperature_ = model, 1.0
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
            score=None if held_out is None else lambda: self.evaluate(held_out)["average"],
            patience=self.patience,
            verbose=self.verbose,
            state=state,
        )
        self.unlearned_ = training.unlearned
        if held_out is not None and self.vote == "probability":
            self.calibrate(held_out)
        return self

    def calibrate(self, examples):
        """Fit the temperature of the scores, and the threshold unless the constructor was given one.

        Args:
            examples: a list of `QAExample` that was not trained on. The threshold is the one with the best F1 there: 0,
                which always answers, where all of them have an answer.

        Returns:
            `{"temperature", "threshold", "ece_before", "ece_after"}`, also in `calibration_`; the errors are those of
            the best answer's score against exact match, on the same examples.

        Raises:
            InputError: if examples are wrong, or the vote gives no probabilities.
        """
        examples = check_examples(examples)
        if self.vote != "probability":
            raise InputError(
                f"Only vote='probability' gives probabilities to calibrate. This reader has {self.vote!r}."
            )
        pools = self._pools([(each.question, each.passages) for each in examples])
        targets = [_target(pool, each) for pool, each in zip(pools, examples, strict=True)]
        before = _error(pools, examples, 1.0)
        self.temperature_ = fit_temperature(pools, targets)
        if self.threshold is None:
            sure, answered, silent = [], [], []
            for pool, example in zip(pools, examples, strict=True):
                p = tempered(pool, self.temperature_)
                sure.append(p[0] / max(p[0] + p[-2], 1e-30) if pool.spans else 0.0)
                answered.append(question_scores(pool.spans[0].text if pool.spans else "", example.answers)[1])
                silent.append(question_scores("", example.answers)[1])
            self.threshold_ = fit_threshold(sure, answered, silent)
        self.calibration_ = {
            "temperature": self.temperature_,
            "threshold": self.threshold_ if self.threshold is None else self.threshold,
            "ece_before": before,
            "ece_after": _error(pools, examples, self.temperature_),
        }
        return self.calibration_

    def answer(self, question, passages, top_k=1):
        """The answer to a question, as it stands in one of the passages.

        Args:
            question: a string.
            passages: a list of strings of any length, or one string.
            top_k: answers in all: the best, and `top_k - 1` alternatives.

        Returns:
            An `Answer`; its text is `""` where the passages do not answer the question, there are none, or they hold
            no token.

        Raises:
            InputError: if question or passages cannot be used.
            NonFiniteOutput: if the model gives NaN or infinity.

        Warns:
            InputWarning: if the question is longer than `question_length` and was cut.
        """
        return self.answer_batch([(question, passages)], top_k)[0]

    def answer_batch(self, pairs, top_k=1):
        """The answers to several questions, computed together.

        Args:
            pairs: a list of `(question, passages)`.
            top_k: see `answer`.

        Returns:
            A list of `Answer`.
        """
        if not isinstance(top_k, int) or top_k < 1:
            raise InputError(f"`top_k` must be a whole number, 1 or more. Received: {top_k!r}")
        temperature = getattr(self, "temperature_", 1.0)
        threshold = getattr(self, "threshold_", 0.5) if self.threshold is None else self.threshold
        pools = self._pools(check_pairs(pairs))
        return [answer_of(pool, top_k, self.vote, temperature, threshold) for pool in pools]

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
        if metric not in READING_METRICS:
            raise InputError(f"`metric` must be one of {', '.join(READING_METRICS)}. Received: {metric!r}")
        answers = self.answer_batch([(each.question, each.passages) for each in examples])
        return answer_scores(examples, answers, metric)

    def save(self, folder, dtype=None):
        """Write model and settings; a reader of the folder finds the old ones or the new. The folder is also a model
        of its own, e.g. for `MaskedLM.from_pretrained`.

        Args:
            folder: where.
            dtype: type of the weights on disk, e.g. `"float16"`; the model's own by default.
        """
        params = {name: value for name, value in self.get_params().items() if name != self._model_argument()}
        state = {name: getattr(self, name) for name in STATE if hasattr(self, name)}
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
        model = cls.model_class.from_pretrained(folder_or_name)
        about = model.reader
        if not isinstance(about, dict) or about.get("class") != cls.__name__:
            found = f"of a {about.get('class')}" if isinstance(about, dict) else "of no reader"
            raise ConfigError(f"{folder_or_name} is {found}. {cls._hint(about)}")
        reader = cls(model, **about["params"]).set_params(**options)
        reader.model_, reader.history_ = model, []
        for name, value in about["state"].items():
            setattr(reader, name, value)
        return reader

    @classmethod
    def _hint(cls, about):
        if isinstance(about, dict):
            return "Load it with that class."
        return f"Train one: {cls.__name__}(model).fit(examples)."

    @classmethod
    def _model_argument(cls):
        return "mlm"

    def _fitted(self):
        if not hasattr(self, "model_"):
            raise InputError(f"This {type(self).__name__} has learned nothing yet. Call `fit`, or `load` one.")
        return self.model_

    def _row_reader(self, model):
        """Checks the options against the model."""
        counts = ("answer_length", "question_length", "passage_length")
        problems = [
            f"`{name}` must be a whole number, 2 or more. Received: {getattr(self, name)!r}"
            for name in counts
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 2
        ]
        if self.stride is not None and (not isinstance(self.stride, int) or self.stride < 1):
            problems.append(f"`stride` must be a whole number, 1 or more, or None. Received: {self.stride!r}")
        elif self.stride is not None and not problems and self.stride > self.passage_length - 1:
            problems.append("`stride` must be less than `passage_length`: tokens between windows would not be read")
        if not isinstance(self.negative_rate, int | float) or not 0 <= self.negative_rate < 1:
            problems.append(f"`negative_rate` must be from 0 to below 1. Received: {self.negative_rate!r}")
        if self.threshold is not None and not (isinstance(self.threshold, int | float) and self.threshold >= 0):
            problems.append(f"`threshold` must be a number, 0 or more, or None. Received: {self.threshold!r}")
        for name, known in {"negatives": NEGATIVES, "vote": VOTES, **self._choices()}.items():
            if getattr(self, name) not in known:
                problems.append(f"`{name}` must be one of {known}. Received: {getattr(self, name)!r}")
        if problems:
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
        return RowReader(tokenizer, self.question_length - 1, self.passage_length - 1, self.stride)

    def _choices(self):
        return {}

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
        """Rows as inputs of the model; the part that all have."""
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
        """What the model says of rows, an array with a last axis of columns."""
        return model.predict_on_batch(inputs)

    def _pools(self, pairs):
        """A `Pool` of each question."""
        model = self._fitted()
        rows, cut = self._row_reader(model).rows(pairs)
        if cut:
            warnings.warn(
                f"{cut} of {len(pairs)} questions have more than {self.question_length - 1} tokens and were cut. "
                "Shorten them, or raise `question_length`.",
                InputWarning,
                stacklevel=4,
            )
        reads = [[] for _ in pairs]
        for row, read in self._reads(model, rows, pairs):
            reads[row.index[0]].append(read)
        return [(pooled if self.vote == "probability" else voted)(each) for each in reads]

    def _reads(self, model, rows, pairs):
        """`(row, Read)` of each row, in any order."""
        for indices, length in length_batches([self._length(row) for row in rows]):
            batch = [rows[i] for i in indices]
            inputs = self._inputs(model, batch, length)
            outputs = np.asarray(ops.convert_to_numpy(self._outputs(model, inputs, batch)), "float32")
            yield from zip(batch, self._decoded(model, outputs, batch, pairs), strict=True)

    def _decoded(self, model, outputs, rows, pairs):
        """A `Read` of each row."""
        length = outputs.shape[-1] - 1
        scores = ops.convert_to_numpy(model.span_scores(outputs, self._longest()))
        for row, (spans, total, none) in zip(rows, best_spans(scores, length, KEPT), strict=True):
            check_finite([total, none], pairs[row.index[0]][0])
            yield self._read(row, spans, total, none)

    def _read(self, row, spans, total, none):
        """The `Read` of a row, from what `best_spans` gives of it."""
        made = [self._span(row, first, last, score) for score, first, last in spans]
        made = [span for span in made if span.text]
        if self.vote == "bert4keras":  # the best answer of the window, if it is likelier than none
            made = [] if not made or made[0].score < none else [_probable(made[0], total, none)]
        return Read(row.index[1], made, total, none)

    def _span(self, row, first, last, score):
        start, end = row.passage.stretch(row.begin + first, row.begin + last)
        text = row.passage.text[start:end]
        return Span(text, row.index[1], start, end, self._key(row, first, last, text), score)

    def _key(self, row, first, last, text):
        return matchable(text)


def answer_scores(examples, answers, metric="cmrc2018"):
    """What `Reader.evaluate` gives, of answers that are known already."""
    predictions, right = [answer.text for answer in answers], [each.answers for each in examples]
    groups = [each.group for each in examples]
    scores = reading_scores(predictions, right, metric, groups if any(groups) else None)
    each = [question_scores(*pair, metric) for pair in zip(predictions, right, strict=True)]
    unanswerable = np.array([not example.targets for example in examples])
    if unanswerable.any():
        for name, column in (("exact_match", 0), ("f1", 1)):
            values = [pair[column] for pair, none in zip(each, unanswerable, strict=True) if not none]
            scores[f"has_answer_{name}"] = 100 * float(np.mean(values)) if values else 0.0
        silent = [not text for text, none in zip(predictions, unanswerable, strict=True) if none]
        scores["no_answer_accuracy"] = 100 * float(np.mean(silent))
    if answers[0].no_answer is not None:
        scores["ece"] = expected_calibration_error([a.score for a in answers], [exact >= 1 for exact, _ in each])
    return scores


def check_finite(scores, question):
    """Raise `NonFiniteOutput` unless all scores are numbers."""
    if not np.isfinite(scores).all():
        raise NonFiniteOutput(f"The model gave NaN or infinity for {question!r:.60}: its weights are damaged.")


def _probable(span, total, none):
    return Span(
        span.text, span.passage, span.start, span.end, span.key, float(np.exp(span.score - np.logaddexp(total, none)))
    )


def _target(pool, example):
    """Which of `tempered(pool, …)` is right."""
    if not example.targets:
        return -2
    right = {matchable(answer.strip()) for answer in example.targets}
    return next((i for i, span in enumerate(pool.spans) if span.key in right), -1)


def _error(pools, examples, temperature):
    scores = [tempered(pool, temperature)[0] for pool in pools]
    right = [
        question_scores(pool.spans[0].text if pool.spans else "", each.answers)[0] >= 1
        for pool, each in zip(pools, examples, strict=True)
    ]
    return expected_calibration_error(scores, right)
