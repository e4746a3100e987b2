"""First values that save a small model its first hundreds of steps.

From random embeddings a masked language model sits for long near the loss of a unigram model. Token embeddings that
know which tokens stand side by side, and positions that know their distances, take it past that at once.
"""

import numpy as np

ROWS = 200_000  # of the training text, enough to know the neighbours of most tokens


def warm_embeddings(backbone, rows, special_ids, seed=0):
    """Give the embeddings of a new model their first values: neighbours for the tokens, sinusoids for the positions.

    Args:
        backbone: a built backbone with learned positions, e.g. a `Bert`.
        rows: token ids `(n, length)` of the training text; `ROWS` of them are enough.
        special_ids: ids that keep random values.
        seed: of the random ones.
    """
    config, embeddings = backbone.config, backbone.embeddings
    stddev = config.initializer_range
    table = token_embeddings(rows, *embeddings.token.embeddings.shape, special_ids, stddev, seed=seed)
    embeddings.token.embeddings.assign(table)
    embeddings.position.embeddings.assign(sinusoids(*embeddings.position.embeddings.shape, stddev))


def neighbour_counts(rows, vocab_size, window=2, special_ids=()):
    """How often tokens stand within `window` of each other, nearer ones counted more (1, 1/2, …).

    Args:
        rows: token ids `(n, length)`.
        vocab_size: number of ids.
        window: furthest distance.
        special_ids: ids that are not counted.

    Returns:
        A symmetric float32 matrix `(vocab_size, vocab_size)`.
    """
    rows = np.asarray(rows, "int64")
    free = ~np.isin(rows, np.asarray(sorted(special_ids), "int64"))
    counts = np.zeros(vocab_size * vocab_size, "float32")
    for distance in range(1, window + 1):
        left, right = rows[:, :-distance], rows[:, distance:]
        both = free[:, :-distance] & free[:, distance:]
        pairs, n = np.unique(left[both] * vocab_size + right[both], return_counts=True)
        counts[pairs] += n / distance
    counts = counts.reshape(vocab_size, vocab_size)
    return counts + counts.T


def positive_pmi(counts, smoothing=0.75):
    """Positive pointwise mutual information, `max(0, log p(a, b) / (p(a) p(b)))`, of counts `(n, n)`, in place.

    `p(b)` is of counts to the power `smoothing`, so that rare tokens do not win (Levy, Goldberg & Dagan, 2015,
    https://aclanthology.org/Q15-1016).
    """
    total = counts.sum(axis=1, dtype="float64")
    context = total**smoothing
    row = (1 / np.maximum(total, 1e-12)).astype("float32")
    column = (context.sum() / np.maximum(context, 1e-12)).astype("float32")
    counts *= row[:, None]
    counts *= column[None, :]
    np.log(np.maximum(counts, 1.0, out=counts), out=counts)
    counts[total == 0] = 0
    counts[:, total == 0] = 0
    return counts


def top_singular_vectors(matrix, size, seed=0, iterations=3, extra=16):
    """`U sqrt(S)` of the `size` largest singular values, by random projection (Halko et al., 2011,
    https://arxiv.org/abs/0909.4061).

    Args:
        matrix: `(n, n)`, symmetric.
        size: columns of the result.

    Returns:
        float32 `(n, size)`.
    """
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((len(matrix), size + extra), dtype="float32")
    for _ in range(iterations):
        basis, _ = np.linalg.qr(matrix @ basis)
    u, s, _ = np.linalg.svd(basis.T @ matrix, full_matrices=False)
    return (basis @ u[:, :size]) * np.sqrt(s[:size])


def token_embeddings(rows, vocab_size, size, special_ids, stddev=0.02, window=2, seed=0):
    """Token embeddings from which tokens stand side by side: singular vectors of their positive PMI.

    Args:
        rows: token ids `(n, length)` of the training text.
        vocab_size, size: shape of the table.
        special_ids: ids that are not counted; they and tokens that never occur stay random.
        stddev: of all values of the table, as the random ones have it.

    Returns:
        float32 `(vocab_size, size)`.
    """
    counts = neighbour_counts(rows, vocab_size, window, special_ids)
    seen = counts.sum(axis=1) > 0
    table = top_singular_vectors(positive_pmi(counts), min(size, vocab_size), seed)
    # Directions of large singular values would drown the others: level them, keep their order.
    table /= np.sqrt(np.linalg.norm(table, axis=0, keepdims=True) + 1e-12)
    table /= np.linalg.norm(table, axis=1, keepdims=True) + 1e-12
    out = np.random.default_rng(seed + 1).normal(0, stddev, (vocab_size, size)).astype("float32")
    known = table[seen]
    out[np.flatnonzero(seen)[:, None], np.arange(known.shape[1])] = known * (stddev / (known.std() + 1e-12))
    return out


def sinusoids(length, size, stddev=0.02):
    """Sines and cosines of positions (Vaswani et al., 2017, 3.5), scaled to a standard deviation: `(length, size)`."""
    angle = np.arange(length)[:, None] / 10000 ** (np.arange(0, size, 2) / size)[None, :]
    table = np.zeros((length, size), "float32")
    table[:, 0::2], table[:, 1::2] = np.sin(angle), np.cos(angle)[:, : size // 2]
    return table * (stddev / table.std())


def extended_positions(table, known, sizes=range(2, 33)):
    """A table of learned positions continued beyond those that were trained.

    Learned positions of a text model lie near a helix: one step is nearly the same rotation everywhere, in the few
    directions of largest variance. That rotation is fitted (orthogonal Procrustes) and turned on from the last known
    position; the other directions get their mean. The number of directions is the one whose steps fit best.

    The first and the last known position are left out of the fit: in packed rows they hold `[CLS]` and `[SEP]`.

    Args:
        table: `(positions, size)`.
        known: how many rows were trained, at least 8.
        sizes: numbers of directions to try.

    Returns:
        A table of the same shape, the first `known - 1` rows as they were.
    """
    inner = np.asarray(table[1 : known - 1], "float64")
    mean = inner.mean(axis=0)
    directions = np.linalg.svd(inner - mean, full_matrices=False)[2]
    fits = []
    for size in sizes:
        if size >= len(inner):
            break
        places = (inner - mean) @ directions[:size].T
        u, _, v = np.linalg.svd(places[:-1].T @ places[1:])
        error = np.linalg.norm(places[:-1] @ u @ v - places[1:]) / np.linalg.norm(places[1:])
        fits.append((error, size, places[-1], u @ v))
    _, size, place, step = min(fits, key=lambda fit: fit[0])
    out = np.array(table, "float32")
    for i in range(known - 1, len(out)):
        place = place @ step
        out[i] = mean + place @ directions[:size]
    return out
