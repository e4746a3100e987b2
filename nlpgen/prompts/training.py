"""Training of one scorer: the loss of the labels, and the auxiliary loss of the texts' own tokens."""

from dataclasses import dataclass, replace

import numpy as np

from nlpgen.errors import InputError
from nlpgen.prompts.auxiliary import MaskedRows, NextTokenRows, Passes
from nlpgen.prompts.columns import count
from nlpgen.prompts.verbalizer import label_problems
from nlpgen.tasks.fine_tuning import fine_tune, seed_dropout
from nlpgen.text import bucket


@dataclass(frozen=True)
class Losses:
    """What is minimized: `label_weight * (cross-entropy over the labels) + mlm_weight * (that of masked tokens)
    + label_conditioning * (ADAPET's)`, each a mean over its texts or tokens.

    Args:
        label_weight, mlm_weight: the weights; the second is of the next token's loss for a causal model.
        mlm_rate: share of the tokens that are masked.
        mask_template: whether tokens of the pattern are masked too.
        label_conditioning: weight of ADAPET's loss, see `MaskedRows`; of the labelled texts alone.
    """

    label_weight: float = 1.0
    mlm_weight: float = 0.0
    mlm_rate: float = 0.15
    mask_template: bool = False
    label_conditioning: float = 0.0

    def __post_init__(self):
        weights = {"label_weight": self.label_weight, "mlm_weight": self.mlm_weight}
        weights["label_conditioning"] = self.label_conditioning
        problems = [
            f"`{name}` must be a number, 0 or more. Received: {value!r}"
            for name, value in weights.items()
            if not isinstance(value, int | float) or not value >= 0
        ]
        if not isinstance(self.mlm_rate, float) or not 0 < self.mlm_rate < 1:
            problems.append(f"`mlm_rate` must be between 0 and 1. Received: {self.mlm_rate!r}")
        if problems:
            raise InputError("The losses are wrong:\n  " + "\n  ".join(problems))


def train(
    scorer, columns, targets, unlabeled, losses, *, seed, batch_size, unlabeled_batch_size=None, score=None, **options
):
    """Train the model of a scorer in place.

    Args:
        scorer: a `Scorer`.
        columns: the labelled inputs; may be empty, then the unlabelled ones alone are learned from.
        targets: index of each one's label.
        unlabeled: further inputs as columns for the auxiliary loss, or `None`.
        losses: `Losses`.
        unlabeled_batch_size: how many of these are drawn at each step beside the labelled ones, all once in random
            order before any twice; `batch_size` by default.
        seed, batch_size, score, options: see `fine_tune`.

    Returns:
        The history, see `fine_tune`.
    """
    check_unlabeled_batch_size(unlabeled_batch_size)
    if len(targets) and losses.label_weight:
        scorer.keep_blank()
    rows, pool = scorer.rows(columns), [] if unlabeled is None else scorer.rows(unlabeled)
    targets, label_weight = np.asarray(targets, "int32"), losses.label_weight
    if not rows:
        losses = replace(losses, label_conditioning=0.0)
        rows, targets, label_weight, pool = pool, np.zeros(len(pool), "int32"), 0.0, []
    generator = np.random.default_rng([seed, 1])
    auxiliary = _auxiliary(scorer, [row.clozes for row in rows + pool], targets, losses, generator)
    passes, further = Passes(len(pool), generator), min(len(pool), unlabeled_batch_size or batch_size)

    def batch(indices, length):
        both = [*indices, *(len(rows) + i for i in passes.draw(further))]
        drawn = [(source, weight, indices if weighs_labels else both) for source, weight, weighs_labels in auxiliary]
        length = bucket(max([length, *(source.longest(chosen) for source, _, chosen in drawn)]))
        x = scorer.inputs([rows[i] for i in indices], length)
        label_weights = np.full(len(indices), label_weight, "float32")
        if not drawn:
            return x, targets[indices], label_weights
        parts = [(*source.batch(chosen, length), weight) for source, weight, chosen in drawn]
        for name in parts[0][0]:
            if name != "masked_segments" or scorer.has_segments:
                x[name] = np.concatenate([inputs[name] for inputs, *_ in parts])
        y = {"labels": targets[indices], "tokens": np.concatenate([guessed for _, guessed, *_ in parts])}
        # Each loss is the mean over its tokens; the model divides the sum by the number of cells.
        weights = [mask * (weight * y["tokens"].size / max(mask.sum(), 1)) for _, _, mask, weight in parts]
        return x, y, {"labels": label_weights, "tokens": np.concatenate(weights).astype("float32")}

    seed_dropout(scorer.model, seed)
    return fine_tune(
        scorer.model,
        [len(row) for row in rows],
        batch,
        batch_size=batch_size,
        seed=seed,
        score=score,
        **options,
    )


def check_unlabeled_batch_size(value):
    """Raise `InputError` unless it is a whole number, 1 or more, or `None`."""
    if value is not None and (type(value) is not int or value < 1):
        raise InputError(f"`unlabeled_batch_size` must be a whole number, 1 or more, or None. Received: {value!r}")


def _auxiliary(scorer, clozes, targets, losses, generator):
    """For each auxiliary loss its `AuxiliaryRows`, its weight, and whether it is of the labelled texts alone."""
    tokenizer, found = scorer.tokenizer, []
    if losses.mlm_weight and scorer.causal:
        found.append((NextTokenRows(clozes, tokenizer, generator), losses.mlm_weight, False))
    elif losses.mlm_weight:
        masked = MaskedRows(clozes, tokenizer, generator, losses.mlm_rate, losses.mask_template)
        found.append((masked, losses.mlm_weight, False))
    if losses.label_conditioning:
        if scorer.causal or scorer.by_input:
            raise InputError("`label_conditioning` needs a masked language model and a verbalizer with fixed words.")
        words = [[] for _ in range(scorer.num_labels)]
        for ids, owner in zip(scorer.words, scorer.owners, strict=True):
            words[owner].append(ids)
        rate, template = losses.mlm_rate, losses.mask_template
        conditioned = MaskedRows(clozes, tokenizer, generator, rate, template, words, targets)
        found.append((conditioned, losses.label_conditioning, True))
    return found


def check_labels(labels, columns, known, what=""):
    """Indices of labels, in the order of the verbalizer.

    Args:
        labels: strings, as many as there are inputs.
        columns: the inputs.
        known: the labels; a list for all, or one for each input.
        what: word before "labels" in messages.

    Raises:
        InputError: with all that is wrong.
    """
    if isinstance(labels, str | bytes) or not hasattr(labels, "__iter__"):
        raise InputError(f"Give a list of {what}labels. Received: {type(labels).__name__}")
    labels, n = list(labels), count(columns)
    if len(labels) != n:
        raise InputError(f"Got {n} {what}texts and {len(labels)} labels. Give as many of both.")
    by_input = known if n and isinstance(known[0], list | tuple) else [known] * n
    problems = []
    for i, (label, allowed) in enumerate(zip(labels, by_input, strict=True)):
        if label not in allowed:
            stray = isinstance(label, str) and label.strip() in allowed
            reason = label_problems(label)[0] if stray else f"it is none of {', '.join(map(str, allowed[:20]))}"
            problems.append(f"`labels[{i}]` is {label!r}: {reason}")
    if problems:
        shown = problems[:10] + ([f"and {len(problems) - 10} more"] if len(problems) > 10 else [])
        raise InputError(f"Unknown {what}labels:\n  " + "\n  ".join(shown) + "\nCorrect them, or the verbalizer.")
    return np.array([list(allowed).index(label) for label, allowed in zip(labels, by_input, strict=True)], "int32")
