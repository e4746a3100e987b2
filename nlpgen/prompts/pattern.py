"""Patterns: how a text becomes a cloze question.

A pattern is text with slots::

    {text}    the input; only this is shortened when the result is too long
    [MASK]    one token to predict

Everything else stands for itself. What a user's text holds is never read as a slot.
"""

import re
from dataclasses import dataclass

from nlpgen.errors import InputError
from nlpgen.text import fit_lengths, shorten

SLOT = re.compile(r"(\{\w+\}|\[MASK\])")


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern (PET's word, Schick & Schütze, 2021, https://arxiv.org/abs/2001.07676).

    Args:
        template: the pattern as text.

    Raises:
        InputError: if there is no `[MASK]`, or not one field.

    Example:
        >>> pattern = Pattern("{text}？[MASK]满意。")
        >>> pattern.pieces
        ('{text}', '？', '[MASK]', '满意。')
        >>> pattern.num_masks
        1
    """

    template: str

    def __post_init__(self):
        if not isinstance(self.template, str) or "[MASK]" not in self.pieces or len(self.fields) != 1:
            raise InputError(
                "A pattern needs one field for the text and a `[MASK]`, as in '{text}[MASK]好。'. "
                f"Received: {self.template!r}"
            )

    @property
    def pieces(self):
        """Fields, masks and what stands between them, in order."""
        return tuple(piece for piece in SLOT.split(self.template) if piece)

    @property
    def fields(self):
        """Names of the fields."""
        return [piece[1:-1] for piece in self.pieces if piece.startswith("{") and SLOT.fullmatch(piece)]

    @property
    def num_masks(self):
        """Number of tokens to predict."""
        return self.pieces.count("[MASK]")

    def encode(self, tokenizer, texts, max_length=None, truncate_side="right"):
        """Fill texts in and encode them as `[CLS] … [SEP]`; only the text is shortened, never the pattern.

        Args:
            tokenizer: a `Tokenizer`.
            texts: strings.
            max_length: most tokens, special ones included.
            truncate_side: which end of the text is cut.

        Returns:
            A list of `(token_ids, mask_positions)`.

        Raises:
            InputError: if the pattern alone is longer than `max_length`.

        Example:
            >>> from nlpgen import Vocab, WordPieceTokenizer
            >>> vocab = Vocab(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "很", "好", "吃"])
            >>> Pattern("{text}[MASK]好").encode(WordPieceTokenizer(vocab), ["好吃好吃"], max_length=6)
            [([2, 6, 7, 4, 6, 3], [3])]
        """
        fixed = [
            [tokenizer.mask_id] if piece == "[MASK]" else None if piece.startswith("{") else tokenizer.ids(piece)
            for piece in self.pieces
        ]
        return [self._join(tokenizer, fixed, ids, max_length, truncate_side) for ids in tokenizer.ids(list(texts))]

    def _join(self, tokenizer, fixed, text_ids, max_length, side):
        field = fixed.index(None)
        parts = [text_ids if part is None else part for part in fixed]
        if max_length is not None:
            length = fit_lengths([len(part) for part in parts], max_length - 2, [field])[field]
            parts[field] = shorten(text_ids, length, side)
        token_ids, positions = [tokenizer.cls_id], []
        for piece, part in zip(self.pieces, parts, strict=True):
            if piece == "[MASK]":
                positions.append(len(token_ids))
            token_ids += part
        return [*token_ids, tokenizer.sep_id], positions
