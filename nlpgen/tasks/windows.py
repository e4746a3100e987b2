"""Texts of any length as stretches of tokens that a model reads at once."""

from dataclasses import dataclass

from nlpgen.errors import InputError

SENTENCE_ENDS = "。！？；!?;\n"


@dataclass(frozen=True)
class Window:
    """A stretch of the tokens of a text that the model reads at once.

    Attributes:
        text: index of the text.
        token_ids: with the special tokens of the tokenizer.
        offsets: `(start, end)` in the text of the others.
        first: place of the first of the others.
    """

    text: int
    token_ids: list
    offsets: list
    first: int

    def __len__(self):
        return len(self.token_ids)


def windows_of(model, texts):
    """Cut texts into windows of at most as many tokens as a model reads.

    Args:
        model: a `SequenceTagger` or `SpanTagger` with its tokenizer.
        texts: strings.

    Returns:
        A list of `Window`, in the order of the texts; a text without tokens has none.

    Raises:
        InputError: if the model's `max_length` leaves no room for a token.
    """
    tokenizer, windows = model.tokenizer, []
    before, behind = ([] if i is None else [i] for i in (tokenizer.cls_id, tokenizer.sep_id))
    longest = min((n for n in (model.max_length, model.backbone.longest) if n is not None), default=None)
    room = None if longest is None else longest - len(before) - len(behind)
    if room is not None and room < 1:
        raise InputError(f"`max_length` must leave room for a token beside the special ones. Received: {longest}")
    for i, (text, (ids, offsets)) in enumerate(zip(texts, tokenizer.pieces(texts), strict=True)):
        begin = 0
        while begin < len(ids):
            end = _cut(text, offsets, begin, len(ids) if room is None else begin + room)
            token_ids = [*before, *ids[begin:end], *behind]
            windows.append(Window(i, token_ids, list(offsets[begin:end]), len(before)))
            begin = end
    return windows


def _cut(text, offsets, begin, end):
    """Where a window from `begin` ends, at `end` or after the last sentence end in its second half."""
    if end >= len(offsets):
        return len(offsets)
    for i in range(end, begin + (end - begin) // 2, -1):
        if any(character in SENTENCE_ENDS for character in text[offsets[i - 1][1] - 1 : offsets[i][0]]):
            return i
    return end
