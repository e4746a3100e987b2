import pytest

from nlpgen import Verbalizer
from nlpgen.errors import InputError


def test_words_and_owners(embedded):
    words, owners = Verbalizer({"a": ["很", "满意"], "b": "不"}).encode(embedded.tokenizer)
    assert [embedded.tokenizer.decode(ids) for ids in words] == ["很", "满意", "不"]
    assert owners == [0, 0, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (None, "two labels or more"),
        ({}, "two labels or more"),
        ({"a": "很"}, "two labels or more"),
        ({"a": "很", "b": "很"}, "stands for 'a' and for 'b'"),
        ({"a": ["很", "很"], "b": "不"}, "the word '很' stands twice for 'a'"),
        ({"a": 5, "b": "不"}, "'a' needs a word"),
        ({"a": "很", "b": []}, "needs a word"),
        ({"a": "很", "b": ["不", ""]}, "needs a word"),
        ({"a": "很", " b": "不"}, "' b' has spaces around it"),
        ({"a": "很", 1: "不"}, "a label must be a string"),
    ],
)
def test_bad_tables(words, message):
    with pytest.raises(InputError, match=message):
        Verbalizer(words)


def test_all_faults_at_once():
    with pytest.raises(InputError) as error:
        Verbalizer({"a": [], "b ": "很", "c": "很"})
    assert all(part in str(error.value) for part in ("'a' needs", "'b ' has spaces", "'很' stands"))


def test_unknown_characters_are_listed(embedded):
    with pytest.raises(InputError, match="label words, or a part of them: '好\U00020000', '\U00020000'"):
        Verbalizer({"a": "\U00020000", "b": ["不", "好\U00020000"]}).encode(embedded.tokenizer)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"a": "OK", "b": "ok"}, "'OK' and 'ok' are the same tokens"),
        ({"a": "[MASK]", "b": "不"}, "these are special tokens: '.MASK.'"),
    ],
)
def test_words_that_no_token_tells_apart(embedded, words, message):
    with pytest.raises(InputError, match=message):
        Verbalizer(words).encode(embedded.tokenizer)
