"""Patterns: how an input becomes a cloze question.

A pattern is text with slots::

    {text}      a field of the input; only fields are shortened when the result is too long
    {text:1}    one that is shortened only when nothing of the fields with lower numbers is left; 0 if not said
    {text:left} one that is shortened at its left end, whatever the classifier says of the others; also {text:1:left}
    [MASK]      what is asked for, as many tokens as the label word has; several of them fix the number
    [P*4]       four virtual tokens, whose vectors P-tuning learns; `[P]` is one
    [SEP]       the separator of a pair; what follows is the second segment
    {{ and }}   a brace

Everything else stands for itself, but what only looks like a slot is an error. What a user's text holds is never read
as a slot.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property

from nlpgen.errors import InputError
from nlpgen.text import check_texts, check_truncation, fit_lengths, shorten

SLOT = re.compile(r"(\{\{|\}\}|\{\w+(?::\d+)?(?::left|:right)?\}|\[MASK\]|\[P(?:\*[1-9]\d*)?\]|\[SEP\])")
FIELD = re.compile(r"\{(\w+)(?::(\d+))?(?::(left|right))?\}")
VIRTUAL = re.compile(r"\[P(?:\*(\d+))?\]")
STRAY = re.compile(r"\{[^{}]*\}?|\}|\[\s*(?:MASK|SEP|CLS|PAD|UNK|UNUSED|P)[\s*\d]*\]", re.IGNORECASE)
BRACES = {"{{": "{", "}}": "}"}
MASK, SEPARATOR = "[MASK]", "[SEP]"


@dataclass(frozen=True)
class Cloze:
    """An input in its pattern.

    Attributes:
        token_ids: special tokens included. The n-th virtual token has the id after the vocabulary's last plus n.
        segment_ids: 0, and 1 after a `[SEP]` of the pattern.
        slots: places of the tokens that are asked for.
        is_text: whether a token is the input's, not the pattern's.
    """

    token_ids: list = field(default_factory=list)
    segment_ids: list = field(default_factory=list)
    slots: list = field(default_factory=list)
    is_text: list = field(default_factory=list)

    def __len__(self):
        return len(self.token_ids)

    def add(self, ids, segment=0, is_text=False):
        """Put tokens at the end."""
        self.token_ids.extend(ids)
        self.segment_ids.extend([segment] * len(ids))
        self.is_text.extend([is_text] * len(ids))


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern (PET's word, Schick & Schütze, 2021, https://arxiv.org/abs/2001.07676).

    Args:
        template: the pattern as text.
        needs_mask: whether a pattern without `[MASK]` is an error; it is none for a classification head.

    Raises:
        InputError: if there is no `[MASK]` or no field, a field stands in it twice, or something in it only looks like
            a slot or a special token.

    Example:
        >>> pattern = Pattern("[P*2]{title}？[MASK]，{body}")
        >>> pattern.pieces
        ('[P*2]', '{title}', '？', '[MASK]', '，', '{body}')
        >>> pattern.fields, pattern.num_masks, pattern.num_virtual
        (['title', 'body'], 1, 2)
    """

    template: str
    needs_mask: bool = True

    def __post_init__(self):
        problems = []
        if not isinstance(self.template, str):
            problems.append("it must be a string")
        else:
            if MASK not in self.pieces and self.needs_mask:
                problems.append(f"it has no {MASK}")
            if not self.fields:
                problems.append("it has no field such as {text}")
            twice = sorted({name for name in self.fields if self.fields.count(name) > 1})
            if twice:
                problems.append(f"the field {', '.join(twice)} stands in it twice")
            stray = [found for piece in self.pieces if not SLOT.fullmatch(piece) for found in STRAY.findall(piece)]
            if stray:
                problems.append(
                    f"{', '.join(map(repr, stray))} is no slot: there are {{field}}, {{field:1}}, {{field:left}}, "
                    "[MASK], [P], [P*2] and [SEP]; a brace is written twice"
                )
        if problems:
            raise InputError(
                f"A pattern needs a field for each input and a {MASK}, as in '{{text}}[MASK]好。': "
                f"{'; '.join(problems)}. Received: {self.template!r}"
            )

    @cached_property
    def pieces(self):
        """Slots and what stands between them, in order."""
        return tuple(piece for piece in SLOT.split(self.template) if piece)

    @property
    def fields(self):
        """Names of the fields, in order."""
        return [name for name, *_ in self._fields]

    @property
    def num_masks(self):
        """How often `[MASK]` stands in it: once for label words of any length, or as often as they have tokens."""
        return self.pieces.count(MASK)

    @property
    def num_virtual(self):
        """Number of virtual tokens."""
        return sum(int(found[1] or 1) for found in map(VIRTUAL.fullmatch, self.pieces) if found)

    @property
    def mask_is_last(self):
        """Whether nothing follows the `[MASK]`, as a causal language model needs it."""
        return self.pieces[-1] == MASK and self.num_masks == 1

    @property
    def _fields(self):
        found = filter(None, map(FIELD.fullmatch, self.pieces))
        return [(match[1], int(match[2] or 0), match[3]) for match in found]

    def encode(self, tokenizer, columns, fills=None, max_length=None, truncate_side="right", causal=False):
        """Fill inputs in and encode them as `[CLS] … [SEP]`; only the fields are shortened, never the pattern.

        Args:
            tokenizer: a `Tokenizer`.
            columns: `{field: strings}`, as many for each field.
            fills: what stands at the masks, a list of lists of ids; one cloze is made for each, all with the same of
                the input. By default one, of as many mask tokens as the pattern has `[MASK]`.
            max_length: most tokens, special ones included.
            truncate_side: which end of a field is cut.
            causal: whether the cloze ends before the first token that the model does not read: no `[SEP]` at the end,
                and `slots` are the places at which the asked tokens are predicted, one more than a fill has tokens.

        Returns:
            For each input a list of a `Cloze` for each fill.

        Raises:
            InputError: if a field is missing, the pattern alone is longer than `max_length`, or an option is wrong.

        Example:
            >>> from nlpgen import Vocab, WordPieceTokenizer
            >>> vocab = Vocab(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "很", "好", "吃"])
            >>> ((cloze,),) = Pattern("{text}[MASK]好").encode(
            ...     WordPieceTokenizer(vocab), {"text": ["好吃好吃"]}, max_length=6)
            >>> cloze.token_ids, cloze.slots
            ([2, 6, 7, 4, 6, 3], [3])
        """
        check_truncation(max_length, truncate_side)
        missing = [name for name in self.fields if name not in columns]
        if missing:
            raise InputError(
                f"The pattern {self.template!r} asks for {', '.join(missing)}, but the inputs have "
                f"{', '.join(columns)}. Name its fields as the columns of the inputs."
            )
        if fills is None:
            fills = [[tokenizer.mask_id] * self.num_masks]
        fixed = [self._ids(piece, tokenizer) for piece in self.pieces]
        texts = {name: tokenizer.ids(check_texts(columns[name], name)) for name in self.fields}
        longest_fill = max(map(len, fills))
        special = (tokenizer.cls_id is not None) + (tokenizer.sep_id is not None and not causal)
        room = None if max_length is None else max_length - special - longest_fill - sum(map(len, filter(None, fixed)))
        rows = []
        for values in zip(*texts.values(), strict=True):
            parts = dict(zip(texts, self._cut(values, room, truncate_side), strict=True))
            rows.append([self._join(tokenizer, fixed, parts, fill, causal) for fill in fills])
        return rows

    def _ids(self, piece, tokenizer):
        """The ids of a piece that is the same for all inputs: `None` for a field, none for a mask and virtual tokens,
        which get theirs when they are put in."""
        if FIELD.fullmatch(piece):
            return None
        if piece == MASK or VIRTUAL.fullmatch(piece):
            return [0] * int(VIRTUAL.fullmatch(piece)[1] or 1) if piece != MASK else []
        if piece == SEPARATOR:
            if tokenizer.sep_id is None:
                raise InputError(f"The pattern {self.template!r} has a [SEP], but the tokenizer has no such token.")
            return [tokenizer.sep_id]
        return tokenizer.ids(BRACES.get(piece, piece))

    def _cut(self, values, room, side):
        """The ids of the fields, shortened to the room: lower numbers first, of equal ones the longest."""
        if room is None or sum(map(len, values)) <= room:
            return values
        _, priorities, sides = zip(*self._fields, strict=True)
        lengths = list(map(len, values))
        for priority in sorted(set(priorities)):
            here = [i for i, p in enumerate(priorities) if p == priority]
            others = sum(n for i, n in enumerate(lengths) if i not in here)
            if others <= room:
                lengths = fit_lengths(lengths, room, here)
                return [shorten(ids, n, own or side) for ids, n, own in zip(values, lengths, sides, strict=True)]
            for i in here:
                lengths[i] = 0
        raise InputError(
            f"The pattern {self.template!r} alone has {-room} tokens more than `max_length` allows. "
            "Raise `max_length`, or shorten the pattern."
        )

    def _join(self, tokenizer, fixed, parts, fill, causal):
        cloze, segment, virtual, filled = Cloze(), 0, len(tokenizer.vocab), 0
        if tokenizer.cls_id is not None:
            cloze.add([tokenizer.cls_id])
        for piece, ids in zip(self.pieces, fixed, strict=True):
            if ids is None:
                cloze.add(parts[FIELD.fullmatch(piece)[1]], segment, is_text=True)
            elif piece == MASK:
                here = fill if self.num_masks == 1 else fill[filled : filled + 1]
                filled += len(here)
                start = len(cloze) - causal
                cloze.slots.extend(range(start, start + len(here) + causal))
                cloze.add(here, segment)
            elif VIRTUAL.fullmatch(piece):
                cloze.add(range(virtual, virtual + len(ids)), segment)
                virtual += len(ids)
            else:
                cloze.add(ids, segment)
                segment = 1 if piece == SEPARATOR else segment
        if tokenizer.sep_id is not None and not causal:
            cloze.add([tokenizer.sep_id], segment)
        return cloze
