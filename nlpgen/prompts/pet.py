"""PET: classification as a cloze question (Schick & Schütze, 2021, https://arxiv.org/abs/2001.07676)."""

import numpy as np

from nlpgen.checkpoints.files import replaced_folder, write_json
from nlpgen.errors import ConfigError, InputError
from nlpgen.models import MaskedLM
from nlpgen.prompts.arguments import NO_PRIOR, check_calibration, check_masked_lm, check_pet
from nlpgen.prompts.calibration import label_probabilities, prior_of
from nlpgen.prompts.columns import count, joined
from nlpgen.prompts.distillation import distilled, student_probabilities
from nlpgen.prompts.ipet import labelled_by_others
from nlpgen.prompts.presets import load_preset
from nlpgen.prompts.prompt_classifier import PromptClassifier
from nlpgen.prompts.question import Question
from nlpgen.prompts.saving import (
    PATTERNS,
    check_fingerprint,
    copy_of_model,
    fingerprint,
    is_ours,
    open_saved,
    verbalizer_to,
)
from nlpgen.prompts.scorer import Scorer
from nlpgen.prompts.training import Losses, train
from nlpgen.tasks import TextClassifier

STUDENT = "student"
LOSSES = ("label_weight", "mlm_weight", "mlm_rate", "mask_template", "label_conditioning")
# Arguments that what was learned depends on: `set_params` changes them for the next `fit` only.
FIXED = ("patterns", "verbalizer", "max_length", "truncate_side", "order", "normalization", "repetitions")


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
            on average of the texts given to `calibrate`, or as `unlabeled` to `fit`. It holds for predictions, for the
            votes and the best epoch, not for the loss: the cross-entropy learns any such bias away by itself.
        domain: name of a column of the inputs; `"unlabeled"` then takes the average over the same domain.
        epochs, batch_size: of the training. An epoch is once through the labelled texts, or through the unlabelled
            ones where there are no others.
        unlabeled_batch_size: unlabelled texts that are drawn at each step beside the labelled ones, for the auxiliary
            loss of both; `batch_size` by default. All are drawn once before any twice: `epochs` times the steps of an
            epoch times this many are read, which may be less than all.
        learning_rate: the highest; it rises to it over the first tenth of the steps and falls to zero.
        weight_decay: factor of AdamW.
        label_weight, mlm_weight, mlm_rate, mask_template, label_conditioning: see `Losses`.
        repetitions: models a pattern, each with a seed of its own.
        ensemble: how much a model counts: `"accuracy"`, as the untrained model is right with its pattern on the
            labelled texts; `"mean"`, all alike.
        generations: of iPET: how often the models label texts for each other and are trained anew, on a set that is
            five times as large each time, see `labelled_by_others`; needs `unlabeled`.
        distill: whether a `TextClassifier` is trained on what the ensemble says of the unlabelled texts, and predicts
            in its place; needs `unlabeled`.
        distill_epochs: of it, over labelled and unlabelled texts; it starts without a head that knows the labels'
            words, and may need more than the models; `epochs` by default.
        patience: epochs without a better score on the validation data after which training ends; `None` for all.
        seed: of dropout (but on PyTorch, see `TextClassifier`), masks and the order of the texts.
        verbose: whether a line is printed for each epoch.

    Attributes:
        models_: the trained `MaskedLM` of each pattern and repetition, patterns one after the other; copies, made when
            asked for, which a further `fit` leaves alone.
        classes_: the labels, in the order of the verbalizer; `None` with `Candidates`.
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
        unlabeled_batch_size=None,
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
        distill_epochs=None,
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
        self.unlabeled_batch_size = unlabeled_batch_size
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
        self.distill_epochs = distill_epochs
        self.patience = patience
        self.seed = seed
        self.verbose = verbose

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
            unlabeled: further inputs for the auxiliary loss, iPET, distillation and calibration. Without labels and
                with `mlm_weight=0` nothing is learned from them but the calibration.
            validation_data: `(texts, labels)`; the weights of the epoch with the best accuracy there are kept. Without
                it all epochs are trained and the last weights kept: never give the texts you test on.

        Returns:
            The classifier.

        Raises:
            InputError: if texts, labels or options are wrong; what was learned before stays, unless the fault shows
                only in training, as that of an unlabelled text may.
            TrainingDiverged: if the loss is no longer a number; the classifier is then one that was not fitted.

        Warns:
            InputWarning: if no option uses `unlabeled`.
        """
        asked = self._new_question()
        columns, targets = asked.training_data(texts, labels, self.domain)
        pool = None if unlabeled is None else asked.columns(unlabeled, self.domain)
        pool = pool if pool is not None and count(pool) else None
        held_out = asked.held_out(validation_data, self.domain)
        check_pet(self, asked, len(targets), pool, held_out is not None)
        losses = Losses(**{name: getattr(self, name) for name in LOSSES})
        if not len(targets) and (pool is None or not self.mlm_weight):
            if hasattr(self, "_fitted"):
                self._forget()
            return self if pool is None or self.calibration != "unlabeled" else self.calibrate(unlabeled)
        self._untrained(asked)  # raises, if patterns and words do not fit
        weights = self._votes(asked, columns, targets, pool)
        self._forget()
        scorers, history = self._trained(asked, [(columns, targets)] * len(weights), pool, held_out, losses)
        for generation in range(self.generations):
            generator = np.random.default_rng([self.seed, 2, generation])
            said = [self._said(scorer, pool, self._prior(scorer, pool)) for scorer in scorers]
            sets = [
                labelled_by_others(said, weights, i, generation, columns, targets, pool, generator)
                for i in range(len(said))
            ]
            scorers, history = self._trained(asked, sets, pool, held_out, losses)
        self._set(asked, scorers, weights, history)
        if self.calibration == "unlabeled" and pool is not None:
            self.priors_ = [self._prior(scorer, pool) for scorer in scorers]
        if self.distill:
            self.student_ = self._distilled(joined(columns, pool) if len(targets) else pool, held_out)
        return self

    @property
    def models_(self):
        if not hasattr(self, "_fitted"):
            raise AttributeError("This PETClassifier was not fitted, so it has no models_.")
        return [copy_of_model(scorer.lm) for scorer in self._fitted]

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
        columns, scorers = self._columns(texts), self._scorers()
        if self._question().by_input:
            raise InputError(NO_PRIOR)
        self.priors_ = [prior_of(scorer, columns, self.domain) for scorer in scorers]
        self._priors_of = self._key_of_priors()
        return self

    def save(self, folder):
        """Write the classifier: arguments, and what was trained; a reader finds the old folder or the new one.

        A classifier that was not fitted needs its model when it is loaded; one that was brings its own along.
        """
        asked, fitted = self._question(), getattr(self, "_fitted", [])
        params = self.get_params() | getattr(self, "_fixed", {})
        del params["mlm"]
        params["patterns"] = [pattern.template for pattern in asked.patterns]
        params["verbalizer"] = verbalizer_to(asked.verbalizer)
        student = getattr(self, "student_", None)
        about = {"class": type(self).__name__, "params": params, "models": len(fitted), "student": student is not None}
        about["weights"] = list(map(float, getattr(self, "weights_", [])))
        about["blank"] = [scorer.blank if scorer.blank is None else scorer.blank.tolist() for scorer in fitted]
        if getattr(self, "priors_", None) and self._priors_of == self._key_of_priors():
            about["priors"] = [
                [[domain, prior.tolist()] for domain, prior in priors.items()] for priors in self.priors_
            ]
            about["lm"] = None if fitted else fingerprint(self.mlm)
        with replaced_folder(folder, is_ours) as work:
            write_json(work / PATTERNS, about)
            for i, scorer in enumerate(fitted):
                scorer.lm.save_pretrained(work / f"model_{i}")
            if student is not None:
                student.save_pretrained(work / STUDENT)

    @classmethod
    def load(cls, folder, backbone=None):
        """Read what `save` wrote.

        Args:
            folder: where.
            backbone: the `MaskedLM` that a further `fit` starts from; needed for a classifier that was not fitted.

        Raises:
            CheckpointNotFound: if there is no classifier.
            ConfigError: if it is of another class, or needs `backbone`.
            WeightsMismatch: if it was not fitted, but calibrated, and `backbone` is another model than then.
        """
        folder, about = open_saved(folder, cls, ("models", "student", "weights", "blank"))
        models = [MaskedLM.from_pretrained(folder / f"model_{i}") for i in range(about["models"])]
        if backbone is None and not models:
            raise ConfigError(f"{folder} is of a classifier that was not fitted. Give its model as `backbone`.")
        classifier = cls(backbone, **about["params"])
        if models:
            asked = classifier._new_question()
            patterns = [pattern for pattern in asked.patterns for _ in range(classifier.repetitions)]
            scorers = [classifier._new_scorer(lm, asked, p) for lm, p in zip(models, patterns, strict=True)]
            for scorer, blank in zip(scorers, about["blank"], strict=True):
                scorer.blank = blank if blank is None else np.array(blank, "float32")
            classifier._set(asked, scorers, np.array(about["weights"]), [])
            if about["student"]:
                classifier.student_ = TextClassifier.from_pretrained(folder / STUDENT)
        if "priors" in about:
            if about["lm"] is not None:
                check_fingerprint(folder, about["lm"], fingerprint(backbone))
            classifier.priors_ = [{domain: np.array(prior) for domain, prior in each} for each in about["priors"]]
            classifier._priors_of = classifier._key_of_priors()
        return classifier

    def _new_question(self):
        asked = Question(self.patterns, self.verbalizer)
        virtual = [pattern.template for pattern in asked.patterns if pattern.num_virtual]
        if virtual:
            raise InputError(f"{virtual[0]!r} has virtual tokens, which only PTuningClassifier learns.")
        return asked

    def _columns(self, texts):
        return self._question().columns(texts, self.domain)

    def _set(self, asked, scorers, weights, history):
        """Keep what was learned."""
        self._asked, self._fitted, self.classes_ = asked, scorers, asked.labels
        self._fixed = {name: getattr(self, name) for name in FIXED}
        self.weights_, self.history_, self.student_, self.priors_ = weights, history, None, None
        self._priors_of = self._key_of_priors()

    def _forget(self):
        for name in ("_asked", "_fitted", "_fixed", "classes_", "weights_", "history_", "student_", "priors_"):
            self.__dict__.pop(name, None)

    def _new_scorer(self, lm, asked, pattern):
        options = self.max_length, self.truncate_side, self.order, self.normalization
        return Scorer(lm, pattern, asked.verbalizer, *options)

    def _key(self, asked):
        """What a compiled scorer depends on, but for its pattern and model; and the patterns."""
        fixed = getattr(self, "_fixed", {}) if asked is getattr(self, "_asked", None) else {}
        options = [fixed.get(name, getattr(self, name)) for name in FIXED[2:6]]
        return repr((asked.verbalizer, options)), [pattern.template for pattern in asked.patterns]

    def _key_of_priors(self):
        """What priors depend on: what is asked, and the models."""
        models = [scorer.lm for scorer in self._fitted] if hasattr(self, "_fitted") else [self.mlm]
        return self._key(self._question()), models

    def _untrained(self, asked):
        """The scorers of the model as it was given, which is compiled once for all patterns."""
        check_masked_lm(self.mlm)
        key = self._key(asked)[0]
        kept = getattr(self, "_base", None)
        if kept is None or kept[0] != key or kept[1].lm is not self.mlm:
            self._base = key, self._new_scorer(self.mlm, asked, asked.patterns[0])
        return [self._base[1].with_pattern(pattern) for pattern in asked.patterns]

    def _scorers(self):
        return self._fitted if hasattr(self, "_fitted") else self._untrained(self._new_question())

    def _proba(self, columns):
        if getattr(self, "student_", None) is not None:
            return student_probabilities(self.student_, self._asked, columns)
        found = self._said_by_each(columns)
        return np.tensordot(getattr(self, "weights_", np.full(len(found), 1 / len(found))), found, 1)

    def _said_by_each(self, columns):
        scorers, asked = self._scorers(), self._question()
        check_calibration(self.calibration, asked)
        priors = [None] * len(scorers)
        if self.calibration == "unlabeled" and count(columns):
            priors = getattr(self, "priors_", None)
            if priors is None or self._priors_of != self._key_of_priors():
                raise InputError("calibration='unlabeled' needs texts: call `calibrate`, or `fit` with `unlabeled`.")
        return [self._said(scorer, columns, prior) for scorer, prior in zip(scorers, priors, strict=True)]

    def _said(self, scorer, columns, prior=None):
        return label_probabilities(scorer, columns, self.calibration == "context", prior, self.domain)

    def _prior(self, scorer, pool):
        """The priors of unlabelled texts, where there are some and `calibration` asks for them."""
        return prior_of(scorer, pool, self.domain) if self.calibration == "unlabeled" and pool is not None else None

    def _votes(self, asked, columns, targets, pool):
        """How much each model counts."""
        votes = np.ones(len(asked.patterns))
        if self.ensemble == "accuracy" and len(targets):
            said = [self._said(scorer, columns, self._prior(scorer, pool)) for scorer in self._untrained(asked)]
            votes = np.array([(each.argmax(axis=1) == targets).mean() for each in said])
        votes = np.repeat(votes if votes.any() else np.ones(len(votes)), self.repetitions)
        return votes / votes.sum()

    def _trained(self, asked, sets, pool, held_out, losses):
        """A scorer for each pattern and repetition, each trained on its own set `(columns, targets)`, and histories.

        All are trained in the first one's model, which is compiled once, and moved to their own.
        """
        copies, scorers, histories = self._copies(asked, len(sets)), [], []
        for i in reversed(range(len(sets))):
            scorer = copies[0].with_pattern(asked.patterns[i // self.repetitions])
            scorer.lm.set_weights(self.mlm.get_weights())

            def score(scorer=scorer):
                said = self._said(scorer, held_out[0], self._prior(scorer, pool))
                return float((said.argmax(axis=1) == held_out[1]).mean())

            history = train(
                scorer,
                *sets[i],
                pool,
                losses,
                seed=int(np.random.SeedSequence([self.seed, i]).generate_state(1)[0]),
                epochs=self.epochs,
                batch_size=self.batch_size,
                unlabeled_batch_size=self.unlabeled_batch_size,
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
                score=None if held_out is None else score,
                patience=self.patience,
                verbose=self.verbose,
            )
            if i:
                copies[i].lm.set_weights(scorer.lm.get_weights())
            scorers.insert(0, copies[i].with_pattern(scorer.pattern))
            scorers[0].blank = scorer.blank
            histories.insert(0, history)
        return scorers, histories

    def _copies(self, asked, n):
        """Scorers of `n` copies of the model, which a further `fit` finds compiled."""
        key = self._key(asked)[0]
        kept = getattr(self, "_kept", None)
        scorers = kept[2][:n] if kept is not None and kept[0] == key and kept[1] is self.mlm else []
        self._kept = None  # so that memory holds no more copies than are needed
        pattern = asked.patterns[0]
        scorers = scorers + [self._new_scorer(copy_of_model(self.mlm), asked, pattern) for _ in range(n - len(scorers))]
        self._kept = key, self.mlm, scorers
        return scorers

    def _distilled(self, columns, held_out):
        return distilled(
            self.mlm,
            self._asked,
            columns,
            self._proba(columns),
            held_out,
            max_length=self.max_length,
            epochs=self.epochs if self.distill_epochs is None else self.distill_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
            seed=self.seed,
            verbose=self.verbose,
        )
