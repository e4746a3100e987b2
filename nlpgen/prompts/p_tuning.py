"""P-tuning: a few vectors are trained, the model stays as it is (Liu et al., 2021, https://arxiv.org/abs/2103.10385).

Su's form of it (2021, https://kexue.fm/archives/8295) trains the rows of eight unused tokens and nothing else.
"""

import warnings

import keras
import numpy as np
from keras import ops

from nlpgen.checkpoints.files import replaced_folder, write_json
from nlpgen.checkpoints.safetensors import SafetensorsFile, write_safetensors
from nlpgen.errors import ConfigError, InputError, InputWarning
from nlpgen.layers import PrefixEncoder, PromptEncoder
from nlpgen.models import CausalLM, MaskedLM
from nlpgen.prompts.arguments import check_p_tuning
from nlpgen.prompts.columns import count
from nlpgen.prompts.head_scorer import HeadScorer
from nlpgen.prompts.new_prompts import new_prefix, new_prompt, start
from nlpgen.prompts.pattern import Pattern
from nlpgen.prompts.prompt_classifier import PromptClassifier
from nlpgen.prompts.prompt_model import head_variables, with_own_head
from nlpgen.prompts.question import Question
from nlpgen.prompts.saving import (
    PATTERNS,
    WEIGHTS,
    check_fingerprint,
    check_lengths,
    copy_of_model,
    fingerprint,
    is_ours,
    open_saved,
    verbalizer_to,
)
from nlpgen.prompts.scorer import Scorer
from nlpgen.prompts.training import Losses, train
from nlpgen.prompts.verbalizer import label_problems
from nlpgen.tasks import softmax

# Names of the layers whose learning rate is `learning_rate`.
OWN = "virtual_tokens|prefix|label_head"
# Arguments that what was learned depends on: `set_params` changes them for the next `fit` only.
FIXED = (
    *("pattern", "verbalizer", "trainable", "prompt_encoder", "prompt_hidden_size", "prefix_length"),
    *("prefix_hidden_size", "head", "lm_dropout", "max_length", "truncate_side", "order"),
    "normalization",
)


class PTuningClassifier(PromptClassifier):
    """A classifier that learns virtual tokens for a language model, and keeps the rest of it.

    See `PromptClassifier` for the forms of inputs.

    Args:
        lm: a `MaskedLM` or `CausalLM` with its tokenizer, which may be shared: it is never changed.
        pattern: with virtual tokens, e.g. `"[P*4][MASK][P*4]{text}"`; for a `CausalLM` its `[MASK]` must be last, as in
            `"[P*4]{text}[P*4][MASK]"`.
        verbalizer: see `PETClassifier`; not needed with `head="classifier"`.
        trainable: `"prompt"`, only virtual tokens and prefixes; `"prompt+head"`, a copy of the language-model head too;
            `"all"`, a copy of the whole model too.
        prompt_encoder: how the virtual tokens come about, see `PromptEncoder`: `"embedding"`, `"lstm"` or `"mlp"`.
        prompt_hidden_size: width of the latter two.
        init: what the virtual tokens start as: a text, whose tokens are repeated; `None` for `[unused1]`, `[unused2]`,
            …, and where the vocabulary has none, random rows as large as its own.
        prefix_length: keys and values that are trained in front of every block (P-tuning v2); 0 for none.
        prefix_hidden_size: see `PrefixEncoder`.
        head: `"verbalizer"`, or `"classifier"` for a dense layer on the first token (the last of a `CausalLM`), as
            P-tuning v2 has it.
        lm_dropout: whether the model drops out units while the prompt learns; `None` to do so with `trainable="all"`
            only. Dropout keeps a model from overfitting to what it is trained on; a few vectors in front of a frozen
            one do not overfit, and in a small model its noise is larger than what they can change.
        max_length, truncate_side, order, normalization: see `PETClassifier`.
        epochs, batch_size, unlabeled_batch_size: of the training, see `PETClassifier`.
        learning_rate: the highest of the prompt; it rises to it over the first tenth of the steps and falls to zero.
        head_learning_rate, lm_learning_rate: likewise, of the head and of the model, where they are trained.
        weight_decay: factor of AdamW.
        mlm_weight, mlm_rate, mask_template: see `Losses`.
        patience: epochs without a better score on the validation data after which training ends; `None` for all.
        seed: of new layers, dropout, masks and the order of the texts.
        verbose: whether a line is printed for each epoch.

    Attributes:
        lm_: the model that the prompt belongs to: `lm` itself with `trainable="prompt"`, otherwise a copy, made when
            asked for, which a further `fit` leaves alone.
        classes_: the labels; `None` with `Candidates`.
        history_: a dict for each epoch: epoch, loss, seconds, and score on the validation data.
    """

    def __init__(
        self,
        lm,
        pattern,
        verbalizer=None,
        trainable="prompt",
        prompt_encoder="embedding",
        prompt_hidden_size=None,
        init=None,
        prefix_length=0,
        prefix_hidden_size=None,
        head="verbalizer",
        lm_dropout=None,
        max_length=128,
        truncate_side="right",
        order="independent",
        normalization=None,
        epochs=20,
        batch_size=16,
        unlabeled_batch_size=None,
        learning_rate=1e-2,
        head_learning_rate=1e-3,
        lm_learning_rate=3e-5,
        weight_decay=0.01,
        mlm_weight=0.0,
        mlm_rate=0.15,
        mask_template=False,
        patience=None,
        seed=0,
        verbose=False,
    ):
        self.lm = lm
        self.pattern = pattern
        self.verbalizer = verbalizer
        self.trainable = trainable
        self.prompt_encoder = prompt_encoder
        self.prompt_hidden_size = prompt_hidden_size
        self.init = init
        self.prefix_length = prefix_length
        self.prefix_hidden_size = prefix_hidden_size
        self.head = head
        self.lm_dropout = lm_dropout
        self.max_length = max_length
        self.truncate_side = truncate_side
        self.order = order
        self.normalization = normalization
        self.epochs = epochs
        self.batch_size = batch_size
        self.unlabeled_batch_size = unlabeled_batch_size
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.lm_learning_rate = lm_learning_rate
        self.weight_decay = weight_decay
        self.mlm_weight = mlm_weight
        self.mlm_rate = mlm_rate
        self.mask_template = mask_template
        self.patience = patience
        self.seed = seed
        self.verbose = verbose

    def fit(self, texts, labels, unlabeled=None, validation_data=None):
        """Train the prompt anew, whatever was learned before.

        Args:
            texts: inputs, see the class.
            labels: a list of strings, as many.
            unlabeled: further inputs for the auxiliary loss.
            validation_data: `(texts, labels)`; what the epoch with the best accuracy there learned is kept.

        Returns:
            The classifier.

        Raises:
            InputError: if texts, labels or options are wrong; what was learned before stays. There is no zero-shot
                prediction with virtual tokens that nothing was learned for, so labelled texts are needed.
            TrainingDiverged: if the loss is no longer a number; the classifier is then one that was not fitted.

        Warns:
            InputWarning: if there is `unlabeled`, but no auxiliary loss.
        """
        asked = self._new_question(labels, validation_data is not None)
        columns, targets = asked.training_data(texts, labels)
        pool = None if unlabeled is None else asked.columns(unlabeled)
        held_out = asked.held_out(validation_data)
        if pool is not None and not self.mlm_weight:
            warnings.warn("`unlabeled` is not used: `mlm_weight` is 0.", InputWarning, stacklevel=2)
        scorer = self._worker(asked)
        self._forget()
        start(scorer.model, self.init, self.seed)

        def score():
            return float((scorer.label_scores(held_out[0]).argmax(axis=1) == held_out[1]).mean())

        history = train(
            scorer,
            columns,
            targets,
            pool if pool is not None and count(pool) else None,
            Losses(1.0, self.mlm_weight, self.mlm_rate, self.mask_template),
            seed=self.seed,
            epochs=self.epochs,
            batch_size=self.batch_size,
            unlabeled_batch_size=self.unlabeled_batch_size,
            learning_rate=self.learning_rate,
            factors=self._factors(),
            weight_decay=self.weight_decay,
            score=None if held_out is None else score,
            patience=self.patience,
            verbose=self.verbose,
        )
        self._set(asked, scorer, history)
        return self

    @property
    def lm_(self):
        if not hasattr(self, "_scorer"):
            raise AttributeError("This PTuningClassifier was not fitted, so it has no lm_.")
        lm, part = self._scorer.lm, self._fixed["trainable"]
        return lm if part == "prompt" else copy_of_model(lm) if part == "all" else with_own_head(lm)

    def save(self, folder):
        """Write pattern, label words and what was trained: a few kilobytes, unless head or model were trained too.

        A reader finds the old folder or the new one.
        """
        scorer = self._fitted()
        params = self.get_params() | self._fixed
        del params["lm"]
        params["pattern"], verbalizer = scorer.pattern.template, self._asked.verbalizer
        params["verbalizer"] = None if verbalizer is None else verbalizer_to(verbalizer)
        part = params["trainable"]
        about = {"class": type(self).__name__, "params": params, "classes": self.classes_}
        about["lm"] = fingerprint(scorer.lm, with_head=part == "prompt")
        model, tensors = scorer.model, {}
        if model.prompt is not None:
            tensors["virtual_tokens"] = ops.convert_to_numpy(model.prompt.vectors())
        if model.prefix is not None:
            tensors["prefix"] = ops.convert_to_numpy(model.prefix.vectors())
        if scorer.blank is not None:
            tensors["blank"] = scorer.blank
        if model.classifier is not None:
            tensors |= {f"classifier/{w.name}": ops.convert_to_numpy(w) for w in model.classifier.weights}
        if part == "prompt+head":
            tensors |= {f"head/{i}": ops.convert_to_numpy(v) for i, v in enumerate(head_variables(scorer.lm))}
        with replaced_folder(folder, is_ours) as work:
            write_json(work / PATTERNS, about)
            write_safetensors(work / WEIGHTS, {name: np.asarray(x, "float32") for name, x in tensors.items()})
            if part == "all":
                scorer.lm.save_pretrained(work / "model")

    @classmethod
    def load(cls, folder, backbone=None):
        """Read what `save` wrote.

        Args:
            folder: where.
            backbone: the language model that the prompt was trained for, which may be shared by several. Where the
                whole model was trained and lies in the folder, it is only needed for a further `fit`.

        Raises:
            CheckpointNotFound: if there is no classifier.
            ConfigError: if it is of another class, or needs `backbone`.
            WeightsMismatch: if `backbone` is another model than that of the training, or the pattern has not as many
                virtual tokens, or the prefix not as many places, as there are vectors.
        """
        folder, about = open_saved(folder, cls, ("classes", "lm"))
        params = about["params"]
        if params["trainable"] == "all":
            kind = CausalLM if about["lm"]["class"] == "CausalLM" else MaskedLM
            lm = kind.from_pretrained(folder / "model")
        elif backbone is None:
            raise ConfigError(f"{folder} holds a prompt, not its model. Give the model as `backbone`.")
        else:
            check_fingerprint(folder, about["lm"], fingerprint(backbone, with_head=params["trainable"] == "prompt"))
            lm = backbone if params["trainable"] == "prompt" else with_own_head(backbone)
        classifier, tensors = cls(backbone, **params), SafetensorsFile(folder / WEIGHTS)
        prompt = prefix = None
        if "virtual_tokens" in tensors:
            prompt = PromptEncoder.of(tensors["virtual_tokens"])
        if "prefix" in tensors:
            prefix = PrefixEncoder.of(tensors["prefix"])
        asked = classifier._question_of(about["classes"])
        check_lengths(folder, asked.patterns[0], classifier.prefix_length, prompt, prefix)
        scorer = classifier._new_scorer(lm, asked, prompt, prefix)
        if "blank" in tensors:
            scorer.blank = tensors["blank"]
        if scorer.model.classifier is not None:
            for weight in scorer.model.classifier.weights:
                weight.assign(tensors[f"classifier/{weight.name}"])
        if params["trainable"] == "prompt+head":
            for i, variable in enumerate(head_variables(lm)):
                variable.assign(tensors[f"head/{i}"])
        classifier._set(asked, scorer, [])
        return classifier

    def _question_of(self, classes):
        if self.head == "classifier":
            return Question([self.pattern], None, classes)
        return Question([self.pattern], self.verbalizer)

    def _new_question(self, labels, is_scored):
        """What the arguments ask; raises `InputError` with all that is wrong with them and the labels."""
        if labels is None or isinstance(labels, str) or not hasattr(labels, "__len__"):
            raise InputError(f"Give a list of labels. Received: {type(labels).__name__}")
        labels, is_head = list(labels), self.head == "classifier"
        pattern = self.pattern if isinstance(self.pattern, Pattern) else Pattern(self.pattern, needs_mask=not is_head)
        check_p_tuning(self, pattern, is_scored)
        if not labels:
            raise InputError(
                "PTuningClassifier has nothing to learn from: its virtual tokens mean nothing before they are trained. "
                "Give labelled texts, or use PETClassifier, which predicts without any."
            )
        wrong = list(dict.fromkeys(problem for label in labels for problem in label_problems(label))) if is_head else []
        if wrong:
            raise InputError("These labels cannot be used:\n  " + "\n  ".join(wrong[:10]) + "\nCorrect them.")
        return self._question_of(sorted(set(labels)) if is_head else None)

    def _question(self):
        self._fitted()
        return self._asked

    def _set(self, asked, scorer, history):
        """Keep what was learned."""
        self._asked, self._scorer, self.history_, self.classes_ = asked, scorer, history, asked.labels
        self._fixed = {name: getattr(self, name) for name in FIXED}

    def _forget(self):
        for name in ("_asked", "_scorer", "_fixed", "history_", "classes_"):
            self.__dict__.pop(name, None)

    def _own_lm(self):
        """The model to train with: the given one, one with a head of its own on the same backbone, or a copy."""
        if self.trainable == "prompt":
            return self.lm
        return copy_of_model(self.lm) if self.trainable == "all" else with_own_head(self.lm)

    def _worker(self, asked):
        """The scorer to be trained, which a further `fit` finds compiled."""
        key = repr([asked.patterns, asked.verbalizer, asked.labels, *(getattr(self, name) for name in FIXED[2:])])
        kept = getattr(self, "_kept", None)
        if kept is None or kept[0] != key or kept[1] is not self.lm:
            self._kept = None  # so that memory holds one only
            (pattern,) = asked.patterns
            prompt = new_prompt(self.lm, pattern.num_virtual, self.prompt_encoder, self.prompt_hidden_size)
            prefix = new_prefix(self.lm, self.prefix_length, self.prefix_hidden_size)
            scorer = self._new_scorer(self._own_lm(), asked, prompt, prefix)
            self._kept = key, self.lm, scorer
        scorer = self._kept[2]
        if self.trainable == "all":
            scorer.lm.set_weights(self.lm.get_weights())
        elif self.trainable == "prompt+head":
            for ours, theirs in zip(head_variables(scorer.lm), head_variables(self.lm), strict=True):
                ours.assign(ops.convert_to_numpy(theirs))
        return scorer

    def _new_scorer(self, lm, asked, prompt, prefix):
        (pattern,) = asked.patterns
        lm_dropout = self.trainable == "all" if self.lm_dropout is None else self.lm_dropout
        if asked.verbalizer is not None:
            return Scorer(
                lm,
                pattern,
                asked.verbalizer,
                self.max_length,
                self.truncate_side,
                self.order,
                self.normalization,
                prompt=prompt,
                prefix=prefix,
                trainable_part=self.trainable,
                lm_dropout=lm_dropout,
            )
        dense = keras.layers.Dense(len(asked.labels), name="label_head", dtype="float32")
        return HeadScorer(
            lm,
            pattern,
            asked.labels,
            dense,
            self.max_length,
            self.truncate_side,
            prompt,
            prefix,
            self.trainable,
            lm_dropout,
        )

    def _factors(self):
        rate = {"prompt+head": self.head_learning_rate, "all": self.lm_learning_rate}.get(self.trainable)
        return None if rate is None else {rf"^(?!.*({OWN})/)": rate / self.learning_rate}

    def _fitted(self):
        if not hasattr(self, "_scorer"):
            raise InputError("This PTuningClassifier has learned nothing yet. Call `fit`, or load one by `load`.")
        return self._scorer

    def _proba(self, columns):
        return softmax(self._fitted().label_scores(columns))
