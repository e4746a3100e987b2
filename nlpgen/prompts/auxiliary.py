"""The auxiliary loss of prompt learning: guessing masked tokens of the texts in their pattern."""

import numpy as np
from keras import ops

from nlpgen.text import pad


class Passes:
    """Draws indices below `size`: all once in random order, then all again.

    Args:
        size: how many there are.
        generator: a NumPy random generator.
    """

    def __init__(self, size, generator):
        self.size, self.generator, self._order = size, generator, []

    def draw(self, n):
        """The next `n` indices."""
        taken = []
        while len(taken) < n:
            if not self._order:
                self._order = self.generator.permutation(self.size).tolist()
            taken.append(self._order.pop())
        return taken


class AuxiliaryRows:
    """Inputs in their pattern, of which tokens are to be guessed.

    A subclass gives `places`, the most tokens to guess of a length, and `row`.

    Args:
        rows: the clozes of each input, a list of lists of `Cloze`.
        tokenizer: their `Tokenizer`.
        generator: a NumPy random generator.
    """

    def __init__(self, rows, tokenizer, generator):
        self.rows, self.tokenizer, self.generator = rows, tokenizer, generator

    def places(self, length):
        """The most tokens to guess in a row of a length."""
        raise NotImplementedError

    def row(self, index):
        """An input as the model reads it: ids, segments, the positions at which to guess, and the targets there."""
        raise NotImplementedError

    def longest(self, indices):
        """Length of the longest cloze of some inputs."""
        return max(len(cloze) for i in indices for cloze in self.rows[i])

    def batch(self, indices, length):
        """Some inputs, padded to a length.

        Returns:
            Inputs of `PromptModel`; targets `(rows, n)`, ids to guess or, as -1 - id, to rule out; and their weights.
        """
        ids, segments, positions, targets = zip(*map(self.row, indices), strict=True)
        places = self.places(length)
        inputs = {
            "masked_ids": pad(ids, self.tokenizer.pad_id or 0, length),
            "masked_segments": pad(segments, 0, length),
            "masked_positions": pad(positions, 0, places),
        }
        weights = pad([[1] * len(row) for row in positions], 0, places).astype("float32")
        return inputs, pad(targets, 0, places), weights


class NextTokenRows(AuxiliaryRows):
    """Clozes of which a causal model is to guess every token of the text from those before it."""

    def places(self, length):
        return length

    def row(self, index):
        cloze = self.rows[index][0]
        ids = np.array(cloze.token_ids)
        places = np.flatnonzero(cloze.is_text)
        places = places[places > 0]
        return ids, cloze.segment_ids, places - 1, ids[places]


class MaskedRows(AuxiliaryRows):
    """Clozes of which tokens are masked by BERT's 80/10/10 rule, anew each time.

    Args:
        rows, tokenizer, generator: see `AuxiliaryRows`.
        rate: share of the tokens of a row that are masked, one at least.
        mask_template: whether the pattern's own tokens may be masked too; the slots and special tokens never are.
        words: for label conditioning (ADAPET, Tam et al., 2021, https://arxiv.org/abs/2103.11955): token ids of the
            words of each label, `[[ids, …], …]`. The slots are then filled with a word of a label drawn at random, and
            the other tokens are to be guessed if it is the right one, and to be ruled out if it is not.
        labels: index of the right label of each cloze, for label conditioning.
    """

    def __init__(self, rows, tokenizer, generator, rate=0.15, mask_template=False, words=None, labels=None):
        super().__init__(rows, tokenizer, generator)
        self.rate, self.mask_template, self.words, self.labels = rate, mask_template, words, labels
        noise = [i for i, token in enumerate(tokenizer.vocab.tokens) if token and not token.startswith("[unused")]
        self.noise = np.setdiff1d(noise, list(tokenizer.special_ids))

    def places(self, length):
        return max(1, round(self.rate * length))

    def row(self, index):
        generator, is_right = self.generator, True
        cloze, fill = self.rows[index][0], None
        if self.words is not None:
            label = int(generator.integers(len(self.words)))
            is_right = label == self.labels[index]
            fill = self.words[label][generator.integers(len(self.words[label]))]
            cloze = next(each for each in self.rows[index] if len(each.slots) == len(fill))
        ids = np.array(cloze.token_ids)
        free = np.array(cloze.is_text) if not self.mask_template else ids < len(self.tokenizer.vocab)
        free &= ~np.isin(ids, list(self.tokenizer.special_ids))
        free[cloze.slots] = False
        if fill is not None:
            ids[cloze.slots] = fill
        free = np.flatnonzero(free)
        chosen = np.sort(generator.permutation(free)[: self.places(len(free))])
        targets = ids[chosen]
        u = generator.random(len(chosen))
        noise = generator.choice(self.noise, len(chosen))
        ids[chosen] = np.where(u < 0.8, self.tokenizer.mask_id, np.where(u < 0.9, noise, targets))
        return ids, cloze.segment_ids, chosen, targets if is_right else -1 - targets


def token_loss(targets, logits):
    """Cross-entropy of tokens to be guessed; of those to be ruled out, whose target is -1 - id, `-log(1 - p)`.

    Args:
        targets: `(rows, n)`.
        logits: `(rows, n, vocab_size)`.

    Returns:
        `(rows, n)`.
    """
    targets = ops.cast(targets, "int32")
    ruled_out = targets < 0
    ids = ops.where(ruled_out, -1 - targets, targets)
    found = ops.take_along_axis(ops.log_softmax(logits), ids[..., None], axis=-1)[..., 0]
    # 1 - p, away from the zero whose logarithm is infinite
    other = ops.log(ops.maximum(-ops.expm1(ops.minimum(found, 0.0)), 1e-6))
    return -ops.where(ruled_out, other, found)
