"""The vocabulary: a token's id is the number of its line."""

import unicodedata
import warnings
from pathlib import Path

from nlpgen.errors import CheckpointWarning, VocabularyError

MAX_LINES = 1_000_000
MAX_LINE_BYTES = 1024
# Where CJK ideographs stand in Unicode, as BERT's tokenizer counts them.
CJK_RANGES = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class Vocab:
    """Tokens by id and ids by token.

    Of a token that stands on several lines the last line is its id, as in Google's and Hugging Face's code; blank
    lines keep their number but are no token. Both are warned about.

    Args:
        tokens: the tokens in the order of their ids.

    Example:
        >>> vocab = Vocab(["[PAD]", "[UNK]", "好"])
        >>> vocab.id("好"), vocab.token(1), len(vocab), "坏" in vocab
        (2, '[UNK]', 3, False)
    """

    def __init__(self, tokens):
        self.tokens = list(tokens)
        self.ids = {token: i for i, token in enumerate(self.tokens) if token}
        self._warn()

    @classmethod
    def read(cls, path):
        """Read a `vocab.txt`, one token a line, in UTF-8 with or without a byte order mark.

        Raises:
            VocabularyError: if the file is not UTF-8 (with the byte), empty, has a line over 1 KB or over 1,000,000
                lines.
        """
        path = Path(path)
        data = path.read_bytes()
        if max(map(len, data.split(b"\n"))) > MAX_LINE_BYTES or data.count(b"\n") > MAX_LINES:
            raise VocabularyError(
                f"{path} is no vocabulary: expected at most {MAX_LINES:,} lines of at most {MAX_LINE_BYTES:,} bytes. "
                "Give the `vocab.txt` that came with the model."
            )
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise VocabularyError(
                f"{path} is not UTF-8: byte {data[error.start]:#04x} at {error.start}. "
                "Save it as UTF-8, or take the original file again."
            ) from None
        lines = text.split("\n")  # not splitlines(): a vocabulary may hold U+2028
        if lines[-1] == "":
            del lines[-1]
        if not lines:
            raise VocabularyError(f"{path} is empty. Give the `vocab.txt` that came with the model.")
        return cls(line.strip(" \t\r") for line in lines)  # not strip(): Chinese BERT has U+2028 as a token

    def write(self, path):
        """Write one token a line, in UTF-8."""
        Path(path).write_bytes(self.encoded())

    def encoded(self):
        """What `write` writes, as bytes."""
        return "".join(f"{token}\n" for token in self.tokens).encode("utf-8")

    def __len__(self):
        return len(self.tokens)

    def __contains__(self, token):
        return token in self.ids

    def __eq__(self, other):
        return isinstance(other, Vocab) and self.tokens == other.tokens

    __hash__ = None

    def id(self, token):
        """The id of a token.

        Raises:
            VocabularyError: if there is no such token.
        """
        if token not in self.ids:
            raise VocabularyError(
                f"The vocabulary of {len(self):,} tokens has no {token!r}. Give a token that stands in it."
            )
        return self.ids[token]

    def token(self, id):
        """The token of an id.

        Raises:
            VocabularyError: if the vocabulary has no such id.
        """
        if not 0 <= id < len(self):
            raise VocabularyError(f"There is no id {id}: the vocabulary has ids 0 to {len(self) - 1}.")
        return self.tokens[id]

    def subset(self, keep_tokens):
        """The vocabulary of the kept ids, in the given order (bert4keras' `keep_tokens`).

        Args:
            keep_tokens: ids of this vocabulary; the n-th becomes id n.

        Raises:
            VocabularyError: if an id is not in the vocabulary.
        """
        wrong = [i for i in keep_tokens if not 0 <= i < len(self)]
        if wrong:
            raise VocabularyError(
                f"`keep_tokens` holds {wrong[0]} (and {len(wrong) - 1} more such ids), "
                f"but the vocabulary has ids 0 to {len(self) - 1}. Correct the list."
            )
        return Vocab(self.tokens[i] for i in keep_tokens)

    def simplified(self, first=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")):
        """Ids without the tokens that WordPiece never makes of Chinese text (bert4keras' `simplified`).

        A token of several characters with a CJK ideograph or a punctuation mark in it is such a token: BERT's
        tokenizer cuts both off as words of their own. Chinese BERT loses about a third of its 21,128 rows.

        Args:
            first: tokens that are kept in any case, and stand first.

        Returns:
            The ids to give to `subset` or to `from_pretrained(keep_tokens=...)`.
        """
        keep = [self.id(token) for token in first]
        taken = set(first)
        return keep + [i for i, token in enumerate(self.tokens) if token not in taken and not _is_redundant(token)]

    def has_words(self):
        """Whether over a tenth of the tokens are Chinese words, which only a word-first tokenizer makes.

        WordPiece alone cuts between ideographs, and BERT's Chinese vocabulary holds no such token; in WoBERT's it is
        more than half of them.
        """
        words = sum(len(token) > 1 and all(map(is_cjk, token)) for token in self.tokens)
        return words > len(self) / 10

    def _warn(self):
        blank = [i + 1 for i, token in enumerate(self.tokens) if not token]
        if blank:
            warnings.warn(
                f"The vocabulary has {len(blank)} blank lines (line {blank[0]} first). They keep their ids.",
                CheckpointWarning,
                stacklevel=3,
            )
        double = [i + 1 for i, token in enumerate(self.tokens) if token and self.ids[token] != i]
        if double:
            token = self.tokens[double[0] - 1]
            warnings.warn(
                f"The vocabulary has {len(double)} duplicate tokens; the last line of each is its id. "
                f"First: {token!r} on lines {double[0]} and {self.ids[token] + 1}.",
                CheckpointWarning,
                stacklevel=3,
            )


def is_cjk(character):
    """Whether BERT's tokenizer takes the character for a CJK ideograph, a word of its own."""
    return any(first <= ord(character) <= last for first, last in CJK_RANGES)


def is_punctuation(character):
    """Whether BERT's tokenizer takes the character for punctuation: ASCII symbols, and Unicode's class P."""
    code = ord(character)
    return (
        33 <= code <= 47
        or 58 <= code <= 64
        or 91 <= code <= 96
        or 123 <= code <= 126
        or unicodedata.category(character).startswith("P")
    )


def _is_redundant(token):
    stem = token.removeprefix("##")
    return not token or (len(token) > 1 and any(is_cjk(c) or is_punctuation(c) for c in stem))
