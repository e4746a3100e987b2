"""What a text may be: asked at each step for the tokens that may follow."""

import re
from collections import defaultdict

from nlpgen.errors import InputError

# Ideographs, as `nlpgen.text` counts them in the basic plane.
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


class Constraint:
    """What may be written. A subclass defines `bound`.

    A plain function will do too: `(index of the prompt, ids written so far)` to the ids that may follow, none of which
    says that the text is finished, or `None` if any may.
    """

    def bound(self, tokenizer, end_ids):
        """That function, for a tokenizer and the tokens that end a text."""
        raise NotImplementedError


class OneOf(Constraint):
    """The text is one of some texts, found along a trie.

    Args:
        texts: the allowed texts, or for each prompt a list of its own.

    Raises:
        InputError: if there is none, or one is empty.
    """

    def __init__(self, texts):
        self.texts = _by_prompt(texts, "texts")

    def bound(self, tokenizer, end_ids):
        tries = {index: _trie(tokenizer.ids(texts), end_ids) for index, texts in self.texts.items()}

        def allowed(index, ids):
            return _of(tries, index, "texts").get(tuple(ids), set())

        return allowed


class FromPassages(Constraint):
    """The text stands in one of some passages, word for word.

    Args:
        passages: strings, or for each prompt a list of its own.
        ngram_size: if given, the text as a whole may come from several places, but any `ngram_size` tokens in a row
            stand in a passage.

    Raises:
        InputError: if there is no passage, or one is empty.
    """

    def __init__(self, passages, ngram_size=None):
        if ngram_size is not None and (not isinstance(ngram_size, int) or ngram_size < 2):
            raise InputError(f"`ngram_size` must be a whole number, 2 or more. Received: {ngram_size!r}")
        self.passages, self.ngram_size = _by_prompt(passages, "passages"), ngram_size

    def bound(self, tokenizer, end_ids):
        ngrams = {index: NGrams(tokenizer.ids(passages)) for index, passages in self.passages.items()}

        def allowed(index, ids):
            own = _of(ngrams, index, "passages")
            if not ids:
                return own.following(ids)
            return own.following(ids if self.ngram_size is None else ids[1 - self.ngram_size :]) | set(end_ids)

        return allowed


class NGrams:
    """Where ids stand in a row, and what follows them there.

    Args:
        rows: lists of ids.

    Example:
        >>> ngrams = NGrams([[5, 6, 5, 7]])
        >>> ngrams.places([5]), sorted(ngrams.following([5]))
        ([(0, 0), (0, 2)], [6, 7])
    """

    def __init__(self, rows):
        self.rows, self._starts = [list(row) for row in rows], defaultdict(list)
        for i, row in enumerate(self.rows):
            for place, id in enumerate(row):
                self._starts[id].append((i, place))

    def places(self, ids):
        """Where these ids begin, one or more, as they follow each other: `(row, place)`."""
        ids = list(ids)
        return [(row, at) for row, at in self._starts.get(ids[0], ()) if self.rows[row][at : at + len(ids)] == ids]

    def following(self, ids):
        """The ids that follow these somewhere; all there are if `ids` is empty."""
        if not ids:
            return set(self._starts)
        behind = [(self.rows[row], at + len(ids)) for row, at in self.places(ids)]
        return {row[at] for row, at in behind if at < len(row)}


class Template(Constraint):
    """The text has a given form, character for character.

    Args:
        form: what stands there, with a blank for each character that is free.
        blank: the character that marks it; any ideograph may stand there.

    Example:
        >>> Template.of_lines(5, heads="春夏").form
        '春□□□□，夏□□□□。'
    """

    def __init__(self, form, blank="□"):
        if not form or len(blank) != 1:
            raise InputError(f"`form` must have a character, and `blank` be one. Received: {form!r} and {blank!r}")
        self.form, self.blank = form, blank

    @classmethod
    def of_lines(cls, length, lines=None, heads="", marks="，。"):
        """The form of a poem or couplet.

        Args:
            length: characters of a line.
            lines: how many; as many as `heads` by default.
            heads: what the lines begin with, a character each, as in an acrostic.
            marks: what stands behind the lines, in turn.

        Raises:
            InputError: if there is no line, or there are more heads than lines.
        """
        lines = len(heads) if lines is None else lines
        if lines < 1 or length < 1 or len(heads) > lines or not marks:
            raise InputError(
                "A poem has lines, each has characters, and no more lines begin with `heads` than there are. Received: "
                f"length={length}, lines={lines}, heads={heads!r}, marks={marks!r}"
            )
        heads = [*heads, *"□" * (lines - len(heads))]
        return cls("".join(head + "□" * (length - 1) + marks[i % len(marks)] for i, head in enumerate(heads)))

    def bound(self, tokenizer, end_ids):
        tokens = {}
        for id, token in enumerate(tokenizer.token_bytes()):
            text = token.decode("utf-8", errors="replace")
            if text and "\ufffd" not in text and len(text) <= len(self.form):
                tokens[id] = text
        lengths, known = {id: len(text) for id, text in tokens.items()}, {}

        def at(place):
            if place not in known:
                known[place] = {id for id, text in tokens.items() if self._fits(text, place)}
            return known[place]

        def allowed(index, ids):
            place = sum(lengths.get(id, 0) for id in ids)
            return at(place) if place < len(self.form) else set(end_ids)

        return allowed

    def _fits(self, text, place):
        wanted = self.form[place : place + len(text)]
        return len(wanted) == len(text) and all(
            HAN.match(character) if mark == self.blank else character == mark
            for character, mark in zip(text, wanted, strict=True)
        )


def _by_prompt(texts, name):
    """Lists of texts by the index of the prompt, `None` for all prompts."""
    found = {None: texts} if all(isinstance(text, str) for text in texts) else dict(enumerate(texts))
    wrong = [index for index, own in found.items() if not own or not all(isinstance(t, str) and t for t in own)]
    if wrong or not found:
        raise InputError(f"`{name}` must hold strings that are not empty, or for each prompt a list of such strings.")
    return {index: list(own) for index, own in found.items()}


def _of(values, index, name):
    if None in values:
        return values[None]
    if index not in values:
        raise InputError(f"There are `{name}` for {len(values)} prompts, but no prompt less than {index + 1}.")
    return values[index]


def _trie(rows, end_ids):
    """What may follow each beginning, `{ids: ids}`."""
    found = defaultdict(set)
    for row in rows:
        for n, id in enumerate(row):
            found[tuple(row[:n])].add(id)
        found[tuple(row)] |= set(end_ids)
    return found
