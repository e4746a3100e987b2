import numpy as np

from nlpgen import Bert, BertConfig
from nlpgen.training import extended_positions, sinusoids, token_embeddings, warm_embeddings
from nlpgen.training.warm_start import neighbour_counts, positive_pmi, top_singular_vectors


def test_neighbours_are_counted_by_distance():
    counts = neighbour_counts(np.array([[1, 4, 5, 6], [1, 4, 5, 0]]), 7, window=2, special_ids=[0, 1])
    expected = np.zeros((7, 7))
    expected[4, 5] = expected[5, 4] = 2
    expected[5, 6] = expected[6, 5] = 1
    expected[4, 6] = expected[6, 4] = 0.5
    np.testing.assert_allclose(counts, expected)


def test_positive_pmi_by_hand():
    counts = np.array([[0.0, 6.0, 2.0], [6.0, 0.0, 0.0], [2.0, 0.0, 0.0]], "float32")
    total = counts.sum(axis=1)
    p = total**0.75 / (total**0.75).sum()
    expected = np.maximum(np.log(np.maximum(counts / total[:, None] / p[None, :], 1e-9)), 0)
    np.testing.assert_allclose(positive_pmi(counts.copy()), expected, rtol=1e-5)


def test_singular_vectors_are_numpys():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((80, 6))
    matrix = (a @ a.T).astype("float32")
    found = top_singular_vectors(matrix, 6)
    np.testing.assert_allclose(found @ found.T, matrix, atol=1e-3)


def test_tokens_with_the_same_neighbours_are_near():
    rng = np.random.default_rng(1)
    # Tokens 10 to 19 follow 30 to 39, tokens 20 to 29 follow 40 to 49.
    group = rng.integers(0, 2, 4000)
    rows = np.stack([30 + 10 * group + rng.integers(0, 10, 4000), 10 + 10 * group + rng.integers(0, 10, 4000)], axis=1)
    table = token_embeddings(rows, 60, 8, special_ids=[0, 1], stddev=0.02)
    assert (table.shape, table.dtype) == ((60, 8), "float32")
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    same, other = (unit[10:20] @ unit[10:20].T).mean(), (unit[10:20] @ unit[20:30].T).mean()
    assert same > other + 0.5
    assert abs(table[10:50].std() - 0.02) < 0.002
    assert abs(table[50:].std() - 0.02) < 0.005  # never seen: random


def test_positions_know_their_distance():
    table = sinusoids(128, 32)
    assert abs(table.std() - 0.02) < 1e-6
    product = table @ table.T
    np.testing.assert_allclose(np.diagonal(product, 3), product[0, 3], rtol=1e-4)
    assert product[5, 6] > product[5, 9] > product[5, 20]


def test_positions_on_a_helix_are_continued():
    """Three frequencies in 16 directions, and noise: the continuation is the truth up to the noise."""
    rng = np.random.default_rng(0)
    angles = np.arange(200)[:, None] * np.array([0.1, 0.5, 1.1])
    circles = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    truth = circles @ np.linalg.qr(rng.standard_normal((16, 6)))[0].T + rng.standard_normal(16)
    table = truth + rng.normal(0, 0.01, truth.shape)
    table[0] += 5  # as [CLS] has it
    table[64:] = 0
    found = extended_positions(table, 64)
    np.testing.assert_array_equal(found[:63], table[:63].astype("float32"))
    assert np.abs(found[63:128] - truth[63:128]).max() < 0.1


def test_a_new_model_gets_them():
    backbone = Bert(BertConfig(60, 8, 1, 2, 16, max_position_embeddings=20))
    backbone.build()
    before = backbone.embeddings.segment.embeddings.numpy()
    rows = np.random.default_rng(2).integers(0, 60, (500, 12))
    warm_embeddings(backbone, rows, {0, 1}, seed=3)
    token, position = (getattr(backbone.embeddings, name).embeddings.numpy() for name in ("token", "position"))
    np.testing.assert_array_equal(token, token_embeddings(rows, 60, 8, {0, 1}, seed=3))
    np.testing.assert_array_equal(position, sinusoids(20, 8).astype("float32"))
    np.testing.assert_array_equal(backbone.embeddings.segment.embeddings.numpy(), before)
