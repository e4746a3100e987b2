"""Strings ↔ token ids: what all tokenizers share."""

import json
import re
from dataclasses import dataclass

from nlpgen.errors import InputError, VocabularyError
from nlpgen.text.batches import pad

SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Encoding:
    """One encoded text or pair; all lists have the same length.

    Attributes:
        token_ids: ids, special tokens included.
        segment_ids: 0 for the first text and its special tokens, 1 for the second's.
        offsets: `(start, end)` in characters of the original string; `(0, 0)` for a special token.
        parts: which string the token comes from: 0, 1, or `None` for a special token.
    """

    token_ids: list
    segment_ids: list
    offsets: list
    parts: list

    def __len__(self):
        return len(self.token_ids)


class Tokenizer:
    """Base of the tokenizers: special tokens, pairs, truncation, batches.

    A subclass gives `pieces`, which cuts strings into tokens, `decode`, `files`, and for Keras `get_config`.

    Args:
        vocab: a `Vocab`.
        pad, unk, cls, sep, mask: the special tokens; `cls` stands before the first text, `sep` behind every text.
            `None` for one that the model has not. `mask` may also be missing from the vocabulary; `mask_id` then
            raises.
        eos: what ends a generated text; `sep` by default.

    Attributes:
        has_padding: whether `pad` is for padding alone; otherwise batches are filled with a token that texts have too,
            and a model must not take it for padding.
    """

    has_padding = True

    def __init__(self, vocab, pad="[PAD]", unk="[UNK]", cls="[CLS]", sep="[SEP]", mask="[MASK]", eos=None):
        self.vocab = vocab
        self.special_tokens = {"pad": pad, "unk": unk, "cls": cls, "sep": sep, "mask": mask, "eos": eos}
        named = {role: token for role, token in self.special_tokens.items() if token is not None}
        missing = [token for role, token in named.items() if token not in vocab and role != "mask"]
        if missing:
            raise VocabularyError(
                f"The vocabulary of {len(vocab):,} tokens has no {', '.join(missing)}. "
                "Take the vocabulary that belongs to the model, or name its special tokens."
            )
        ids = {role: vocab.ids[token] for role, token in named.items() if token in vocab}
        self.pad_id, self.unk_id, self.cls_id, self.sep_id = map(ids.get, ("pad", "unk", "cls", "sep"))
        self.eos_id = ids.get("eos", self.sep_id)
        self.special_ids = frozenset(ids.values())

    @property
    def mask_id(self):
        """Id of `[MASK]`.

        Raises:
            VocabularyError: if the vocabulary has none.
        """
        mask = self.special_tokens["mask"]
        if mask not in self.vocab:
            raise VocabularyError(
                f"The vocabulary has no {mask or 'mask token'}, so the model can fill no masks. "
                "Take the vocabulary that belongs to a masked language model."
            )
        return self.vocab.id(mask)

    def pieces(self, texts, special_tokens=False):
        """Cut strings into tokens, without `[CLS]` and `[SEP]`.

        Args:
            texts: a list of strings, as `check_texts` returns it.
            special_tokens: whether `[MASK]`, `[SEP]` and their like in a text are those tokens. Otherwise they are
                plain text, as whatever a user typed should be.

        Returns:
            For each string a pair: token ids, and offsets `(start, end)` in its characters.
        """
        raise NotImplementedError

    def decode(self, ids, skip_special_tokens=True):
        """Ids back to a string.

        Args:
            ids: token ids, an iterable or a one-dimensional array.
            skip_special_tokens: whether the special tokens are left out.
        """
        raise NotImplementedError

    def files(self):
        """The files of a model's folder that this tokenizer is read from again: `{name: bytes}`."""
        raise NotImplementedError

    def with_tokens(self, keep_tokens=None, further=()):
        """The tokenizer of a model whose vocabulary was cut and continued, as `from_pretrained` does.

        Args:
            keep_tokens: ids to keep; the n-th becomes id n. All by default.
            further: tokens that get the ids behind them.

        Raises:
            VocabularyError: if an id is not in the vocabulary, or a special token is dropped.
        """
        raise NotImplementedError

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`, for Keras."""
        return cls(**config)

    def ids(self, texts, special_tokens=False):
        """Token ids of a string (a list) or of strings (a list of lists), without `[CLS]` and `[SEP]`."""
        single = isinstance(texts, str)
        rows = [ids for ids, _ in self.pieces(check_texts([texts] if single else texts), special_tokens)]
        return rows[0] if single else rows

    def encode(
        self, text, pair=None, *, max_length=None, truncate="longest", truncate_side="right", special_tokens=False
    ):
        """Encode a text, or a pair, as `[CLS] text [SEP]` or `[CLS] text [SEP] pair [SEP]`.

        A tokenizer without one of these tokens leaves it out.

        Args:
            text, pair: strings.
            max_length: most tokens, special ones included.
            truncate: which string is cut when there are more: `"longest"` (the longer one, token by token), `"first"`
                or `"second"`.
            truncate_side: which end of it, `"right"` or `"left"`.
            special_tokens: see `pieces`.

        Returns:
            An `Encoding`.

        Raises:
            InputError: if a text is no string, or if `max_length` leaves no room.
        """
        pairs = None if pair is None else [pair]
        return self._encode([text], pairs, max_length, truncate, truncate_side, special_tokens)[0]

    def __call__(
        self,
        texts,
        pairs=None,
        *,
        max_length=None,
        truncate="longest",
        truncate_side="right",
        special_tokens=False,
    ):
        """Encode a batch into arrays, padded to its longest row; the arguments are those of `encode`.

        Args:
            texts: a string or a list of them.
            pairs: the second texts, as many.

        Returns:
            `{"token_ids", "segment_ids"}`, int32 arrays `(batch, length)`.
        """
        texts, pairs = ([x] if isinstance(x, str) else x for x in (texts, pairs))
        rows = self._encode(texts, pairs, max_length, truncate, truncate_side, special_tokens)
        return {
            "token_ids": pad([row.token_ids for row in rows], self.pad_id),
            "segment_ids": pad([row.segment_ids for row in rows]),
        }

    def _encode(self, texts, pairs, max_length, truncate, side, special_tokens):
        columns = [check_texts(texts)]
        if pairs is not None:
            columns.append(check_texts(pairs, "pairs"))
            if len(columns[0]) != len(columns[1]):
                raise InputError(f"Got {len(columns[0])} texts, but {len(columns[1])} pairs. Give as many of both.")
        check_truncation(max_length, side)
        cut = {"longest": None, "first": [0], "second": [1]}
        if truncate not in cut or side not in ("right", "left") or (truncate == "second" and pairs is None):
            raise InputError(f"`truncate` must be 'longest', 'first' or, for pairs, 'second'. Received: {truncate!r}")
        columns = [self.pieces(column, special_tokens) for column in columns]
        return [self._join(parts, max_length, cut[truncate], side) for parts in zip(*columns, strict=True)]

    def _join(self, parts, max_length, cut, side):
        if max_length is not None:
            special = (self.cls_id is not None) + len(parts) * (self.sep_id is not None)
            lengths = fit_lengths([len(ids) for ids, _ in parts], max_length - special, cut)
            parts = [
                (shorten(ids, n, side), shorten(offsets, n, side))
                for (ids, offsets), n in zip(parts, lengths, strict=True)
            ]
        before, behind = ([] if id is None else [id] for id in (self.cls_id, self.sep_id))
        token_ids, segment_ids = [*before], [0 for _ in before]
        all_offsets, owners = [(0, 0) for _ in before], [None for _ in before]
        for part, (ids, offsets) in enumerate(parts):
            token_ids += [*ids, *behind]
            segment_ids += [part] * (len(ids) + len(behind))
            all_offsets += [*offsets, *((0, 0) for _ in behind)]
            owners += [part] * len(ids) + [None for _ in behind]
        return Encoding(token_ids, segment_ids, all_offsets, owners)

    def token_bytes(self):
        """What each token of the vocabulary stands for in a text, as UTF-8: nothing for the special tokens."""
        return [b"" if id in self.special_ids else self.bytes_of(token) for id, token in enumerate(self.vocab.tokens)]

    def bytes_of(self, token):
        """What a token that is not special stands for in a text, as UTF-8, or a part of a character's bytes."""
        return token.encode("utf-8")

    def tokens(self, ids):
        """The tokens of ids."""
        return [self.vocab.token(int(i)) for i in ids]


def check_texts(texts, name="texts"):
    """Return a list of strings that any tokenizer can read.

    A lone surrogate, half a character from a broken decoding, becomes U+FFFD; lengths and offsets stay.

    Raises:
        InputError: if it is no list of strings, with the index of the first that is none.
    """
    if isinstance(texts, str | bytes) or not hasattr(texts, "__iter__"):
        raise InputError(f"`{name}` must be a list of strings. Received: {type(texts).__name__}")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"`{name}[{i}]` must be a string. Received: {text!r:.80} ({type(text).__name__})")
    return [SURROGATES.sub("\ufffd", text) for text in texts]


def check_truncation(max_length, truncate_side):
    """Raise `InputError` unless `max_length` is a count or `None`, and `truncate_side` one of the two."""
    if max_length is not None and (not isinstance(max_length, int) or max_length < 1):
        raise InputError(f"`max_length` must be a whole number, 1 or more. Received: {max_length!r}")
    if truncate_side not in ("right", "left"):
        raise InputError(f"`truncate_side` must be 'right' or 'left'. Received: {truncate_side!r}")


def fit_lengths(lengths, budget, cut=None):
    """How long each part may be so that together they fit.

    The longest is shortened first, token by token; of equally long ones the one that stands first.

    Args:
        lengths: tokens of each part.
        budget: most tokens in all.
        cut: indices of the parts that may be shortened; all by default.

    Returns:
        The new lengths.

    Raises:
        InputError: if the parts that may not be shortened are too long already.

    Example:
        >>> fit_lengths([10, 3, 6], 15), fit_lengths([10, 3, 6], 15, cut=[1, 2])
        ([6, 3, 6], [10, 2, 3])
    """
    lengths = list(lengths)
    cut = range(len(lengths)) if cut is None else cut
    fixed = sum(lengths) - sum(lengths[i] for i in cut)
    room = budget - fixed
    if sum(lengths[i] for i in cut) <= room:
        return lengths
    if room < 0:
        raise InputError(
            f"{fixed} tokens may not be cut, but `max_length` leaves {budget} beside the special tokens. "
            "Raise `max_length`, shorten the text, or let another part be cut."
        )
    level = max(n for n in range(room + 1) if sum(min(lengths[i], n) for i in cut) <= room)
    left = room - sum(min(lengths[i], level) for i in cut)
    for i in reversed(cut):
        if lengths[i] > level:
            lengths[i] = level + (left > 0)
            left -= 1
    return lengths


def json_bytes(value):
    """A value as the content of a JSON file."""
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def shorten(row, length, side="right"):
    """The row without what is over `length`, cut at its right or left end."""
    return row[:length] if side == "right" else row[len(row) - length :]
