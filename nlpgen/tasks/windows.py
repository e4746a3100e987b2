"""Texts of any length as stretches of tokens that a model reads at once."""

from dataclasses import dataclass

from nlpgen.errors import InputError

SENTENCE_ENDS = "。！？；!?;\n"


@dataclass(frozen=True)
class Window:
    """A stretch of the tokens of a text that the model reads at once.

    Attributes:
        text: index of the text.
        token_ids: with `[CLS]` and `[SEP]`.
        offsets: `(start, end)` in the text of the tokens between them.
    """

    text: int
    token_ids: list
    offsets: list

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
    longest = min((n for n in (model.max_length, model.backbone.longest) if n is not None), default=None)
    if longest is not None and longest < 3:
        raise InputError(f"`max_length` must leave room for a token between two special ones. Received: {longest}")
    for i, (text, (ids, offsets)) in enumerate(zip(texts, tokenizer.pieces(texts), strict=True)):
        begin = 0
        while begin < len(ids):
            end = _cut(text, offsets, begin, len(ids) if longest is None else begin + longest - 2)
            token_ids = [tokenizer.cls_id, *ids[begin:end], tokenizer.sep_id]
            windows.append(Window(i, token_ids, list(offsets[begin:end])))
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
