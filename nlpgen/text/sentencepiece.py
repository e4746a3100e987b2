"""SentencePiece: mT5, T5, ALBERT, UER's models, LLaMA's `tokenizer.model`."""

import base64
import re
import unicodedata
from dataclasses import replace

import keras
import numpy as np

from nlpgen.errors import VocabularyError
from nlpgen.text.alignment import Aligned
from nlpgen.text.spiece_file import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    Piece,
    read_pieces,
    with_pieces,
)
from nlpgen.text.tokenizer import Tokenizer, json_bytes
from nlpgen.text.vocab import Vocab

# `<extra_id_0>`, `[MASK]`, `<|endoftext|>`: what looks like a token that steers a model, and is no text.
MARK = re.compile(r"▁?(<[^<>\s]+>|\[[^\[\]\s]+\])")

# `<0xE4>`: a byte of a character that has no piece.
BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")


@keras.saving.register_keras_serializable("nlpgen")
class SentencePieceTokenizer(Tokenizer):
    """Pieces of the normalised text, spaces among them, as a SentencePiece model file has them.

    Ids equal those of the library `sentencepiece` on any text in which no special token is typed. A piece that stands
    for a part of a character (a byte of it, or one of several letters that normalisation makes of it) has the offsets
    of the whole character; the space that SentencePiece puts before a text has an empty span.

    Kudo and Richardson, 2018, https://arxiv.org/abs/1808.06226

    Args:
        model: the bytes of a model file, or their base64 text, as a Keras config holds them.
        lowercase: lower-case the text and strip its accents first, as ALBERT does.
        special: names of the special tokens, see `Tokenizer`. The model file's own by default: `[CLS]` and `[SEP]`
            where it has both, otherwise no `cls`, and the end of sentence as `sep`, as in T5.

    Raises:
        VocabularyError: if the bytes are no SentencePiece model, or it lacks a special token.
    """

    hugging_face_class = "T5Tokenizer"

    def __init__(self, model, lowercase=False, **special):
        self.model = model_bytes(model)
        self._pieces = read_pieces(self.model)
        self._plain = _library(self.model)
        super().__init__(Vocab(piece.text for piece in self._pieces), **(_roles(self._plain, self._pieces) | special))
        self.lowercase = lowercase
        self.special_ids |= {i for i, piece in enumerate(self._pieces) if piece.type == CONTROL}
        self._marked = None
        hidden = {i for i in self.marks() if self._pieces[i].type in (NORMAL, USER_DEFINED)}
        if hidden:
            self._plain = _library(self._retyped(hidden, UNUSED))

    def marks(self):
        """Ids of the tokens that no text is cut into, unless `special_tokens` is true."""
        user_defined = {
            i for i, piece in enumerate(self._pieces) if piece.type == USER_DEFINED and MARK.fullmatch(piece.text)
        }
        return self.special_ids | user_defined

    def prepare(self, text, special_tokens=False):
        """The text as the model file wants it: an `Aligned`, or `None` where it is wanted as it is."""
        return Aligned.map(text, _lower) if self.lowercase else None

    def pieces(self, texts, special_tokens=False):
        library = self._plain
        if special_tokens:
            if self._marked is None:
                named = {i for i in self.marks() if self._pieces[i].type != UNKNOWN}
                self._marked = _library(self._retyped(named, USER_DEFINED))
            library = self._marked
        prepared = [self.prepare(text, special_tokens) for text in texts]
        strings = [text if made is None else made.text for text, made in zip(texts, prepared, strict=True)]
        rows = library.encode(strings, return_type="offset_mapping")
        return [
            (row["ids"], _offsets(row["pieces"], row["offsets"], made))
            for row, made in zip(rows, prepared, strict=True)
        ]

    def decode(self, ids, skip_special_tokens=True):
        ids = np.asarray(ids, dtype=int).ravel().tolist()
        words, run = [], []
        for id, token in zip(ids, self.tokens(ids), strict=True):
            if id not in self.special_ids:
                run.append(id)
            elif not skip_special_tokens:
                words += [self._plain.decode(run), token]
                run = []
        return "".join([*words, self._plain.decode(run)])

    def bytes_of(self, token):
        if BYTE_PIECE.fullmatch(token):
            return bytes([int(token[3:5], 16)])
        return token.replace("▁", " ").encode("utf-8")

    def files(self):
        special = {f"{role}_token": token for role, token in self.special_tokens.items() if token is not None}
        settings = {"tokenizer_class": self.hugging_face_class, "do_lower_case": self.lowercase, "extra_ids": 0}
        own = {"nlpgen": {"class": type(self).__name__, "lowercase": self.lowercase, **self.special_tokens}}
        return {"spiece.model": self.model, "tokenizer_config.json": json_bytes(settings | special | own)}

    def with_tokens(self, keep_tokens=None, further=()):
        keep = range(len(self.vocab)) if keep_tokens is None else keep_tokens
        self.vocab.subset(keep)  # raises where an id is wrong
        bytes_kept = sum(self._pieces[i].type == BYTE for i in keep)
        bytes_held = sum(piece.type == BYTE for piece in self._pieces)
        if bytes_kept != bytes_held:
            raise VocabularyError(
                f"`keep_tokens` keeps {bytes_kept} of the {bytes_held} byte pieces, which SentencePiece writes unknown "
                "characters with. Keep them all."
            )
        pieces = [self._pieces[i] for i in keep] + [Piece(token, type=USER_DEFINED) for token in further]
        return type(self)(**(self.get_config() | {"model": with_pieces(self.model, pieces)}))

    def get_config(self):
        model = base64.b64encode(self.model).decode("ascii")
        return {"model": model, "lowercase": self.lowercase, **self.special_tokens}

    def _retyped(self, ids, type):
        pieces = [replace(piece, type=type) if i in ids else piece for i, piece in enumerate(self._pieces)]
        return with_pieces(self.model, pieces)


def model_bytes(model):
    """The bytes of a model file that is given as bytes or base64 text."""
    return base64.b64decode(model) if isinstance(model, str) else bytes(model)


def _library(model):
    """The processor of the library `sentencepiece`."""
    from sentencepiece import SentencePieceProcessor  # not above: `import nlpgen` would load it

    try:
        return SentencePieceProcessor(model_proto=model)
    except (RuntimeError, ValueError) as error:
        raise VocabularyError(
            f"The library sentencepiece cannot read this model: {error}. Give the `spiece.model` that came with it."
        ) from None


def _roles(library, pieces):
    """The special tokens that a model file names."""
    texts = {piece.text for piece in pieces}
    named = {"pad": library.pad_id(), "unk": library.unk_id(), "eos": library.eos_id()}
    roles = {role: pieces[id].text if id >= 0 else None for role, id in named.items()}
    roles["pad"] = roles["pad"] or ("<pad>" if "<pad>" in texts else roles["unk"])
    roles["mask"] = next((token for token in ("[MASK]", "<mask>") if token in texts), None)
    if {"[CLS]", "[SEP]"} <= texts:
        return roles | {"cls": "[CLS]", "sep": "[SEP]", "eos": "[SEP]"}
    return roles | {"cls": None, "sep": roles["eos"]}


def _lower(character):
    parts = unicodedata.normalize("NFKD", character)
    return "".join(part for part in parts if not unicodedata.combining(part)).lower()


def _offsets(pieces, offsets, prepared):
    """Offsets in the original text; the parts of one character all have its span."""
    out = list(offsets)
    for i in range(len(out) - 2, -1, -1):
        start, end = out[i]
        if start == end == out[i + 1][0] and (i > 0 or pieces[0] != "▁"):
            out[i] = out[i + 1]
    return out if prepared is None else [prepared.origin(start, end) for start, end in out]
