"""Label words found from a few labelled texts."""

import numpy as np

from nlpgen.errors import InputError
from nlpgen.models import CausalLM, MaskedLM
from nlpgen.prompts.columns import as_columns, count
from nlpgen.prompts.pattern import Pattern
from nlpgen.prompts.scorer import Scorer
from nlpgen.prompts.verbalizer import Candidates, label_problems


def find_label_words(lm, pattern, texts, labels, per_label=1, frequent=1000, keep=None, max_length=128):
    """For each label the words of one character that a pattern's mask tells it by: those with the greatest likelihood
    ratio between its texts and the others (PETAL, Schick et al., 2020, https://arxiv.org/abs/2010.13641).

    The ratio of a word is the sum over the label's texts of `log p - log(1 - p)`, less the same of the other texts,
    both averaged, so that the numbers of texts do not matter.

    Args:
        lm: a `MaskedLM` or `CausalLM` with its tokenizer.
        pattern: a pattern with one `[MASK]`, the last thing in it for a `CausalLM`, and no virtual tokens.
        texts, labels: labelled inputs, see `PETClassifier`.
        per_label: words that a label gets; none is given to two labels.
        frequent: only the words are considered that the model finds likeliest at the mask, on average over all texts.
        keep: function from a token to whether it may be a label word; single Chinese characters by default.
        max_length: most tokens of a text in its pattern.

    Returns:
        `{label: [word, …]}`, the best first; a verbalizer.

    Raises:
        InputError: if an argument is wrong, there are not two labels, or too few words.
    """
    pattern = pattern if isinstance(pattern, Pattern) else Pattern(pattern)
    labels = _check(lm, pattern, labels, per_label, frequent)
    columns, classes = as_columns(texts, pattern.fields), sorted(set(labels))
    if len(classes) < 2 or len(labels) != count(columns):
        raise InputError(
            f"Give texts of two labels or more, and as many labels. Received: {count(columns)} texts, "
            f"{len(labels)} labels of {len(classes)} kinds"
        )
    scorer, vocab = Scorer(lm, pattern, Candidates(), max_length), lm.tokenizer.vocab
    keep = _is_chinese if keep is None else keep
    words = np.array([i for i, token in enumerate(vocab.tokens) if token and keep(token)], int)
    most = min(len(words), frequent)
    if most < per_label * len(classes):
        raise InputError(f"{most} words are too few for {per_label} of each of {len(classes)} labels.")
    found = scorer.token_scores(columns, words.tolist())
    likely = np.argsort(-found.mean(axis=0), kind="stable")[:frequent]
    words, found = words[likely], found[:, likely]
    odds = found - np.log1p(-np.exp(np.minimum(found, -1e-7)))
    own = np.array([[label == name for label in labels] for name in classes])
    ratios = np.stack([odds[rows].mean(axis=0) - odds[~rows].mean(axis=0) for rows in own])
    chosen, taken = {name: [] for name in classes}, set()
    for _ in range(per_label):  # label by label, so that none takes all the good ones
        for name, ratio in zip(classes, ratios, strict=True):
            best = next(i for i in np.argsort(-ratio, kind="stable") if i not in taken)
            taken.add(best)
            chosen[name].append(vocab.token(int(words[best])))
    return chosen


def _check(lm, pattern, labels, per_label, frequent):
    """The labels as a list; raises `InputError` with all that is wrong."""
    problems = []
    if not isinstance(lm, MaskedLM | CausalLM):
        problems.append(f"`lm` must be a MaskedLM or a CausalLM. Received: {lm!r:.80}")
    if pattern.num_masks != 1 or pattern.num_virtual:
        problems.append(
            "words of one character need a pattern with one [MASK] and no virtual tokens. "
            f"Received: {pattern.template!r}"
        )
    for name, value in {"per_label": per_label, "frequent": frequent}.items():
        if type(value) is not int or value < 1:
            problems.append(f"`{name}` must be a whole number, 1 or more. Received: {value!r}")
    if isinstance(labels, str) or not hasattr(labels, "__iter__"):
        problems.append(f"`labels` must be a list of strings. Received: {labels!r:.80}")
    else:
        labels = list(labels)
        problems += list(dict.fromkeys(problem for label in labels for problem in label_problems(label)))
    if problems:
        raise InputError("No label words can be found:\n  " + "\n  ".join(problems))
    return labels


def _is_chinese(token):
    return len(token) == 1 and "\u4e00" <= token <= "\u9fff"
