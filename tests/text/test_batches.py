import numpy as np
import pytest

from nlpgen.text import bucket, length_batches, pad, shuffled_batches


def test_every_row_stands_in_one_batch_and_fits():
    lengths = np.random.default_rng(0).integers(1, 500, 200)
    batches = length_batches(lengths, tokens_per_batch=1024)
    assert sorted(i for indices, _ in batches for i in indices) == list(range(200))
    for indices, length in batches:
        assert max(lengths[indices]) <= length
        assert len(indices) * length <= 1024 or len(indices) == 1


def test_padding_costs_little():
    lengths = np.random.default_rng(0).integers(5, 128, 500)
    cells = sum(len(indices) * length for indices, length in length_batches(lengths))
    assert cells < 1.2 * lengths.sum()


def test_buckets_are_few():
    assert len({bucket(n) for n in range(1, 513)}) == 20


def test_pad():
    assert pad([[1], [2, 3]], value=9).tolist() == [[1, 9], [2, 3]]
    assert pad([], length=3).shape == (0, 3)


@pytest.mark.parametrize(("rows", "batch_size"), [(1, 4), (10, 4), (1000, 7)])
def test_shuffled_batches(rows, batch_size):
    lengths = np.random.default_rng(0).integers(1, 300, rows)
    batches = shuffled_batches(lengths, batch_size, np.random.default_rng(1))
    assert sorted(i for indices, _ in batches for i in indices) == list(range(rows))
    assert len(batches) == -(-rows // batch_size)
    assert all(length == bucket(lengths[indices].max()) for indices, length in batches)
    again = shuffled_batches(lengths, batch_size, np.random.default_rng(1))
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(batches, again, strict=True))
    if rows == 1000:
        other = shuffled_batches(lengths, batch_size, np.random.default_rng(2))
        assert any(not np.array_equal(a, b) for (a, _), (b, _) in zip(batches, other, strict=True))
        # At random it would be most of 300 less the mean of 150.
        padding = sum(len(indices) * length for indices, length in batches) / lengths.sum()
        assert padding < 1.2
        assert [length for _, length in batches] != sorted(length for _, length in batches)
