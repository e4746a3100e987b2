"""From the files of a model's folder to its tokenizer."""

import json
from pathlib import Path

from nlpgen.errors import ConfigError
from nlpgen.text.cpm import CPMTokenizer
from nlpgen.text.fast import FastTokenizer, token_of
from nlpgen.text.jieba_wordpiece import JiebaWordPieceTokenizer
from nlpgen.text.sentencepiece import SentencePieceTokenizer
from nlpgen.text.spiece_file import read_pieces
from nlpgen.text.vocab import Vocab
from nlpgen.text.wordpiece import WordPieceTokenizer

# Which file decides where there are several, e.g. in a T5 folder of Hugging Face.
FILES = ("vocab.txt", "spiece.model", "tokenizer.json", "*.model")


def read_tokenizer(folder):
    """The tokenizer of a model's folder.

    - `vocab.txt`: `WordPieceTokenizer`; `JiebaWordPieceTokenizer` where `tokenizer_config.json` names RoFormer's
      class, or the vocabulary has words
    - `spiece.model`: `SentencePieceTokenizer`; `CPMTokenizer` where it has CPM's marks
    - `tokenizer.json`: `FastTokenizer`
    - one `*.model` of any name: as `spiece.model`

    The first of these that is there is read; `tokenizer_config.json` and `special_tokens_map.json` name its special
    tokens.

    Args:
        folder: a path.

    Returns:
        A `Tokenizer`, or `None` where the folder has none of these files.

    Raises:
        ConfigError: if a setting cannot be used.
        VocabularyError: if a file cannot be read, or lacks a special token.
    """
    folder = Path(folder)
    found = vocabulary_file(folder)
    if found is None:
        return None
    settings = _json(folder / "special_tokens_map.json") | _json(folder / "tokenizer_config.json")
    if not isinstance(settings.get("do_lower_case", True), bool):
        raise ConfigError(
            f"tokenizer_config.json: `do_lower_case` must be true or false. Received: {settings['do_lower_case']!r}. "
            "Correct it there."
        )
    if found.name == "vocab.txt":
        return _wordpiece(Vocab.read(found), settings)
    if found.name == "tokenizer.json":
        return FastTokenizer(found.read_bytes(), settings)
    return _sentencepiece(found.read_bytes(), settings)


def vocabulary_file(folder):
    """The file that holds a folder's vocabulary, or `None`."""
    for name in FILES:
        paths = sorted(Path(folder).glob(name))
        if len(paths) == 1 and paths[0].is_file():
            return paths[0]
    return None


def _wordpiece(vocab, settings):
    word_first = "RoFormer" in _class(settings) or vocab.has_words()
    kind = JiebaWordPieceTokenizer if word_first else WordPieceTokenizer
    return kind(vocab, settings.get("do_lower_case", True), **_special(settings, "pad", "unk", "cls", "sep", "mask"))


def _sentencepiece(model, settings):
    own = settings.get("nlpgen")
    if own is not None:  # written by `SentencePieceTokenizer.files`
        own = dict(own)
        kinds = {kind.__name__: kind for kind in (SentencePieceTokenizer, CPMTokenizer)}
        return kinds[own.pop("class")](model, **own)
    texts = {piece.text for piece in read_pieces(model)}
    if "Cpm" in _class(settings) or {"\u2582", "\u2583"} <= texts:
        return CPMTokenizer(model)
    if "Llama" in _class(settings):
        special = _special(settings, "pad", "unk", "bos", "eos")
        bos = special.pop("bos", "<s>")
        return SentencePieceTokenizer(model, **special, cls=bos, sep=None)
    tokenizer = SentencePieceTokenizer(
        model,
        "Albert" in _class(settings) and settings.get("do_lower_case", True),
        **_special(settings, "pad", "unk", "eos", "mask"),
    )
    if _class(settings).startswith("T5") and "<extra_id_0>" not in texts and "▁<extra_id_0>" not in texts:
        count = settings.get("extra_ids", 100)  # not in the file, but at the end of the table
        return tokenizer.with_tokens(further=[f"<extra_id_{i}>" for i in reversed(range(count))])
    return tokenizer


def _special(settings, *roles):
    tokens = {role: token_of(settings.get(f"{role}_token")) for role in roles}
    return {role: token for role, token in tokens.items() if isinstance(token, str)}


def _class(settings):
    name = settings.get("tokenizer_class")
    return name if isinstance(name, str) else ""


def _json(path):
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}. Correct it, or take the file again.") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must hold a JSON object. It holds: {value!r:.60}")
    return value
