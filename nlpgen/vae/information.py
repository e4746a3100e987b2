"""How much z knows of x, and how likely texts are: estimates from samples of the posterior."""

import numpy as np
from keras import ops

ROWS = 64  # samples that are compared with all posteriors at a time


def log_q_matrix(latent, posterior, z):
    """log q(z_i | x_j) of every sample under every posterior, float64 `(n, m)`.

    Args:
        latent: a `Latent`.
        posterior: `{name: tensor}` of m texts.
        z: `(n, size)`.
    """
    others = {name: x[None] for name, x in posterior.items()}
    parts = [
        ops.convert_to_numpy(latent.log_q(ops.convert_to_tensor(z[at : at + ROWS])[:, None], others))
        for at in range(0, len(z), ROWS)
    ]
    return np.concatenate(parts).astype("float64")


def mutual_information(latent, posterior, z):
    """The mutual information of texts and z, nats, with q(z) the average of the posteriors of these texts:
    `E[log q(z|x)] - E[log q(z)]` (Hoffman & Johnson, 2016).

    It cannot be above `log n` for n texts, whatever the latent holds, and is compared only at equal n.

    Args:
        latent: a `Latent`.
        posterior: `{name: tensor}` of n texts.
        z: one sample of each, `(n, size)`.
    """
    matrix = log_q_matrix(latent, posterior, z)
    return float(np.mean(np.diag(matrix) - log_mean_exp(matrix, axis=1)))


def importance_weighted(log_joint, log_q):
    """The importance-weighted lower bound of log p(x) (Burda et al., 2016, https://arxiv.org/abs/1509.00519).

    Args:
        log_joint: log p(x|z) + log p(z) of k samples z of q(z|x) for each text, `(texts, k)`.
        log_q: log q(z|x) of the same, `(texts, k)`.

    Returns:
        `(texts,)`, nats; with k = 1 an estimate of the plain bound, and log p(x) as k grows.
    """
    return log_mean_exp(np.asarray(log_joint, "float64") - np.asarray(log_q, "float64"), axis=1)


def log_mean_exp(x, axis):
    highest = np.max(x, axis=axis, keepdims=True)
    return np.squeeze(highest, axis) + np.log(np.mean(np.exp(x - highest), axis=axis))
