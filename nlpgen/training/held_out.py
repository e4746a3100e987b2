"""How well a masked language model guesses held-out tokens, genre by genre."""

import numpy as np

BATCH = 96


def held_out_rows(rows, masking, rows_per_genre=400, draws=2, seed=7):
    """Masked rows to judge models by; the same seed gives the same rows.

    Args:
        rows: `PackedRows` of the held-out split.
        masking: `Masking.for_judging(tokenizer)`.
        rows_per_genre: most rows of a genre, evenly spread over it.
        draws: how often each row is masked, in other places.
        seed: of the masks.

    Returns:
        `{genre: (token_ids, positions, targets, weights)}`.
    """
    result = {}
    for i, (name, ids) in enumerate(rows.rows.items()):
        picked = _spread(len(ids), rows_per_genre)
        rng = np.random.default_rng((seed, i))
        result[name] = masking(np.tile(ids[picked], (draws, 1)), rng, np.tile(rows.starts[name][picked], (draws, 1)))
    return result


def masked_accuracy(model, masked_rows, batch_size=BATCH):
    """Accuracy and loss of a masked language model on masked rows.

    Args:
        model: a `MaskedLM`.
        masked_rows: what `held_out_rows` gave.
        batch_size: rows at a time; the last batch of a genre is filled up, so that devices can share it.

    Returns:
        `{genre: {"accuracy", "loss", "tokens"}}`, and under `"all"` the same over all tokens.
    """
    result = {}
    for name, (token_ids, positions, targets, weights) in masked_rows.items():
        right = loss = 0.0
        for part, n in _batches(len(token_ids), batch_size):
            inputs = {"token_ids": token_ids[part], "positions": positions[part]}
            more = _scores(model.predict_on_batch(inputs)[:n], targets[part[:n]], weights[part[:n]])
            right, loss = right + more[0], loss + more[1]
        n = float(weights.sum())
        result[name] = {"accuracy": right / n, "loss": loss / n, "tokens": int(n)}
    return result | {"all": _over_all(result)}


def next_token_accuracy(model, rows, rows_per_genre=400, batch_size=BATCH):
    """Accuracy and loss of a causal language model, genre by genre.

    Args:
        model: a `CausalLM`.
        rows: `PackedRows` of the held-out split.
        rows_per_genre: most rows of a genre, evenly spread over it.
        batch_size: rows at a time.

    Returns:
        As `masked_accuracy`.
    """
    result = {}
    for name, ids in rows.rows.items():
        picked = ids[_spread(len(ids), rows_per_genre)]
        result[name] = next_token_scores(model, _next_token_batches(picked, rows.pad_id, batch_size))
    return result | {"all": _over_all(result)}


def next_token_scores(model, batches):
    """Accuracy and loss of a causal language model.

    Args:
        model: token ids to logits at every position.
        batches: `(inputs, targets, weights)`, as `causal_lm_batch` gives them.

    Returns:
        `{"accuracy", "loss", "tokens"}`.
    """
    right = loss = n = 0.0
    for inputs, targets, weights in batches:
        more = _scores(model.predict_on_batch(inputs), targets, weights)
        right, loss, n = right + more[0], loss + more[1], n + float(weights.sum())
    return {"accuracy": right / n, "loss": loss / n, "tokens": int(n)}


def _next_token_batches(ids, pad_id, batch_size):
    for part, n in _batches(len(ids), batch_size):
        batch = ids[part]
        batch[n:] = pad_id
        yield {"token_ids": batch[:, :-1]}, batch[:, 1:], (batch[:, 1:] != pad_id).astype("float32")


def _batches(n, size):
    """Numbers of the rows of each batch, and how many of them count: the last is filled with row 0."""
    for at in range(0, n, size):
        part = np.arange(at, at + size)
        yield np.where(part < n, part, 0), min(size, n - at)


def _spread(n, most):
    """Numbers of at most `most` of n rows, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(most, n)).astype(int))


def _over_all(result):
    """Accuracy and loss over the tokens of all genres."""
    total = sum(entry["tokens"] for entry in result.values())
    means = {
        key: sum(entry[key] * entry["tokens"] for entry in result.values()) / total for key in ("accuracy", "loss")
    }
    return means | {"tokens": total}


def _scores(logits, targets, weights):
    """How many weighted targets are guessed right, and the sum of their losses."""
    logits = np.asarray(logits, dtype="float32")
    logits = logits - logits.max(axis=-1, keepdims=True)
    truth = np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    loss = float(((np.log(np.exp(logits).sum(axis=-1)) - truth) * weights).sum())
    return float(((logits.argmax(axis=-1) == targets) * weights).sum()), loss
