import json
import random
from dataclasses import replace

import jieba
import keras
import pytest
import sentencepiece

from nlpgen import CPMTokenizer, read_tokenizer
from nlpgen.text.spiece_file import CONTROL, USER_DEFINED, Piece, read_pieces, with_pieces
from tests.helpers import GOLDEN, random_text, released

WORDS = json.loads((GOLDEN / "b4k_words" / "golden.json").read_text())["cpm"]
SMALL = (GOLDEN / "b4k_tokenizer" / "spiece.model").read_bytes()
SMALL = with_pieces(SMALL, [*read_pieces(SMALL), *(Piece(t, type=USER_DEFINED) for t in ("\u2582", "\u2583", "<eod>"))])
needs_cpm = pytest.mark.needs_data("vocab/cpm/chinese_vocab.model")


@pytest.fixture(scope="module")
def tokenizer():
    return CPMTokenizer(SMALL)


@pytest.fixture(scope="module")
def released_cpm():
    return CPMTokenizer(released("cpm/chinese_vocab.model").read_bytes())


@needs_cpm
def test_ids_equal_bert4keras(released_cpm):
    assert len(WORDS) == 54
    for row in WORDS:
        if "x" * 100 not in row["text"]:  # several best cuts: see the README of the golden file
            assert released_cpm.encode(row["text"]).token_ids == row["ids"]


def test_ids_are_those_of_the_authors_code(tokenizer):
    """Which joins jieba's words by spaces and gives them to SentencePiece."""
    library = sentencepiece.SentencePieceProcessor(model_proto=SMALL)
    generator = random.Random(0)
    for text in [*(row["text"] for row in WORDS), *(random_text(generator) for _ in range(500))]:
        words = " ".join(w.translate({32: "\u2582", 10: "\u2583"}) for w in jieba.cut(text))
        ids, offsets = tokenizer.pieces([text])[0]
        assert ids == library.encode(words)
        assert all(0 <= start <= end <= len(text) for start, end in offsets)
        assert offsets == sorted(offsets)


@needs_cpm
def test_spaces_and_line_breaks_come_back(released_cpm):
    text = "今天 天气很好\n我们去  北京玩 2024"
    assert released_cpm.decode(released_cpm.ids(text)) == text
    for id, (start, end) in zip(*released_cpm.pieces([text])[0], strict=True):
        assert text[start:end] == released_cpm.decode([id])


@needs_cpm
def test_nothing_stands_around_a_text(released_cpm):
    text = "今天<eod>"
    assert released_cpm.encode(text).token_ids == released_cpm.ids(text)
    assert (released_cpm.pad_id, released_cpm.eos_id, released_cpm.mask_id) == (5, 7, 6)
    assert released_cpm.eos_id not in released_cpm.ids(text)
    assert released_cpm.ids(text, special_tokens=True)[-1] == released_cpm.eos_id
    assert "<eod>" not in released_cpm.decode(released_cpm.ids(text, special_tokens=True))


def test_the_older_file_calls_the_line_break_cls(tokenizer):
    """bert4keras' example: `token_translate={'▃': '<cls>'}`."""
    older = [replace(p, text="<cls>", type=CONTROL) if p.text == "\u2583" else p for p in read_pieces(SMALL)]
    text = "今天\n天气"
    assert CPMTokenizer(with_pieces(SMALL, older)).ids(text) == tokenizer.ids(text)


def test_keras_and_folder_round_trips(tokenizer, tmp_path):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(tokenizer))
    for name, content in tokenizer.files().items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "chinese_vocab.model").write_bytes(SMALL)  # as released
    for twin in (again, read_tokenizer(tmp_path), read_tokenizer(tmp_path / "plain")):
        assert type(twin) is CPMTokenizer
        assert twin.get_config() == tokenizer.get_config()
