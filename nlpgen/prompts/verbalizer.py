"""Verbalizers: which words stand for which label, and what is read at the masks to score them."""

from dataclasses import dataclass

import numpy as np

from nlpgen.errors import InputError

ORDERS = ("independent", "left_to_right", "most_confident_first")
NORMALIZATIONS = (None, "length", "pmi")


class Verbalizer:
    """A table from labels to label words of any length.

    Args:
        words: `{label: word}` or `{label: [word, ...]}`; labels are strings. The probabilities of a label's words are
            summed.

    Raises:
        InputError: if there are not two labels, a label has no word or spaces around it, or a word stands in it twice;
            with all that is wrong.

    Example:
        >>> Verbalizer({"好评": ["很", "真"], "差评": "不"}).words
        {'好评': ['很', '真'], '差评': ['不']}
    """

    def __init__(self, words):
        if not isinstance(words, dict) or len(words) < 2:
            raise InputError(f"A verbalizer is a dict of two labels or more, each with its words. Received: {words!r}")
        self.words = {
            label: [word] if isinstance(word, str) or not hasattr(word, "__iter__") else list(word)
            for label, word in words.items()
        }
        owner, problems = {}, []
        for label, table in self.words.items():
            problems += label_problems(label)
            if not table or not all(isinstance(word, str) and word.strip() for word in table):
                problems.append(f"the label {label!r} needs a word, or several. Received: {table!r}")
                continue
            for word in table:
                if word in owner:
                    other = "twice" if owner[word] == label else f"for {owner[word]!r} and"
                    problems.append(f"the word {word!r} stands {other} for {label!r}")
                owner[word] = label
        if problems:
            raise InputError("These label words cannot be used:\n  " + "\n  ".join(problems) + "\nChoose others.")

    def __repr__(self):
        return f"Verbalizer({self.words!r})"

    @property
    def labels(self):
        """The labels, in the order of the columns of all scores."""
        return list(self.words)

    def encode(self, tokenizer):
        """Token ids of the label words.

        Returns:
            The ids of each word, a list of lists, and the index of each word's label.

        Raises:
            InputError: see `word_ids`.
        """
        table = [(word, i) for i, words in enumerate(self.words.values()) for word in words]
        return word_ids([word for word, _ in table], tokenizer), [i for _, i in table]


class Candidates:
    """Label words that each input brings itself, such as the idioms of a cloze test or the options of a question.

    A label is one of the input's candidates; `predict` gives the candidate, `predict_proba` a column for each place in
    the list of candidates.

    Args:
        field: the column of the inputs with the candidates, a list of strings each.
    """

    def __init__(self, field="candidates"):
        self.field = field

    def __repr__(self):
        return f"Candidates({self.field!r})"


def label_problems(label):
    """What is wrong with a label: a list of at most one string."""
    if not isinstance(label, str) or not label.strip():
        return [f"a label must be a string that is not blank. Received: {label!r}"]
    if label != label.strip():
        return [f"the label {label!r} has spaces around it"]
    return []


def word_ids(words, tokenizer):
    """Token ids of label words, a list of lists.

    Raises:
        InputError: if a word has a token that the vocabulary does not know, is the name of a special token, or has the
            tokens of another one; with all such words.
    """
    rows = tokenizer.ids(list(words))
    unknown = sorted({word for word, ids in zip(words, rows, strict=True) if not ids or tokenizer.unk_id in ids})
    special = {tokenizer.vocab.token(id) for id in tokenizer.special_ids} & set(words)
    first, problems = {}, []
    if unknown:
        names = ", ".join(map(repr, unknown))
        problems.append(f"the vocabulary does not know these label words, or a part of them: {names}")
    if special:
        problems.append(f"these are special tokens: {', '.join(map(repr, sorted(special)))}")
    for word, ids in zip(words, rows, strict=True):
        other = first.setdefault(tuple(ids), word)
        if ids and other != word and word not in unknown:
            problems.append(f"{other!r} and {word!r} are the same tokens")
    if problems:
        raise InputError("These label words cannot be used:\n  " + "\n  ".join(problems) + "\nChoose others.")
    return rows


@dataclass(frozen=True)
class Plan:
    """What is put in the masks and what is read there to score words: a word's log probability is the sum of one log
    probability for each of its tokens.

    Attributes:
        fills: what stands at the masks in each of the clozes of an input.
        cloze, slot, token, weight: `(words, longest)`: in which cloze, at which of its slots, which token is read, and
            1, or 0 where a word is shorter.
        lengths: `(words,)` tokens of each word.
    """

    fills: list
    cloze: np.ndarray
    slot: np.ndarray
    token: np.ndarray
    weight: np.ndarray
    lengths: np.ndarray

    @property
    def is_exact(self):
        """Whether log probabilities of different places are compared, so that each must be normalized over the
        vocabulary; otherwise what the normalization adds is the same for all words."""
        same = (self.cloze == self.cloze[:1]).all() and (self.slot == self.slot[:1]).all()
        return not (same and (self.weight == 1).all())


def plan(words, mask_id, order="independent", causal=False):
    """How to score words.

    Args:
        words: token ids of each.
        mask_id: id of the mask token.
        order: `"independent"`, each token is read while all others are masked, in one cloze for each distinct length;
            `"left_to_right"`, with the word's tokens before it filled in, in one cloze for each distinct beginning: the
            pseudo log-likelihood that is a proper probability.
        causal: whether the model reads from left to right: what is before a token is then always filled in.

    Example:
        >>> plan([[7], [8, 9]], mask_id=4).fills, plan([[7], [8, 9]], 4, "left_to_right").fills
        ([[4], [4, 4]], [[4], [4, 4], [8, 4]])
        >>> plan([[7], [8, 9], [8, 6]], 4, causal=True).fills
        [[], [8]]
    """
    longest = max(map(len, words))
    fills = {}
    shape = len(words), longest
    cloze, slot, token, weight = (np.zeros(shape, dtype) for dtype in ("int32", "int32", "int32", "float32"))
    for w, ids in enumerate(words):
        for at, id in enumerate(ids):
            if causal:
                fill = tuple(ids[:-1])
            elif order == "left_to_right":
                fill = (*ids[:at], *[mask_id] * (len(ids) - at))
            else:
                fill = (mask_id,) * len(ids)
            cloze[w, at] = fills.setdefault(fill, len(fills))
            slot[w, at], token[w, at], weight[w, at] = at, id, 1
    return Plan([list(fill) for fill in fills], cloze, slot, token, weight, np.array([len(ids) for ids in words]))
