"""PET: classification as a cloze question (Schick & Schütze, 2021, https://arxiv.org/abs/2001.07676)."""

import numpy as np

from nlpgen.checkpoints.files import replaced_folder, write_json
from nlpgen.errors import ConfigError, InputError
from nlpgen.models import MaskedLM
from nlpgen.prompts.calibration import CALIBRATIONS, calibrated, mean_prior
from nlpgen.prompts.columns import count, joined, take
from nlpgen.prompts.pattern import Pattern
from nlpgen.prompts.presets import load_preset
from nlpgen.prompts.prompt_classifier import PromptClassifier
from nlpgen.prompts.saving import PATTERNS, is_ours, open_saved, verbalizer_to
from nlpgen.prompts.scorer import Scorer
from nlpgen.prompts.training import Losses, check_labels, train
from nlpgen.prompts.verbalizer import Candidates
from nlpgen.tasks import TextClassifier, softmax
from nlpgen.tasks.fine_tuning import check_seed, check_validation, copy_of

ENSEMBLES = ("accuracy", "mean")
# iPET: how many times larger each generation's training set is, which share of the other models labels it, and how
# many texts a label has in the first one without labels.
GROWTH, SHARE, FIRST_TEXTS = 5, 0.25, 100
STUDENT = "student"


class PETClassifier(PromptClassifier):
    """A classifier that asks a masked language model, and needs no labelled example for it.

    Each pattern makes an input a cloze question, the verbalizer says which words in the `[MASK]` stand for which label.
    It predicts before it is fitted; `fit` trains a copy of the model for each pattern, on labelled texts, on unlabelled
    ones, or on both. See `PromptClassifier` for the forms of inputs.

    Args:
        mlm: a `MaskedLM` with its tokenizer; it stays as it is.
        patterns: a pattern, or a list of them, e.g. `"[MASK]满意。{text}"` or `Pattern("[MASK]满意。{text}")`.
        verbalizer: `{label: word or words}`, a `Verbalizer`, or `Candidates`. A label's probability is the sum over its
            words, which may have any length.
        max_length: most tokens, special ones included; longer texts are cut, patterns never.
        truncate_side: which end of a long text is cut, `"right"` or `"left"`.
        order, normalization: how words of several tokens are scored, see `Scorer`.
        calibration: `None`; `"context"`, by what the patterns say without a text; or `"unlabeled"`, by what they say
            on average of the texts given to `calibrate`, or as `unlabeled` to `fit`.
        domain: name of a column of the inputs; `"unlabeled"` then takes the average over the same domain.
        epochs, batch_size: of the training. An epoch is once through the labelled texts, or through the unlabelled
            ones where there are no others; at each step as many texts of both kinds are drawn for the auxiliary loss.
        learning_rate: the highest; it rises to it over the first tenth of the steps and falls to zero.
        weight_decay: factor of AdamW.
        label_weight, mlm_weight, mlm_rate, mask_template, label_conditioning: see `Losses`.
        repetitions: models a pattern, each with a seed of its own.
        ensemble: how much a model counts: `"accuracy"`, as the untrained model is right with its pattern on the
            labelled texts; `"mean"`, all alike.
        generations: of iPET: how often the models label texts for each other and are trained anew, on a set that is
            five times as large each time; needs `unlabeled`.
        distill: whether a `TextClassifier` is trained on what the ensemble says of the unlabelled texts, and predicts
            in its place; needs `unlabeled`.
        patience: epochs without a better score on the validation data after which training ends; `None` for all.
        seed: of dropout, masks and the order of the texts.
        verbose: whether a line is printed for each epoch.

    Attributes:
        models_: the trained `MaskedLM` of each pattern and repetition, patterns one after the other.
        weights_: how much each counts; they sum to 1.
        history_: for each model of the last generation a list, see `TextClassifier`.
        student_: the distilled `TextClassifier`, or `None`.

    Example:
        >>> from nlpgen import MaskedLM, PETClassifier
        >>> mlm = MaskedLM.from_pretrained("bert-tiny-zh")
        >>> pet = PETClassifier(mlm, "[MASK]满意。{text}", {"正面": "很", "负面": "不"})
        >>> pet.predict("房间很干净，服务也好，下次还来。")
        '正面'
    """

    zero_shot = True

    def __init__(
        self,
        mlm,
        patterns,
        verbalizer,
        max_length=128,
        truncate_side="right",
        order="independent",
        normalization=None,
        calibration=None,
        domain=None,
        epochs=10,
        batch_size=16,
        learning_rate=3e-5,
        weight_decay=0.01,
        label_weight=1.0,
        mlm_weight=0.1,
        mlm_rate=0.15,
        mask_template=False,
        label_conditioning=0.0,
        repetitions=1,
        ensemble="accuracy",
        generations=0,
        distill=False,
        patience=None,
        seed=0,
        verbose=False,
    ):
        self.mlm = mlm
        self.patterns = patterns
        self.verbalizer = verbalizer
        self.max_length = max_length
        self.truncate_side = truncate_side
        self.order = order
        self.normalization = normalization
        self.calibration = calibration
        self.domain = domain
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.label_weight = label_weight
        self.mlm_weight = mlm_weight
        self.mlm_rate = mlm_rate
        self.mask_template = mask_template
        self.label_conditioning = label_conditioning
        self.repetitions = repetitions
        self.ensemble = ensemble
        self.generations = generations
        self.distill = distill
        self.patience = patience
        self.seed = seed
        self.verbose = verbose
        self._untrained, self._workers = {}, {}  # scorers of the model as it was given, and of copies to be trained

    @classmethod
    def from_preset(cls, name, mlm, **options):
        """The patterns and label words of a task that come with nlpgen.

        Args:
            name: a task, see `nlpgen.prompts.preset_names`; `"sentiment"` has the five patterns of Su's PET post.
            mlm: a `MaskedLM`.
            options: further arguments of the constructor.

        Raises:
            InputError: if there is no such preset.
        """
        found = load_preset(name)
        return cls(mlm, found.patterns, found.verbalizer, **{"max_length": found.max_length} | options)

    def fit(self, texts, labels, unlabeled=None, validation_data=None):
        """Train from the given model, whatever was learned before.

        Args:
            texts: inputs, see the class; an empty list to learn from `unlabeled` alone, or to stay zero-shot without.
            labels: a list of strings, as many.
            unlabeled: further inputs for the auxiliary loss, iPET, distillation and calibration.
            validation_data: `(texts, labels)`; the weights of the epoch with the best accuracy there are kept. Without
                it all epochs are trained and the last weights kept: never give the texts you test on.

        Returns:
            The classifier.

        Raises:
            InputError: if texts, labels or options are wrong.
            TrainingDiverged: if the loss is no longer a number.
        """
        columns, targets = self._training_data(texts, labels)
        pool = None if unlabeled is None else self._columns(unlabeled)
        pool = pool if pool is not None and count(pool) else None
        held_out = self._held_out(validation_data)
        losses = self._check(len(targets), pool)
        if not len(targets) and pool is None:
            self._forget()
            return self
        weights = self._votes(columns, targets)
        trained = self._trained([(columns, targets)] * len(weights), pool, held_out, losses)
        for generation in range(self.generations):
            generator = np.random.default_rng([self.seed, 2, generation])
            said = [softmax(scorer.label_scores(pool)) for scorer, _ in trained]
            sets = [
                self._labelled_by_others(said, weights, i, generation, columns, targets, pool, generator)
                for i in range(len(said))
            ]
            trained = self._trained(sets, pool, held_out, losses)
        self._fitted = [scorer for scorer, _ in trained]
        self.history_ = [history for _, history in trained]
        self.models_, self.weights_ = [scorer.lm for scorer in self._fitted], weights
        self.student_, self.priors_ = None, None
        if self.calibration == "unlabeled" and pool is not None:
            self.calibrate(unlabeled)
        if self.distill:
            self.student_ = self._distilled(joined(columns, pool) if len(targets) else pool, held_out)
        return self

    def predict_proba_by_model(self, texts):
        """Probabilities that each model gives, which `predict_proba` averages with `weights_`.

        Args:
            texts: inputs, see the class.

        Returns:
            `(models, texts, labels)`, patterns and repetitions in the order of `models_`.
        """
        return np.stack(self._said_by_each(self._columns(texts)))

    def calibrate(self, texts):
        """Set the priors of `calibration="unlabeled"`.

        Args:
            texts: inputs, labels not needed; a dict with the column `domain`, where that is set.

        Returns:
            The classifier.
        """
        columns = self._columns(texts)
        domains = columns.get(self.domain)
        self.priors_ = [mean_prior(softmax(scorer.label_scores(columns)), domains) for scorer in self._scorers()]
        return self

    def save(self, folder):
        """Write the classifier: arguments, and what was trained; a reader finds the old folder or the new one.

        A classifier that was not fitted needs its model when it is loaded; one that was brings its own along.
        """
        params = self.get_params()
        del params["mlm"]
        params["patterns"] = [pattern.template for pattern in self._patterns()]
        params["verbalizer"] = verbalizer_to(self._verbalizer())
        fitted = getattr(self, "models_", [])
        about = {"class": type(self).__name__, "params": params, "models": len(fitted)}
        if fitted:
            about |= {"weights": list(map(float, self.weights_)), "student": self.student_ is not None}
        if getattr(self, "priors_", None):
            about["priors"] = [
                [[domain, prior.tolist()] for domain, prior in priors.items()] for priors in self.priors_
            ]
        with replaced_folder(folder, is_ours) as work:
            write_json(work / PATTERNS, about)
            for i, model in enumerate(fitted):
                model.save_pretrained(work / f"model_{i}")
            if fitted and self.student_ is not None:
                self.student_.save_pretrained(work / STUDENT)

    @classmethod
    def load(cls, folder, backbone=None):
        """Read what `save` wrote.

        Args:
            folder: where.
            backbone: the `MaskedLM`, for a classifier that was not fitted.

        Raises:
            CheckpointNotFound: if there is no classifier.
            ConfigError: if it is of another class, or needs `backbone`.
        """
        folder, about = open_saved(folder, cls)
        models = [MaskedLM.from_pretrained(folder / f"model_{i}") for i in range(about["models"])]
        mlm = backbone if backbone is not None else next(iter(models), None)
        if mlm is None:
            raise ConfigError(f"{folder} is of a classifier that was not fitted. Give its model as `backbone`.")
        classifier = cls(mlm, **about["params"])
        classifier.priors_ = None
        if "priors" in about:
            classifier.priors_ = [{domain: np.array(prior) for domain, prior in each} for each in about["priors"]]
        if models:
            patterns = [p for p in classifier._patterns() for _ in range(classifier.repetitions)]
            classifier._fitted = [classifier._new_scorer(lm, p) for lm, p in zip(models, patterns, strict=True)]
            classifier.models_, classifier.weights_ = models, np.array(about["weights"])
            classifier.history_ = []
            student = TextClassifier.from_pretrained(folder / STUDENT) if about["student"] else None
            classifier.student_ = student
        return classifier

    def _patterns(self):
        patterns = [self.patterns] if isinstance(self.patterns, str | Pattern) else list(self.patterns)
        if not patterns:
            raise InputError("`patterns` is empty. Give a pattern or more.")
        patterns = [pattern if isinstance(pattern, Pattern) else Pattern(pattern) for pattern in patterns]
        virtual = [pattern.template for pattern in patterns if pattern.num_virtual]
        if virtual:
            raise InputError(f"{virtual[0]!r} has virtual tokens, which only PTuningClassifier learns.")
        fields = {tuple(sorted(pattern.fields)) for pattern in patterns}
        if len(fields) > 1:
            raise InputError(f"The patterns ask for different fields: {', '.join(map(str, sorted(fields)))}.")
        return patterns

    def _columns(self, texts):
        columns = super()._columns(texts)
        if self.domain is not None:
            if not isinstance(texts, dict) or self.domain not in texts or len(texts[self.domain]) != count(columns):
                raise InputError(f"`domain` is {self.domain!r}: give a dict of columns with one of this name.")
            columns[self.domain] = list(texts[self.domain])
        return columns

    def _new_scorer(self, lm, pattern):
        return Scorer(
            lm, pattern, self._verbalizer(), self.max_length, self.truncate_side, self.order, self.normalization
        )

    def _scorer(self, pattern):
        """The scorer of the model as it was given."""
        key = self._key(pattern)
        if key not in self._untrained:
            self._untrained[key] = self._new_scorer(self.mlm, pattern)
        return self._untrained[key]

    def _scorers(self):
        if hasattr(self, "_fitted"):
            return self._fitted
        return [self._scorer(pattern) for pattern in self._patterns()]

    def _proba(self, columns):
        if getattr(self, "student_", None) is not None:
            return self._said_by_student(columns)
        found = self._said_by_each(columns)
        return np.tensordot(getattr(self, "weights_", np.full(len(found), 1 / len(found))), found, 1)

    def _said_by_each(self, columns):
        if self.calibration not in CALIBRATIONS:
            known = ", ".join(map(repr, CALIBRATIONS))
            raise InputError(f"`calibration` must be one of {known}. Received: {self.calibration!r}")
        return [self._said_by(i, scorer, columns) for i, scorer in enumerate(self._scorers())]

    def _said_by(self, index, scorer, columns):
        probabilities = softmax(scorer.label_scores(columns))
        if self.calibration is None or not len(probabilities):
            return probabilities
        if self.calibration == "unlabeled":
            if getattr(self, "priors_", None) is None:
                raise InputError("calibration='unlabeled' needs texts: call `calibrate`, or `fit` with `unlabeled`.")
            priors = self.priors_[index]
            domains = columns.get(self.domain, [None] * len(probabilities))
            return calibrated(probabilities, np.stack([priors.get(each, priors[None]) for each in domains]))
        n = len(probabilities) if scorer.by_input else 1
        blank = {name: [""] * n for name in self._fields()}
        blank |= {name: columns[name] for name in scorer.further_columns}
        return calibrated(probabilities, softmax(scorer.label_scores(blank)))

    def _said_by_student(self, columns):
        found, labels = self.student_.predict_proba(self._as_texts(columns)), self._verbalizer().labels
        out = np.zeros((count(columns), len(labels)))
        out[:, [labels.index(label) for label in self.student_.classes_]] = found
        return out

    def _as_texts(self, columns):
        """Columns as the texts or pairs that a `TextClassifier` takes."""
        fields = [columns[name] for name in self._fields()]
        return fields[0] if len(fields) == 1 else list(zip(*fields, strict=True))

    def _held_out(self, validation_data):
        held_out = check_validation(validation_data)
        if held_out is None:
            return None
        columns = self._columns(held_out[0])
        return columns, check_labels(held_out[1], columns, self._labels_of(columns), "validation ")

    def _check(self, n, pool):
        """The losses; raises `InputError` with all that is wrong with the options."""
        check_seed(self.seed)
        problems = []
        if not n and pool is not None and not self.mlm_weight:
            problems.append("without labels only the auxiliary loss is learned from: `mlm_weight` must be above 0")
        if self.ensemble not in ENSEMBLES:
            problems.append(f"`ensemble` must be one of {', '.join(ENSEMBLES)}. Received: {self.ensemble!r}")
        if not isinstance(self.repetitions, int) or self.repetitions < 1:
            problems.append(f"`repetitions` must be a whole number, 1 or more. Received: {self.repetitions!r}")
        if not isinstance(self.generations, int) or self.generations < 0:
            problems.append(f"`generations` must be a whole number, 0 or more. Received: {self.generations!r}")
        elif (self.generations or self.distill) and pool is None:
            problems.append("`generations` and `distill` need `unlabeled`")
        if self.distill and (len(self._fields()) > 2 or isinstance(self._verbalizer(), Candidates)):
            problems.append("`distill` needs fixed labels and inputs of at most two fields")
        if problems:
            raise InputError("PETClassifier cannot be fitted like this:\n  " + "\n  ".join(problems))
        names = ("label_weight", "mlm_weight", "mlm_rate", "mask_template", "label_conditioning")
        return Losses(**{name: getattr(self, name) for name in names})

    def _forget(self):
        for name in ("_fitted", "models_", "weights_", "history_", "student_", "priors_"):
            self.__dict__.pop(name, None)

    def _votes(self, columns, targets):
        """How much each model counts."""
        patterns = self._patterns()
        votes = np.ones(len(patterns))
        if self.ensemble == "accuracy" and len(targets):
            votes = np.array(
                [(self._scorer(p).label_scores(columns).argmax(axis=1) == targets).mean() for p in patterns]
            )
        votes = np.repeat(votes if votes.any() else np.ones(len(patterns)), self.repetitions)
        return votes / votes.sum()

    def _trained(self, sets, pool, held_out, losses):
        """`(scorer, history)` for each pattern and repetition, trained on its own set `(columns, targets)`.

        All are trained in the last one's model, which is compiled once, and moved to their own.
        """
        workers, found = [self._worker(i) for i in range(len(sets))], []
        for worker, (columns, targets) in zip(workers, sets, strict=True):
            scorer = workers[-1].with_pattern(worker.pattern)
            scorer.lm.set_weights(self.mlm.get_weights())

            def score(scorer=scorer):
                return float((scorer.label_scores(held_out[0]).argmax(axis=1) == held_out[1]).mean())

            history = train(
                scorer,
                columns,
                targets,
                pool,
                losses,
                seed=int(np.random.SeedSequence([self.seed, len(found)]).generate_state(1)[0]),
                epochs=self.epochs,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
                score=None if held_out is None else score,
                patience=self.patience,
                verbose=self.verbose,
            )
            if worker is not workers[-1]:
                worker.lm.set_weights(scorer.lm.get_weights())
            found.append((worker, history))
        return found

    def _worker(self, index):
        """The scorer of a copy of the model, which a further `fit` finds compiled."""
        pattern = self._patterns()[index // self.repetitions]
        key = index, self._key(pattern)
        if key not in self._workers:
            self._workers[key] = self._new_scorer(copy_of_model(self.mlm), pattern)
        return self._workers[key]

    def _key(self, pattern):
        """What a scorer depends on."""
        options = self.max_length, self.truncate_side, self.order, self.normalization
        return (id(self.mlm), pattern.template, repr(self._verbalizer()), *options)

    def _labelled_by_others(self, said, weights, index, generation, columns, targets, pool, generator):
        """iPET's next training set of a model: the labelled texts, and those that others are surest about."""
        others = [i for i in range(len(said)) if i != index] or [index]
        chosen = generator.permutation(others)[: max(1, round(SHARE * len(others)))]
        votes = weights[chosen] if weights[chosen].any() else None
        probabilities = np.average([said[i] for i in chosen], axis=0, weights=votes)
        guessed, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
        num_labels = probabilities.shape[1]
        if len(targets):
            shares = np.bincount(targets, minlength=num_labels) / len(targets)
            wanted = len(targets) * GROWTH ** (generation + 1) - len(targets)
        else:
            shares = np.full(num_labels, 1 / num_labels)
            wanted = FIRST_TEXTS * num_labels * GROWTH**generation
        picked = []
        for label in range(num_labels):
            here = np.flatnonzero(guessed == label)
            picked += here[np.argsort(-sure[here], kind="stable")][: round(wanted * shares[label])].tolist()
        further = take(pool, picked)
        return (joined(columns, further) if len(targets) else further), np.concatenate([targets, guessed[picked]])

    def _distilled(self, columns, held_out):
        probabilities = self._proba(columns)
        student = TextClassifier(
            self.mlm,
            max_length=self.max_length,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
            seed=self.seed,
            verbose=self.verbose,
        )
        labels = self._verbalizer().labels
        if held_out is not None:
            held_out = self._as_texts(held_out[0]), [labels[i] for i in held_out[1]]
        return student.fit_probabilities(self._as_texts(columns), probabilities, labels, validation_data=held_out)


def copy_of_model(lm):
    """A language model built anew with equal weights."""
    twin = copy_of(lm)
    twin.tokenizer = twin.backbone.tokenizer = lm.tokenizer
    return twin
