import numpy as np
import pytest

from nlpgen.data import pack
from nlpgen.errors import InputError

CLS, SEP, STOP = 101, 102, 200


@pytest.fixture
def texts():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 150, 400)
    tokens = rng.integers(104, 300, lengths.sum()).astype("uint16")
    return tokens, np.cumsum(lengths)


def test_every_token_is_packed_once(texts):
    tokens, ends = texts
    rows, starts = pack(tokens, ends, 32, CLS, SEP, [STOP], window=64)
    assert rows.shape == starts.shape == (len(rows), 32)
    assert np.all(rows[:, 0] == CLS)
    packed = rows[(rows != 0) & (rows != CLS) & (rows != SEP)]
    np.testing.assert_array_equal(np.sort(packed), np.sort(tokens))


def test_rows_are_nearly_full(texts):
    rows, _ = pack(*texts, 64, CLS, SEP)
    assert (rows == 0).mean() < 0.04


def test_a_row_is_texts_each_closed_then_padding(texts):
    rows, _ = pack(*texts, 32, CLS, SEP)
    for row in rows:
        used = np.flatnonzero(row)
        assert len(used) == used[-1] + 1
        assert row[used[-1]] == SEP
        assert not np.any((row[:-1] == SEP) & (row[1:] == SEP))


def test_long_texts_are_cut_after_a_sentence():
    text = np.array([*range(110, 118), STOP, *range(120, 125)], "uint16")
    rows, _ = pack(text, [len(text)], 14, CLS, SEP, [STOP])
    assert rows[0, 9:11].tolist() == [STOP, SEP]
    np.testing.assert_array_equal(rows[1, 1:6], range(120, 125))


def test_words_stay_marked_and_start_at_a_cut():
    text = np.arange(110, 120).astype("uint16")
    words = np.array([1, 0, 1, 0, 0, 0, 0, 1, 0, 0], bool)
    rows, starts = pack(text, [10], 7, CLS, SEP, words=words)
    assert rows[:, 1:6].tolist() == [[110, 111, 112, 113, 114], [115, 116, 117, 118, 119]]
    assert starts.tolist() == [[1, 1, 0, 1, 0, 0, 1], [1, 1, 0, 1, 0, 0, 1]]


def test_nothing_to_pack():
    rows, starts = pack(np.zeros(0, "uint16"), [], 16, CLS, SEP)
    assert rows.shape == starts.shape == (0, 16)
    with pytest.raises(InputError, match="`length` must be at least 4"):
        pack(np.zeros(0, "uint16"), [], 3, CLS, SEP)
