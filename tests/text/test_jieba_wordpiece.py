import json
import os
import random
import subprocess
import sys
import types

import jieba
import keras
import pytest

from nlpgen import JiebaWordPieceTokenizer, Vocab, WordPieceTokenizer, read_tokenizer
from nlpgen.text.words import word_cutter
from tests.helpers import GOLDEN, random_text, released

SMALL = json.loads((GOLDEN / "b4k_tokenizer" / "golden.json").read_text())["pre_tokenize_jieba_lcut_HMM_False"]
WOBERT = json.loads((GOLDEN / "b4k_words" / "golden.json").read_text())["wobert_33586"]
VOCAB = Vocab.read(GOLDEN / "b4k_tokenizer" / "vocab.txt")
# Where ours are BERT's rules, as in docs/tokenizer.md: control characters, and words of over 100 letters.
DIFFER = ("a\u200bb\xadc\ufeffd", "nul\x00ch\ufffdar\x07bell")
needs_wobert = pytest.mark.needs_data("vocab/wobert_33586/vocab.txt")


@pytest.fixture(scope="module")
def tokenizer():
    return JiebaWordPieceTokenizer(VOCAB)


@pytest.fixture(scope="module")
def wobert():
    with pytest.warns(UserWarning, match="1 blank lines"):
        return JiebaWordPieceTokenizer(Vocab.read(released("wobert_33586/vocab.txt")))


@pytest.mark.parametrize("row", SMALL, ids=lambda row: repr(row["text"][:10]))
def test_ids_equal_bert4keras(tokenizer, row):
    differs = row["text"] in DIFFER or any(len(word) > 100 for word in row["text"].split())
    assert (tokenizer.encode(row["text"]).token_ids == row["ids"]) or differs


@needs_wobert
def test_wobert_equals_bert4keras(wobert):
    differ = [row["text"] for row in WOBERT if wobert.encode(row["text"]).token_ids != row["ids"]]
    assert len(WOBERT) == 54
    assert [text for text in differ if len(text) < 100] == list(DIFFER)
    assert len(differ) == 3


@needs_wobert
def test_wobert_equals_transformers(wobert, monkeypatch):
    """Ids and offsets; their `rjieba` is jieba in Rust, and jieba stands in for it here."""
    transformers = pytest.importorskip("transformers")
    cut = types.SimpleNamespace(tokenize=lambda text, hmm: word_cutter().tokenize(text, HMM=hmm))
    monkeypatch.setitem(sys.modules, "rjieba", cut)
    peer = transformers.RoFormerTokenizer(vocab=dict(wobert.vocab.ids))
    for row in WOBERT:
        if "C++" in row["text"]:  # a word of jieba's with punctuation in it: they leave it whole, bert4keras does not
            continue
        theirs = peer(row["text"], return_offsets_mapping=True)
        ours = wobert.encode(row["text"], special_tokens=True)
        assert (ours.token_ids, ours.offsets) == (theirs["input_ids"], theirs["offset_mapping"])


@needs_wobert
def test_words_of_the_vocabulary_stay_whole(wobert):
    text = "科学技术是第一生产力"
    assert wobert.tokens(wobert.ids(text)) == ["科学技术", "是", "第一", "生产力"]
    assert [text[start:end] for start, end in wobert.pieces([text])[0][1]] == ["科学技术", "是", "第一", "生产力"]
    assert wobert.decode(wobert.ids(text)) == text


def test_without_words_it_is_wordpiece():
    """A vocabulary of characters: the words make no difference, whatever the string."""
    plain, words = (
        kind(Vocab(t for t in VOCAB.tokens if t not in ("中国", "北京")))
        for kind in (WordPieceTokenizer, JiebaWordPieceTokenizer)
    )
    for text in [row["text"] for row in SMALL if row["text"].isascii() is False and len(row["text"]) < 100]:
        if all("\u4e00" <= c <= "\u9fff" or c in "，。！？" for c in text):
            assert words.encode(text) == plain.encode(text)


def test_offsets_lie_in_the_text_whatever_it_is(tokenizer):
    generator = random.Random(0)
    for _ in range(1000):
        text = random_text(generator)
        encoding = tokenizer.encode(text)
        inner = encoding.offsets[1:-1]
        assert all(0 <= start < end <= len(text) for start, end in inner)
        assert inner == sorted(inner)
        assert "".join(word for word, _, _ in word_cutter().tokenize(text, HMM=False)) == text


def test_offsets_where_lower_casing_changes_the_length(tokenizer):
    text = "İ中国\x00ＢＥRT\u0301北京"
    spans = dict(zip(tokenizer.tokens(tokenizer.ids(text)), tokenizer.pieces([text])[0][1], strict=True))
    assert text[slice(*spans["中国"])] == "中国"
    assert text[slice(*spans["北京"])] == "北京"


def test_typed_special_tokens_are_plain_text(tokenizer):
    text = "中国[MASK]北京[SEP]"
    assert not set(tokenizer.ids(text)) & tokenizer.special_ids - {tokenizer.unk_id}
    ids, offsets = tokenizer.pieces([text], special_tokens=True)[0]
    assert ids == [VOCAB.id("中国"), tokenizer.mask_id, VOCAB.id("北京"), tokenizer.sep_id]
    assert [text[start:end] for start, end in offsets] == ["中国", "[MASK]", "北京", "[SEP]"]


def test_a_batch_equals_its_members(tokenizer):
    texts = [row["text"] for row in SMALL]
    batch = tokenizer(texts, texts[::-1], max_length=24)
    for row, text, pair in zip(batch["token_ids"], texts, texts[::-1], strict=True):
        single = tokenizer.encode(text, pair, max_length=24).token_ids
        assert row[: len(single)].tolist() == single


def test_words_are_those_of_jieba():
    for row in WOBERT:
        for hmm in (False, True):
            assert list(word_cutter().cut(row["text"], HMM=hmm)) == list(jieba.cut(row["text"], HMM=hmm))


def test_jieba_prints_nothing_and_leaves_no_file(tmp_path):
    script = "from nlpgen.text.words import word_cutter; print(list(word_cutter().cut('今天天气很好', HMM=False)))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"TMPDIR": str(tmp_path), "KERAS_BACKEND": "torch", "PYTHONUTF8": "1"},
    )
    assert done.stdout.strip() == "['今天天气', '很', '好']"
    assert "Building prefix dict" not in done.stderr
    assert "jieba" not in done.stderr
    assert list(tmp_path.glob("jieba*")) == []


def test_keras_and_folder_round_trips(tokenizer, tmp_path):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(tokenizer))
    for name, content in tokenizer.files().items():
        (tmp_path / name).write_bytes(content)
    for twin in (again, read_tokenizer(tmp_path), tokenizer.with_tokens(range(len(VOCAB)))):
        assert type(twin) is JiebaWordPieceTokenizer
        assert twin.get_config() == tokenizer.get_config()
