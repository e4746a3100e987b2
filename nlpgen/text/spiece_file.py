"""The pieces in a SentencePiece model file, read and replaced.

The file is a protobuf message: pieces (field 1), then settings, which stay as they are. It is read here by hand,
because the generated classes want their own version of protobuf, and clash with those that other libraries register.
"""

import struct
from dataclasses import dataclass

from nlpgen.errors import VocabularyError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protobuf's wire types
PIECES = 1 << 3 | BYTES
TEXT, SCORE, TYPE = 1, 2, 3


@dataclass(frozen=True)
class Piece:
    """One piece.

    Attributes:
        text: its characters, a space written as `▁`.
        score: log-probability, or minus the rank of a merge.
        type: `NORMAL`, found in texts; `UNKNOWN`; `CONTROL`, never found in a text; `USER_DEFINED`, found before all
            others; `UNUSED`, not found; `BYTE`, what unknown characters are written with.
    """

    text: str
    score: float = 0.0
    type: int = NORMAL


def read_pieces(model):
    """The pieces of a model file, in the order of their ids.

    Args:
        model: the file's bytes.

    Raises:
        VocabularyError: if it is no SentencePiece model.
    """
    try:
        pieces = [_piece(body) for tag, body, _ in _fields(model) if tag == PIECES]
        if not pieces:
            raise ValueError("it has no pieces")
        return pieces
    except (IndexError, UnicodeDecodeError, ValueError, struct.error) as error:
        raise VocabularyError(
            f"This is no SentencePiece model: {error}. Give the `spiece.model` that came with the model."
        ) from None


def with_pieces(model, pieces):
    """The same model file with other pieces.

    Args:
        model: the file's bytes.
        pieces: `Piece`s in the order of their ids.

    Returns:
        Bytes of a model file.
    """
    out = bytearray()
    for piece in pieces:
        text = piece.text.encode("utf-8")
        body = bytes([TEXT << 3 | BYTES]) + _varint(len(text)) + text
        body += bytes([SCORE << 3 | FIXED32]) + struct.pack("<f", piece.score)
        if piece.type != NORMAL:
            body += bytes([TYPE << 3 | VARINT, piece.type])
        out += bytes([PIECES]) + _varint(len(body)) + body
    for tag, _, whole in _fields(model):
        if tag != PIECES:
            out += whole
    return bytes(out)


def _piece(body):
    values = {"text": ""}
    for tag, value, _ in _fields(body):
        number = tag >> 3
        if number == TEXT:
            values["text"] = value.decode("utf-8")
        elif number == SCORE:
            values["score"] = struct.unpack("<f", value)[0]
        elif number == TYPE:
            values["type"] = value
    return Piece(**values)


def _fields(message):
    """Tag, value and bytes of each field of a message."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = _read_varint(message, at)
        else:
            if kind == BYTES:
                size, at = _read_varint(message, at)
            elif kind in (FIXED32, FIXED64):
                size = 4 if kind == FIXED32 else 8
            else:
                raise ValueError(f"byte {start} starts no field")
            value, at = message[at : at + size], at + size
            if at > len(message):
                raise ValueError(f"it ends at byte {len(message)}, within a field of {size:,} bytes")
        yield tag, value, message[start:at]


def _read_varint(message, at):
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
