"""Verbalizers: which words stand for which label."""

import numpy as np

from nlpgen.errors import InputError


class Verbalizer:
    """A table from labels to label words, all as long as the pattern has masks.

    Args:
        words: `{label: word}` or `{label: [word, ...]}`; labels are strings.

    Raises:
        InputError: if there are not two labels, or a label has no word, or a word stands for two labels.

    Example:
        >>> Verbalizer({"好评": ["很", "真"], "差评": "不"}).words
        {'好评': ['很', '真'], '差评': ['不']}
    """

    def __init__(self, words):
        if not isinstance(words, dict) or len(words) < 2:
            raise InputError(f"A verbalizer is a dict of two labels or more, each with its words. Received: {words!r}")
        self.words = {label: [word] if isinstance(word, str) else list(word) for label, word in words.items()}
        owner = {}
        for label, table in self.words.items():
            if not table or not all(isinstance(word, str) and word for word in table):
                raise InputError(f"The label {label!r} needs a word, or several. Received: {table!r}")
            for word in table:
                if word in owner:
                    raise InputError(f"The word {word!r} stands for {owner[word]!r} and for {label!r}. Choose another.")
                owner[word] = label

    @property
    def labels(self):
        """The labels, in the order of the columns of all scores."""
        return list(self.words)

    def encode(self, tokenizer, num_masks=1):
        """Token ids of the label words.

        Args:
            tokenizer: a `Tokenizer`.
            num_masks: masks of the pattern.

        Returns:
            Ids `(words, num_masks)`, and the index of each word's label `(words,)`.

        Raises:
            InputError: if a word is not `num_masks` tokens long, or not in the vocabulary; with all such words.
        """
        rows, owners, problems = [], [], []
        for i, table in enumerate(self.words.values()):
            for word in table:
                ids = tokenizer.ids(word)
                if tokenizer.unk_id in ids:
                    problems.append(f"{word!r} has tokens that the vocabulary does not know")
                elif len(ids) != num_masks:
                    problems.append(f"{word!r} has {len(ids)} tokens, but the pattern has {num_masks} `[MASK]`")
                rows.append(ids)
                owners.append(i)
        if problems:
            raise InputError(
                "These label words do not fit:\n  "
                + "\n  ".join(problems)
                + "\nChoose words of as many tokens as the pattern has masks, or change the pattern."
            )
        return np.array(rows, dtype="int32"), np.array(owners, dtype="int32")
