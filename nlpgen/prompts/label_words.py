"""Label words found from a few labelled texts."""

import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.prompts.columns import as_columns
from nlpgen.prompts.pattern import Pattern
from nlpgen.text import length_batches, pad


def find_label_words(mlm, pattern, texts, labels, per_label=1, frequent=1000, keep=None, max_length=128):
    """For each label the words of one character that a pattern's mask tells it by: those with the greatest likelihood
    ratio between its texts and the others (PETAL, Schick et al., 2020, https://arxiv.org/abs/2010.13641).

    The ratio of a word is the sum over the label's texts of `log p - log(1 - p)`, less the same of the other texts,
    both averaged, so that the numbers of texts do not matter.

    Args:
        mlm: a `MaskedLM` with its tokenizer.
        pattern: a pattern with one `[MASK]`.
        texts, labels: labelled inputs, see `PETClassifier`.
        per_label: words that a label gets; none is given to two labels.
        frequent: only the words are considered that the model finds likeliest at the mask, on average over all texts.
        keep: function from a token to whether it may be a label word; single Chinese characters by default.
        max_length: most tokens of a text in its pattern.

    Returns:
        `{label: [word, …]}`, the best first; a verbalizer.

    Raises:
        InputError: if there are not two labels, or too few words.
    """
    pattern = pattern if isinstance(pattern, Pattern) else Pattern(pattern)
    if pattern.num_masks != 1:
        raise InputError(f"Words of one character need a pattern with one [MASK]. Received: {pattern.template!r}")
    columns, labels = as_columns(texts, pattern.fields), list(labels)
    classes = sorted(set(labels))
    if len(classes) < 2 or len(labels) != len(columns[pattern.fields[0]]):
        raise InputError(
            f"Give texts of two labels or more, and as many labels. Received: {len(columns[pattern.fields[0]])} texts, "
            f"{len(labels)} labels of {len(classes)} kinds"
        )
    tokenizer = mlm.tokenizer
    keep = _is_chinese if keep is None else keep
    words = np.array([i for i, token in enumerate(tokenizer.vocab.tokens) if token and keep(token)])
    found = _log_probabilities(mlm, pattern.encode(tokenizer, columns, max_length=max_length), words)
    likely = np.argsort(-found.mean(axis=0), kind="stable")[:frequent]
    words, found = words[likely], found[:, likely]
    odds = found - np.log1p(-np.exp(np.minimum(found, -1e-7)))
    if len(words) < per_label * len(classes):
        raise InputError(f"{len(words)} words are too few for {per_label} of each of {len(classes)} labels.")
    own = np.array([[label == name for label in labels] for name in classes])
    ratios = np.stack([odds[rows].mean(axis=0) - odds[~rows].mean(axis=0) for rows in own])
    chosen, taken = {name: [] for name in classes}, set()
    for _ in range(per_label):  # label by label, so that none takes all the good ones
        for name, ratio in zip(classes, ratios, strict=True):
            best = next(i for i in np.argsort(-ratio, kind="stable") if i not in taken)
            taken.add(best)
            chosen[name].append(tokenizer.vocab.token(int(words[best])))
    return chosen


def _log_probabilities(mlm, rows, words):
    """Log probabilities of words at the mask, `(texts, words)`."""
    out, pad_id = np.empty((len(rows), len(words))), mlm.tokenizer.pad_id
    for indices, length in length_batches([len(cloze) for (cloze,) in rows]):
        clozes = [rows[i][0] for i in indices]
        inputs = {
            "token_ids": pad([cloze.token_ids for cloze in clozes], pad_id, length),
            "positions": pad([cloze.slots for cloze in clozes]),
        }
        logits = np.asarray(mlm.predict_on_batch(inputs)[:, 0], "float32")
        out[indices] = ops.convert_to_numpy(ops.log_softmax(logits))[:, words]
    return out


def _is_chinese(token):
    return len(token) == 1 and "\u4e00" <= token <= "\u9fff"
