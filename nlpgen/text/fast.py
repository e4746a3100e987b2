"""Hugging Face's `tokenizer.json`: LLaMA, Qwen, GPT-2 and whatever else the library `tokenizers` reads."""

import json
import secrets

import keras
import numpy as np
import tokenizers

from nlpgen.errors import VocabularyError
from nlpgen.text.sentencepiece import BYTE_PIECE, MARK
from nlpgen.text.tokenizer import Tokenizer, json_bytes
from nlpgen.text.vocab import Vocab

ROLES = ("pad", "unk", "mask", "eos")


@keras.saving.register_keras_serializable("nlpgen")
class FastTokenizer(Tokenizer):
    """A `tokenizer.json`, run by the Rust library that wrote it.

    `cls` and `sep` are what its post-processor puts before and behind a text: `<s>` and nothing for LLaMA, nothing at
    all for Qwen and GPT-2. A token that holds a part of a character's bytes has the offsets of the whole character.

    Args:
        content: the JSON, as text or bytes.
        settings: fields of `tokenizer_config.json`, kept as they are. `pad_token`, `unk_token`, `mask_token` and
            `eos_token` name special tokens, as a string or as `{"content": …}`. Without a `pad_token`, `unk_token` or
            else `eos_token` fills.

    Raises:
        VocabularyError: if the library cannot read it, it lacks a token that the settings name, or it puts more than
            one token before or behind a text.
    """

    def __init__(self, content, settings=None):
        self.content = content if isinstance(content, str) else bytes(content).decode("utf-8", errors="replace")
        self.settings = dict(settings or {})
        self._marked = _library(self.content)
        by_id = {id: token for token, id in self._marked.get_vocab(with_added_tokens=True).items()}
        vocab = Vocab(by_id.get(i, f"<unused_{i}>") for i in range(max(by_id) + 1))
        roles = {role: token_of(self.settings.get(f"{role}_token")) for role in ROLES}
        before, behind = _around(self._marked)
        roles["sep"] = vocab.token(behind[0]) if behind else None
        roles["cls"] = vocab.token(before[0]) if before else None
        roles["eos"] = roles["eos"] or roles["sep"]
        self.has_padding = roles["pad"] is not None
        roles["pad"] = roles["pad"] or roles["unk"] or roles["eos"]
        super().__init__(vocab, **roles)
        fields = json.loads(self.content)
        self.special_ids |= {token["id"] for token in fields.get("added_tokens", []) if token["special"]}
        self._plain = _library(_without_marks(self.content))
        self._bytes = _byte_alphabet() if '"ByteLevel"' in json.dumps(fields.get("decoder")) else None

    def pieces(self, texts, special_tokens=False):
        library = self._marked if special_tokens else self._plain
        return [(e.ids, e.offsets) for e in library.encode_batch(texts, add_special_tokens=False)]

    def decode(self, ids, skip_special_tokens=True):
        ids = np.asarray(ids, dtype=int).ravel().tolist()
        self.tokens(ids)  # raises where there is no such id
        kept = [id for id in ids if id not in self.special_ids] if skip_special_tokens else ids
        return self._marked.decode(kept, skip_special_tokens=False)

    def bytes_of(self, token):
        if self._bytes is not None and all(character in self._bytes for character in token):
            return bytes(self._bytes[character] for character in token)
        if BYTE_PIECE.fullmatch(token):
            return bytes([int(token[3:5], 16)])
        return token.replace("▁", " ").encode("utf-8")

    def files(self):
        named = {f"{role}_token": token for role, token in self.special_tokens.items() if token is not None}
        plain = {name: token_of(value) if name.endswith("_token") else value for name, value in self.settings.items()}
        settings = {"tokenizer_class": "PreTrainedTokenizerFast"} | named | plain
        return {"tokenizer.json": self.content.encode("utf-8"), "tokenizer_config.json": json_bytes(settings)}

    def with_tokens(self, keep_tokens=None, further=()):
        if keep_tokens is not None:
            raise VocabularyError(
                "`keep_tokens` cannot cut a tokenizer.json: its merges build tokens from one another. Leave "
                "`keep_tokens` out, or load the folder with its SentencePiece model instead."
            )
        library = _library(self.content)
        library.add_tokens([tokenizers.AddedToken(token, normalized=False) for token in further])
        return type(self)(library.to_str(), self.settings)

    def get_config(self):
        return {"content": self.content, "settings": self.settings}


def token_of(value):
    """The text of a token in `tokenizer_config.json`, which stands there as a string or as a dict."""
    return value.get("content") if isinstance(value, dict) else value


def _library(content):
    try:
        library = tokenizers.Tokenizer.from_str(content)
    except Exception as error:  # the library raises no narrower class
        raise VocabularyError(
            f"The library tokenizers cannot read this tokenizer.json: {error}. Take the file again, or install a newer "
            "version: pip install -U tokenizers"
        ) from None
    library.no_padding()
    library.no_truncation()
    return library


def _around(library):
    """Ids that the post-processor puts before and behind a text."""
    whole = library.encode("a", add_special_tokens=True).ids
    text = library.encode("a", add_special_tokens=False).ids
    starts = [i for i in range(len(whole) - len(text) + 1) if whole[i : i + len(text)] == text]
    before, behind = (whole[: starts[0]], whole[starts[0] + len(text) :]) if starts else (whole, [])
    if not starts or len(before) > 1 or len(behind) > 1:
        raise VocabularyError(
            f"This tokenizer.json puts {len(before)} tokens before a text and {len(behind)} behind it; nlpgen knows "
            "one of each at most. Remove its post_processor, and add them to the ids yourself."
        )
    return before, behind


def _without_marks(content):
    """The same tokenizer, which takes no text for a token that steers the model.

    Such tokens keep their ids, but get a name that is drawn anew and that nobody can type.
    """
    fields = json.loads(content)
    added, model, hidden = fields.get("added_tokens", []), fields["model"], secrets.token_hex(16)
    marks = {token["content"] for token in added if token["special"] or MARK.fullmatch(token["content"])}

    def name(token):
        return hidden + token if token in marks else token

    for token in added:
        token["content"] = name(token["content"])
    if isinstance(model["vocab"], dict):
        model["vocab"] = {name(token): id for token, id in model["vocab"].items()}
    else:
        model["vocab"] = [[name(token), score] for token, score in model["vocab"]]
    if model.get("unk_token") is not None:
        model["unk_token"] = name(model["unk_token"])
    return json.dumps(fields, ensure_ascii=False)


def _byte_alphabet():
    """The byte that each character of a byte-level token stands for.

    What is printable in Latin-1 stands for itself, and the other bytes, in their order, for what follows U+0100.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}
