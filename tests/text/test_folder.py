import json

import pytest

from nlpgen import (
    CPMTokenizer,
    FastTokenizer,
    JiebaWordPieceTokenizer,
    SentencePieceTokenizer,
    Vocab,
    WordPieceTokenizer,
    read_tokenizer,
)
from nlpgen.errors import ConfigError, VocabularyError
from tests.helpers import GOLDEN, SHARED
from tests.text.test_cpm import SMALL as CPM
from tests.text.test_fast import gpt2
from tests.text.test_sentencepiece import MODEL

VOCAB = (GOLDEN / "b4k_tokenizer" / "vocab.txt").read_bytes()
WORDS = Vocab(
    [*["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "我", "的", "们", "好", "一", "个"], "我们", "一个"]
).encoded()
JSON = gpt2()[0].encode()


@pytest.mark.parametrize(
    ("files", "settings", "kind"),
    [
        ({"vocab.txt": VOCAB}, None, WordPieceTokenizer),
        ({"vocab.txt": VOCAB, "tokenizer.json": JSON}, {"tokenizer_class": "BertTokenizer"}, WordPieceTokenizer),
        ({"vocab.txt": VOCAB}, {"tokenizer_class": "RoFormerTokenizer"}, JiebaWordPieceTokenizer),
        ({"vocab.txt": WORDS}, None, JiebaWordPieceTokenizer),
        ({"spiece.model": MODEL}, None, SentencePieceTokenizer),
        ({"spiece.model": MODEL, "tokenizer.json": JSON}, None, SentencePieceTokenizer),
        ({"sentencepiece_cn.model": MODEL}, None, SentencePieceTokenizer),
        ({"chinese_vocab.model": CPM}, None, CPMTokenizer),
        ({"tokenizer.json": JSON}, {"eos_token": "<|endoftext|>"}, FastTokenizer),
        ({"tokenizer.json": JSON, "tokenizer.model": MODEL}, {"pad_token": "<|endoftext|>"}, FastTokenizer),
        ({"one.model": MODEL, "two.model": MODEL}, None, type(None)),
        ({"README.md": b""}, {"eos_token": "</s>"}, type(None)),
    ],
)
def test_the_files_decide(tmp_path, files, settings, kind):
    if settings:
        files = files | {"tokenizer_config.json": json.dumps(settings).encode()}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert type(read_tokenizer(tmp_path)) is kind


@pytest.mark.needs_data("vocab/wobert_33586", "vocab/wobert_plus")
def test_only_wobert_has_words():
    """Of the released vocabularies."""
    paths = sorted(SHARED.glob("vocab/*/*vocab*.txt"))
    with pytest.warns(UserWarning, match="blank lines|duplicate"):
        word_first = {path.parent.name for path in paths if Vocab.read(path).has_words()}
    assert word_first == {"wobert_33586", "wobert_plus"}


def test_special_tokens_of_both_files(tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(JSON)
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": {"content": "<|endoftext|>"}}')
    tokenizer = read_tokenizer(tmp_path)
    assert tokenizer.vocab.token(tokenizer.eos_id) == "<|endoftext|>"


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("{", ConfigError, "tokenizer_config.json is no JSON"),
        ("[]", ConfigError, "must hold a JSON object"),
        ('{"do_lower_case": 1}', ConfigError, "must be true or false"),
        ('{"cls_token": "<cls>"}', VocabularyError, "has no <cls>"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path, content, error, message):
    (tmp_path / "vocab.txt").write_bytes(VOCAB)
    (tmp_path / "tokenizer_config.json").write_text(content)
    with pytest.raises(error, match=message):
        read_tokenizer(tmp_path)
