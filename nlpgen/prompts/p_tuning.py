"""P-tuning: a few vectors are trained, the model stays as it is (Liu et al., 2021, https://arxiv.org/abs/2103.10385).

Su's form of it (2021, https://kexue.fm/archives/8295) trains the rows of eight unused tokens and nothing else.
"""

import hashlib
import math

import keras
import numpy as np
from keras import ops

from nlpgen.checkpoints.files import replaced_folder, write_json
from nlpgen.checkpoints.safetensors import SafetensorsFile, write_safetensors
from nlpgen.errors import ConfigError, InputError, WeightsMismatch
from nlpgen.layers import PROMPT_ENCODERS, PrefixEncoder, PromptEncoder
from nlpgen.models import CausalLM, MaskedLM
from nlpgen.prompts.columns import count
from nlpgen.prompts.pattern import Pattern
from nlpgen.prompts.pet import copy_of_model
from nlpgen.prompts.prompt_classifier import PromptClassifier
from nlpgen.prompts.prompt_model import head_variables
from nlpgen.prompts.saving import PATTERNS, WEIGHTS, is_ours, open_saved, verbalizer_to
from nlpgen.prompts.scorer import HeadScorer, Scorer
from nlpgen.prompts.training import Losses, check_labels, train
from nlpgen.tasks import softmax
from nlpgen.tasks.fine_tuning import check_seed, check_validation

TRAINABLE = ("prompt", "prompt+head", "all")
HEADS = ("verbalizer", "classifier")
# Names of the layers whose learning rate is `learning_rate`.
OWN = "virtual_tokens|prefix|label_head"


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
        max_length, truncate_side, order, normalization: see `PETClassifier`.
        epochs, batch_size: of the training.
        learning_rate: the highest of the prompt; it rises to it over the first tenth of the steps and falls to zero.
        head_learning_rate, lm_learning_rate: likewise, of the head and of the model, where they are trained.
        weight_decay: factor of AdamW.
        mlm_weight, mlm_rate, mask_template: see `Losses`.
        patience: epochs without a better score on the validation data after which training ends; `None` for all.
        seed: of new layers, dropout, masks and the order of the texts.
        verbose: whether a line is printed for each epoch.

    Attributes:
        lm_: the model that the prompt belongs to: `lm` itself with `trainable="prompt"`.
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
        max_length=128,
        truncate_side="right",
        order="independent",
        normalization=None,
        epochs=20,
        batch_size=16,
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
        self.max_length = max_length
        self.truncate_side = truncate_side
        self.order = order
        self.normalization = normalization
        self.epochs = epochs
        self.batch_size = batch_size
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
            InputError: if texts, labels or options are wrong; there is no zero-shot prediction with virtual tokens that
                nothing was learned for, so labelled texts are needed.
            TrainingDiverged: if the loss is no longer a number.
        """
        self._check()
        if not len(labels):
            raise InputError(
                "PTuningClassifier has nothing to learn from: its virtual tokens mean nothing before they are trained. "
                "Give labelled texts, or use PETClassifier, which predicts without any."
            )
        self._set_classes(labels)
        columns, targets = self._training_data(texts, labels)
        pool = None if unlabeled is None else self._columns(unlabeled)
        held_out = check_validation(validation_data)
        if held_out is not None:
            held_columns = self._columns(held_out[0])
            held_out = (
                held_columns,
                check_labels(held_out[1], held_columns, self._labels_of(held_columns), "validation "),
            )
        scorer = self._worker()
        self._start(scorer)

        def score():
            return float((scorer.label_scores(held_out[0]).argmax(axis=1) == held_out[1]).mean())

        self.history_ = train(
            scorer,
            columns,
            targets,
            pool if pool is not None and count(pool) else None,
            Losses(1.0, self.mlm_weight, self.mlm_rate, self.mask_template),
            seed=self.seed,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            factors=self._factors(),
            weight_decay=self.weight_decay,
            score=None if held_out is None else score,
            patience=self.patience,
            verbose=self.verbose,
        )
        self.lm_, self._scorer = scorer.lm, scorer
        return self

    def save(self, folder):
        """Write pattern, label words and what was trained: a few kilobytes, unless head or model were trained too.

        A reader finds the old folder or the new one.
        """
        scorer = self._fitted()
        params = {name: value for name, value in self.get_params().items() if name != "lm"}
        params["pattern"] = self._patterns()[0].template
        params["verbalizer"] = None if self.verbalizer is None else verbalizer_to(self._verbalizer())
        about = {"class": type(self).__name__, "params": params, "classes": self.classes_, "lm": fingerprint(self.lm_)}
        model, tensors = scorer.model, {}
        if model.prompt is not None:
            tensors["virtual_tokens"] = ops.convert_to_numpy(model.prompt.vectors())
        if model.prefix is not None:
            tensors["prefix"] = ops.convert_to_numpy(model.prefix.vectors())
        if model.classifier is not None:
            tensors |= {f"classifier/{w.name}": ops.convert_to_numpy(w) for w in model.classifier.weights}
        if self.trainable == "prompt+head":
            tensors |= {f"head/{i}": ops.convert_to_numpy(v) for i, v in enumerate(head_variables(self.lm_))}
        with replaced_folder(folder, is_ours) as work:
            write_json(work / PATTERNS, about)
            write_safetensors(work / WEIGHTS, {name: np.asarray(x, "float32") for name, x in tensors.items()})
            if self.trainable == "all":
                self.lm_.save_pretrained(work / "model")

    @classmethod
    def load(cls, folder, backbone=None):
        """Read what `save` wrote.

        Args:
            folder: where.
            backbone: the language model that the prompt was trained for, which may be shared by several; not needed
                where the whole model was trained and lies in the folder.

        Raises:
            CheckpointNotFound: if there is no classifier.
            ConfigError: if it is of another class, or needs `backbone`.
            WeightsMismatch: if `backbone` is another model than that of the training.
        """
        folder, about = open_saved(folder, cls)
        params = about["params"]
        kind = CausalLM if about["lm"]["class"] == "CausalLM" else MaskedLM
        if params["trainable"] == "all":
            backbone = kind.from_pretrained(folder / "model")
        elif backbone is None:
            raise ConfigError(f"{folder} holds a prompt, not its model. Give the model as `backbone`.")
        check_fingerprint(folder, about["lm"], backbone)
        classifier = cls(backbone, **params)
        classifier.classes_, classifier.history_ = about["classes"], []
        tensors = SafetensorsFile(folder / WEIGHTS)
        lm = classifier._own_lm(fresh=False)
        prompt = prefix = None
        if "virtual_tokens" in tensors:
            prompt = PromptEncoder.of(tensors["virtual_tokens"])
        if "prefix" in tensors:
            prefix = PrefixEncoder.of(tensors["prefix"])
        scorer = classifier._new_scorer(lm, prompt, prefix)
        if scorer.model.classifier is not None:
            for weight in scorer.model.classifier.weights:
                weight.assign(tensors[f"classifier/{weight.name}"])
        if params["trainable"] == "prompt+head":
            for i, variable in enumerate(head_variables(lm)):
                variable.assign(tensors[f"head/{i}"])
        classifier.lm_, classifier._scorer = lm, scorer
        return classifier

    def _patterns(self):
        needs_mask = self.head == "verbalizer"
        pattern = self.pattern if isinstance(self.pattern, Pattern) else Pattern(self.pattern, needs_mask)
        return [pattern]

    def _labels_of(self, columns):
        if self.head == "classifier":
            return [self.classes_] * count(columns)
        return super()._labels_of(columns)

    def _verbalizer(self):
        return None if self.head == "classifier" else super()._verbalizer()

    def _set_classes(self, labels):
        if self.head == "classifier":
            labels = list(labels)
            wrong = [label for label in labels if not isinstance(label, str) or not label.strip()]
            if wrong or len(set(labels)) < 2:
                raise InputError(
                    f"Labels must be strings, two different ones or more. Received: {(wrong or labels)[0]!r}"
                )
            self.classes_ = sorted(set(labels))
        else:
            self.classes_ = getattr(self._verbalizer(), "labels", None)

    def _check(self):
        check_seed(self.seed)
        (pattern,), problems = self._patterns(), []
        for name, known in {"trainable": TRAINABLE, "prompt_encoder": PROMPT_ENCODERS, "head": HEADS}.items():
            if getattr(self, name) not in known:
                problems.append(f"`{name}` must be one of {', '.join(known)}. Received: {getattr(self, name)!r}")
        if not isinstance(self.lm, MaskedLM | CausalLM):
            problems.append(f"`lm` must be a MaskedLM or a CausalLM. Received: {self.lm!r:.80}")
        if not isinstance(self.prefix_length, int) or self.prefix_length < 0:
            problems.append(f"`prefix_length` must be a whole number, 0 or more. Received: {self.prefix_length!r}")
        elif not pattern.num_virtual and not self.prefix_length and self.trainable == "prompt":
            problems.append(
                f"nothing would be trained: the pattern {pattern.template!r} has no virtual tokens such as [P*4], and "
                "`prefix_length` is 0"
            )
        if self.head == "verbalizer" and self.verbalizer is None:
            problems.append("`verbalizer` is missing: `{label: word}`, or head='classifier'")
        for name in ("head_learning_rate", "lm_learning_rate", "learning_rate"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                problems.append(f"`{name}` must be a number above 0. Received: {value!r}")
        if problems:
            raise InputError("PTuningClassifier cannot be fitted like this:\n  " + "\n  ".join(problems))

    def _own_lm(self, fresh=True):
        """The model to train with: the given one, one with a head of its own on the same backbone, or a copy."""
        if self.trainable == "prompt" or (self.trainable == "all" and not fresh):
            return self.lm
        if self.trainable == "all":
            return copy_of_model(self.lm)
        if not head_variables(self.lm):
            raise InputError("This language model has no head of its own. Use trainable='prompt' or 'all'.")
        lm = type(self.lm)(self.lm.backbone)
        lm.build()
        for ours, theirs in zip(head_variables(lm), head_variables(self.lm), strict=True):
            ours.assign(theirs)
        return lm

    def _worker(self):
        """The scorer to be trained, which a further `fit` finds compiled."""
        names = ("pattern", "trainable", "prompt_encoder", "prompt_hidden_size", "prefix_length", "prefix_hidden_size")
        names += ("head", "max_length", "truncate_side", "order", "normalization")
        key = id(self.lm), repr(self._verbalizer()), repr(self.classes_), *(repr(getattr(self, n)) for n in names)
        if getattr(self, "_kept", (None, None))[0] != key:
            self._kept = key, self._new_scorer(self._own_lm(), self._new_prompt(), self._new_prefix())
        scorer = self._kept[1]
        if self.trainable == "all":
            scorer.lm.set_weights(self.lm.get_weights())
        elif self.trainable == "prompt+head":
            for ours, theirs in zip(head_variables(scorer.lm), head_variables(self.lm), strict=True):
                ours.assign(theirs)
        return scorer

    def _new_prompt(self):
        count = self._patterns()[0].num_virtual
        if not count:
            return None
        size = self.lm.backbone.embeddings.token.output_dim
        prompt = PromptEncoder(
            count, size, self.prompt_encoder, self.prompt_hidden_size, name="virtual_tokens", dtype="float32"
        )
        prompt.build()
        return prompt

    def _new_prefix(self):
        if not self.prefix_length:
            return None
        backbone = self.lm.backbone
        attention = getattr(backbone, "layer_blocks", getattr(backbone, "blocks", None))[0].attention
        prefix = PrefixEncoder(
            self.prefix_length,
            backbone.config.num_hidden_layers,
            attention.num_key_value_heads,
            attention.head_size,
            hidden_size=self.prefix_hidden_size,
            name="prefix",
            dtype="float32",
        )
        prefix.build()
        return prefix

    def _new_scorer(self, lm, prompt, prefix):
        (pattern,) = self._patterns()
        if self.head == "verbalizer":
            return Scorer(
                lm,
                pattern,
                self._verbalizer(),
                self.max_length,
                self.truncate_side,
                self.order,
                self.normalization,
                prompt=prompt,
                prefix=prefix,
                trainable_part=self.trainable,
            )
        dense = keras.layers.Dense(len(self.classes_), name="label_head", dtype="float32")
        return HeadScorer(
            lm, pattern, self.classes_, dense, self.max_length, self.truncate_side, prompt, prefix, self.trainable
        )

    def _start(self, scorer):
        """First values of all that is new, the same on every backend."""
        generator, model = np.random.default_rng([self.seed, 3]), scorer.model
        table = ops.convert_to_numpy(ops.cast(self.lm.backbone.embeddings.token.embeddings, "float32"))
        for layer in filter(None, (model.prompt, model.prefix, model.classifier)):
            for weight in layer.weights:
                if len(weight.shape) > 1:
                    stddev = 0.02 if weight.name == "embeddings" else math.sqrt(2 / sum(weight.shape[-2:]))
                    weight.assign(generator.normal(0, stddev, weight.shape))
                else:
                    weight.assign(np.zeros(weight.shape))
        if model.prompt is not None:
            model.prompt.embeddings.assign(self._first_vectors(table, model.prompt.num_tokens, generator))

    def _first_vectors(self, table, n, generator):
        tokenizer = self.lm.tokenizer
        if self.init is not None:
            ids = tokenizer.ids(self.init)
            if not ids:
                raise InputError(f"`init` must be a text with a token or more. Received: {self.init!r}")
            return table[[ids[i % len(ids)] for i in range(n)]]
        unused = [f"[unused{i + 1}]" for i in range(n)]
        if all(token in tokenizer.vocab for token in unused):
            return table[[tokenizer.vocab.id(token) for token in unused]]
        return generator.normal(0, table.std(), (n, table.shape[1]))

    def _factors(self):
        rate = {"prompt+head": self.head_learning_rate, "all": self.lm_learning_rate}.get(self.trainable)
        return None if rate is None else {rf"^(?!.*({OWN})/)": rate / self.learning_rate}

    def _fitted(self):
        if not hasattr(self, "_scorer"):
            raise InputError("This PTuningClassifier has learned nothing yet. Call `fit`, or load one by `load`.")
        return self._scorer

    def _proba(self, columns):
        return softmax(self._fitted().label_scores(columns))


def fingerprint(lm):
    """What tells a language model from others: class, architecture, sizes, a hash of its vocabulary, and the mean sizes
    of some of its embeddings, which half precision hardly changes."""
    config = lm.backbone.config
    table = ops.convert_to_numpy(ops.cast(ops.convert_to_tensor(lm.backbone.embeddings.token.embeddings), "float32"))
    some = np.linspace(0, len(table) - 1, 8, dtype=int)
    tokens = "\n".join(lm.tokenizer.vocab.tokens)
    return {
        "class": type(lm).__name__,
        "model_type": lm.backbone.model_type,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "vocabulary": hashlib.sha256(tokens.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        "weights": [round(float(x), 4) for x in np.abs(table[some]).mean(axis=1)],
    }


def check_fingerprint(folder, expected, lm):
    """Raise `WeightsMismatch` unless a language model is the one a prompt was trained for."""
    found = fingerprint(lm)
    wrong = [
        f"{name}: {expected.get(name)!r} expected, {found[name]!r} found"
        for name in found
        if name != "weights" and found[name] != expected.get(name)
    ]
    if not wrong and not np.allclose(found["weights"], expected["weights"], rtol=0.01, atol=1e-4):
        wrong.append(f"weights: other values ({expected['weights']} expected, {found['weights']} found)")
    if wrong:
        raise WeightsMismatch(
            f"{folder} was trained for another model than `backbone`:\n  " + "\n  ".join(wrong) + "\nGive that model."
        )
