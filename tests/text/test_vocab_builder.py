import pytest

from nlpgen.errors import InputError
from nlpgen.text import WordPieceTokenizer
from nlpgen.text.vocab_builder import HEAD, build_vocab

TEXTS = ["今天天气很好，我们用Python写代码。", "天气不好，Linux 内核 3.14！", "python 与 pytorch"] * 3


def test_special_tokens_stand_where_googles_do():
    vocab = build_vocab(TEXTS, 400, min_count=1)
    assert vocab.tokens[:104] == list(HEAD)
    assert [vocab.id(t) for t in ("[PAD]", "[unused1]", "[unused99]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")] == [
        *(0, 1, 99),
        *(100, 101, 102, 103),
    ]


def test_characters_come_by_frequency():
    vocab = build_vocab(TEXTS, 400, min_count=1)
    assert vocab.token(104) == "天"  # nine times
    assert vocab.id("天") < vocab.id("好") < vocab.id("码")


def test_no_word_of_the_corpus_is_unknown():
    tokenizer = WordPieceTokenizer(build_vocab(TEXTS, 400, min_count=1))
    assert all(tokenizer.unk_id not in ids for ids in tokenizer.ids([*TEXTS, "yop", "143"]))
    assert tokenizer.tokens(tokenizer.ids("Python")) == ["python"]


def test_size_and_least_count():
    small = build_vocab(TEXTS, 130, min_count=1)
    assert len(small) == 130
    assert "天" in small
    rare = build_vocab(["天天天天天地"], 200, min_count=5)
    assert [character in rare for character in "天地"] == [True, False]
    assert len(set(build_vocab(TEXTS, 400, min_count=1).tokens)) == len(build_vocab(TEXTS, 400, min_count=1))


def test_errors():
    with pytest.raises(InputError, match="`size` must be over 104"):
        build_vocab(TEXTS, 104)
    with pytest.raises(InputError, match="no text"):
        build_vocab([" "], 200)
