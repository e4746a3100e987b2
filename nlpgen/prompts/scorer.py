"""One language model asked by one pattern: inputs to scores of labels."""

import copy

import numpy as np

from nlpgen.errors import InputError, NonFiniteOutput
from nlpgen.models import CausalLM
from nlpgen.prompts.pattern import Cloze
from nlpgen.prompts.prompt_model import HIDDEN, PromptModel
from nlpgen.prompts.rows import Row, batch_of, most_words, run
from nlpgen.prompts.verbalizer import NORMALIZATIONS, ORDERS, Candidates, Plan, plan, word_ids
from nlpgen.text import check_truncation


class Scorer:
    """Scores the labels of inputs; the base that PET and P-tuning share.

    Args:
        lm: a `MaskedLM` or `CausalLM` with its tokenizer; for the latter the pattern must end with its `[MASK]`.
        pattern: a `Pattern`.
        verbalizer: a `Verbalizer` or `Candidates`.
        max_length: most tokens, special ones included; `None` for the model's own limit.
        truncate_side: which end of a long field is cut.
        order: in which the tokens of a word are read: see `plan`; or `"most_confident_first"`, at each step the token
            of the word that the model finds likeliest, with those before it filled in (Schick & Schütze, 2021,
            https://arxiv.org/abs/2009.07118). Training and `CausalLM` have their own: tokens are independent there if
            `most_confident_first` is asked for, and left to right in a `CausalLM`.
        normalization: of the scores of words: `"length"` for the mean over their tokens, `"pmi"` to subtract their
            score in the pattern without a text (Holtzman et al., 2021, https://arxiv.org/abs/2104.08315). That score is
            the model's own until labels are learned, see `keep_blank`.
        prompt, prefix, trainable_part, lm_dropout: see `PromptModel`.

    Attributes:
        model: the `PromptModel`.
        blank: what `"pmi"` subtracts of each word, or `None` for what the model says at the time.
    """

    def __init__(
        self,
        lm,
        pattern,
        verbalizer,
        max_length=128,
        truncate_side="right",
        order="independent",
        normalization=None,
        prompt=None,
        prefix=None,
        trainable_part="all",
        lm_dropout=True,
    ):
        self._set(lm, pattern, max_length, truncate_side)
        self.verbalizer, self.order, self.normalization = verbalizer, order, normalization
        self.blank = None
        self._check()
        self.by_input = isinstance(verbalizer, Candidates)
        if self.by_input:
            columns, exact, self.num_labels = None, True, None
        else:
            self.words, self.owners = verbalizer.encode(self.tokenizer)
            self._check_words()
            self.plan = self._plan(self.words)
            columns = np.unique(self.plan.token[self.plan.weight > 0])
            exact, self.num_labels = self.plan.is_exact, len(verbalizer.labels)
        self.columns = columns
        self._options = {
            "columns": columns,
            "exact": exact or order == "most_confident_first",
            "prompt": prompt,
            "prefix": prefix,
            "first_virtual": len(self.tokenizer.vocab),
            "trainable_part": trainable_part,
            "lm_dropout": lm_dropout,
        }
        self.model = self._new_model(self.num_labels)
        # Shared with the scorers that `with_pattern` makes, so that it is compiled once.
        self._word_models = [self.model] if self.by_input else []

    def with_pattern(self, pattern):
        """A scorer of the same model, compiled once for both, that asks by another pattern."""
        other = copy.copy(self)
        other.pattern, other.blank = pattern, None
        other._check()
        if not self.by_input:
            other._check_words()
        return other

    @property
    def further_columns(self):
        """Columns that inputs must have besides the pattern's fields."""
        return (self.verbalizer.field,) if self.by_input else ()

    def rows(self, columns):
        """Inputs, as columns, to a list of `Row`."""
        rows = self._rows(columns)
        if self.normalization != "pmi" or not rows:
            return rows
        scores = self._blank_scores(columns, len(rows)) if self.blank is None else self.blank[None]
        for i, row in enumerate(rows):
            row.bias[:] = -scores[i if self.by_input else 0, : len(row.bias)]
        return rows

    def keep_blank(self):
        """Let `"pmi"` subtract what the model says of the words now, whatever it learns: labels that are learned with a
        constant are asked with the same one."""
        if self.normalization == "pmi":
            self.blank = self._blank_scores({}, 1)[0]

    def label_scores(self, columns):
        """Log scores of the labels, whose softmax are the probabilities: `(inputs, labels)`.

        Raises:
            NonFiniteOutput: if the model gives NaN or infinity.
        """
        rows = self.rows(columns)
        scores = self._of_labels(self._scored(rows)) if self.is_stepwise else self._run(self.model, rows)
        if not np.isfinite(scores).all():
            first = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
            raise NonFiniteOutput(f"The model gave NaN or infinity for `texts[{first}]`: its weights are damaged.")
        return scores

    def token_scores(self, columns, ids):
        """Log probabilities of single tokens in the pattern's mask: `(inputs, tokens)`. Needs `Candidates`, with which
        the whole vocabulary is read."""
        one = self._plan([[id] for id in ids])
        return self._word_scores(
            [self._row(clozes, one, range(len(ids))) for clozes in self._encode(columns, one.fills)]
        )

    def inputs(self, rows, length):
        """A batch of rows, padded to a length, as inputs of the `PromptModel`."""
        return batch_of(rows, length, self.tokenizer.pad_id or 0, self.columns, self.has_segments)

    @property
    def is_stepwise(self):
        """Whether what is filled in depends on the text."""
        return self.order == "most_confident_first" and not self.causal

    @property
    def has_segments(self):
        """Whether the model tells a second segment from the first."""
        return not self.causal and (getattr(self.lm.backbone.config, "type_vocab_size", 0) or 0) > 1

    def _set(self, lm, pattern, max_length, truncate_side):
        """What every scorer has."""
        if lm.tokenizer is None:
            raise InputError("The language model has no tokenizer. Load it from a folder with a vocabulary.")
        check_truncation(max_length, truncate_side)
        self.lm, self.pattern, self.truncate_side = lm, pattern, truncate_side
        self.tokenizer, self.causal = lm.tokenizer, isinstance(lm, CausalLM)
        limits = [n for n in (max_length, lm.backbone.longest) if n is not None]
        self.max_length = min(limits, default=None)

    def _check(self):
        problems = []
        if self.order not in ORDERS:
            problems.append(f"`order` must be one of {', '.join(ORDERS)}. Received: {self.order!r}")
        if self.normalization not in NORMALIZATIONS:
            known = ", ".join(map(repr, NORMALIZATIONS))
            problems.append(f"`normalization` must be one of {known}. Received: {self.normalization!r}")
        if self.causal and not self.pattern.mask_is_last:
            problems.append(
                f"a {type(self.lm).__name__} reads from left to right: the pattern must end with its one [MASK]. "
                f"Received: {self.pattern.template!r}"
            )
        if problems:
            raise InputError("Pattern and options do not fit:\n  " + "\n  ".join(problems))

    def _check_words(self):
        self._check_lengths(self.words, [word for table in self.verbalizer.words.values() for word in table])

    def _check_lengths(self, words, names):
        masks = self.pattern.num_masks
        wrong = [
            f"{name!r} has {len(ids)} tokens, but the pattern has {masks} `[MASK]`"
            for name, ids in zip(names, words, strict=True)
            if masks > 1 and len(ids) != masks
        ]
        if wrong:
            raise InputError(
                "These label words do not fit:\n  " + "\n  ".join(wrong) + "\nChoose words of as many tokens as the "
                "pattern has masks, or write one `[MASK]`, which takes words of any length."
            )

    def _plan(self, words):
        mask = None if self.causal else self.tokenizer.mask_id
        return plan(words, mask, "independent" if self.order == "most_confident_first" else self.order, self.causal)

    def _rows(self, columns):
        if not self.by_input:
            encoded = self._encode(columns, self.plan.fills)
            return [self._row(clozes, self.plan, self.owners) for clozes in encoded]
        rows = []
        for i, candidates in enumerate(columns[self.verbalizer.field]):
            try:
                words = word_ids(candidates, self.tokenizer)
                self._check_lengths(words, candidates)
            except InputError as error:
                raise InputError(f"`{self.verbalizer.field}[{i}]`: {error}") from None
            each = self._plan(words)
            one = {name: [columns[name][i]] for name in self.pattern.fields}
            rows.append(self._row(self._encode(one, each.fills)[0], each, range(len(words))))
        return rows

    def _blank_scores(self, columns, n):
        """Scores of words without a text: a row for each of `n` inputs, or one, where all have the same words."""
        blank = {name: [""] * (n if self.by_input else 1) for name in self.pattern.fields}
        blank |= {name: columns[name] for name in self.further_columns}
        return self._scored(self._rows(blank))

    def _row(self, clozes, plan, owners):
        scale = 1 / plan.lengths if self.normalization == "length" else np.ones(len(plan.lengths))
        return Row(clozes, plan, tuple(owners), scale.astype("float32"), np.zeros(len(scale), "float32"))

    def _encode(self, columns, fills):
        return self.pattern.encode(self.tokenizer, columns, fills, self.max_length, self.truncate_side, self.causal)

    def _new_model(self, num_labels):
        model = PromptModel(self.lm, num_labels, **self._options)
        model.build()
        return model

    def _word_scores(self, rows):
        if not self._word_models:
            self._word_models.append(self._new_model(None))
        return self._run(self._word_models[0], rows)

    def _scored(self, rows):
        """Scores of words, in the order that was asked for: `(rows, words)`."""
        return self._most_confident_first(rows) if self.is_stepwise else self._word_scores(rows)

    def _run(self, model, rows):
        return run(model, rows, self.inputs)

    def _of_labels(self, scores):
        """Scores of words to scores of labels."""
        if self.by_input:
            return scores
        owners = np.array(self.owners)
        return np.stack([np.logaddexp.reduce(scores[:, owners == i], axis=1) for i in range(self.num_labels)], axis=1)

    def _most_confident_first(self, rows):
        """Scores of words `(rows, words)`, each token read with the likelier ones of its word filled in."""
        scores = np.full((len(rows), most_words(rows)), HIDDEN)
        open_words = {}  # (row, word): what stands at its masks, and its log probability so far
        for i, row in enumerate(rows):
            for w, n in enumerate(row.plan.lengths):
                open_words[i, w] = [self.tokenizer.mask_id] * n, 0.0
        while open_words:
            states = {}  # (row, cloze, fill): (slot, token) that are read there
            for (i, w), (fill, _) in open_words.items():
                pairs = states.setdefault((i, rows[i].plan.cloze[w, 0], tuple(fill)), {})
                pairs.update(
                    {(s, t): None for s, t in enumerate(_tokens(rows[i], w)) if fill[s] == self.tokenizer.mask_id}
                )
            found = self._read(rows, states)
            left = {}
            for (i, w), (fill, total) in open_words.items():
                read, tokens = found[i, rows[i].plan.cloze[w, 0], tuple(fill)], _tokens(rows[i], w)
                masked = [s for s, id in enumerate(fill) if id == self.tokenizer.mask_id]
                best = max(masked, key=lambda s: read[s, tokens[s]])
                total += read[best, tokens[best]]
                if len(masked) == 1:
                    scores[i, w] = total * rows[i].scale[w] + rows[i].bias[w]
                else:
                    left[i, w] = [tokens[s] if s == best else id for s, id in enumerate(fill)], total
            open_words = left
        return scores

    def _read(self, rows, states):
        """Log probabilities of tokens: for each state `{(slot, token): log probability}`."""
        asked = []
        for (i, cloze, fill), pairs in states.items():
            base = rows[i].clozes[cloze]
            ids = list(base.token_ids)
            for slot, id in zip(base.slots, fill, strict=True):
                ids[slot] = id
            slots, tokens = (np.array(part, "int32")[:, None] for part in zip(*pairs, strict=True))
            one = np.ones((len(pairs), 1), "float32")
            single = Plan([list(fill)], np.zeros_like(slots), slots, tokens, one, np.ones(len(pairs), int))
            cloze = Cloze(ids, base.segment_ids, base.slots, base.is_text)
            asked.append(Row([cloze], single, (), one[:, 0], np.zeros(len(pairs), "float32")))
        scores = self._word_scores(asked)
        return {
            key: dict(zip(pairs, row, strict=False)) for (key, pairs), row in zip(states.items(), scores, strict=True)
        }


def _tokens(row, word):
    return row.plan.token[word, : row.plan.lengths[word]].tolist()
