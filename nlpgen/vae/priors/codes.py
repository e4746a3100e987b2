"""Which codes of a discrete latent go together."""

import keras
import numpy as np
from keras import ops

from nlpgen.vae.priors.networks import (
    ROWS,
    CodeNetwork,
    check_training,
    draw_kernels,
    network_arrays,
    set_network,
)
from nlpgen.vae.priors.standard import Prior
from nlpgen.vae.seeding import seeded


class CodePrior(Prior):
    """A causal Transformer over the codes of a text, as the PixelCNN of VQ-VAE (van den Oord et al., 2017,
    https://arxiv.org/abs/1711.00937).

    Args:
        latent, seed: see `Prior`; the latent must be discrete.
        hidden_size, num_layers: of the Transformer; 128 and 2 by default.
        epochs, batch_size, learning_rate: of its training; 10, 128 and 1e-3 by default.
    """

    kinds = ("discrete",)

    def __init__(self, latent, seed=0, hidden_size=128, num_layers=2, epochs=10, batch_size=128, learning_rate=1e-3):
        super().__init__(latent, seed)
        counts = {"hidden_size": hidden_size, "num_layers": num_layers, "epochs": epochs, "batch_size": batch_size}
        check_training(counts, learning_rate)
        self.hidden_size, self.num_layers, self.epochs = hidden_size, num_layers, epochs
        self.batch_size, self.learning_rate = batch_size, learning_rate
        with seeded(seed):
            self.network = CodeNetwork(latent.num_codes, latent.num_slots, hidden_size, num_layers)

    def options(self):
        names = ("hidden_size", "num_layers", "epochs", "batch_size", "learning_rate")
        return super().options() | {name: getattr(self, name) for name in names}

    def fit(self, z):
        codes = ops.convert_to_numpy(self.latent.z_to_codes(np.asarray(z, "float32"))).astype("int32")
        generator = np.random.default_rng(self.seed)
        draw_kernels(self.network, generator)
        steps = self.epochs * -(-len(codes) // self.batch_size)
        self.network.compile(
            keras.optimizers.Adam(
                keras.optimizers.schedules.CosineDecay(self.learning_rate, steps), global_clipnorm=1.0
            ),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        for _ in range(steps):
            rows = codes[generator.integers(0, len(codes), self.batch_size)]
            self.network.train_on_batch(self._read(rows), rows)
        return self

    def log_prob(self, z):
        """log p of the codes of z `(n, size)`, nats, `(n,)`."""
        codes = ops.convert_to_numpy(self.latent.z_to_codes(np.asarray(z, "float32"))).astype("int32")
        scores = _log_softmax(self._logits(codes))
        return np.take_along_axis(scores, codes[..., None], axis=-1)[..., 0].sum(axis=1)

    def sample(self, n, seed=0):
        generator, codes = np.random.default_rng(seed), np.zeros((n, self.latent.num_slots), "int32")
        for i in range(self.latent.num_slots):
            shares = np.exp(_log_softmax(self._logits(codes)[:, i]))
            place = (np.cumsum(shares, axis=1) <= generator.random((n, 1))).sum(axis=1)
            codes[:, i] = np.minimum(place, self.latent.num_codes - 1)
        return ops.convert_to_numpy(self.latent.codes_to_z(codes)).copy()

    def to_arrays(self):
        return network_arrays(self.network)

    def from_arrays(self, arrays):
        set_network(self.network, arrays)
        return self

    def _read(self, codes):
        """What the network reads: the code before each place."""
        before = np.full((len(codes), 1), self.latent.num_codes, "int32")
        return np.concatenate([before, codes[:, :-1]], axis=1)

    def _logits(self, codes):
        parts = [self.network.predict_on_batch(self._read(codes[at : at + ROWS])) for at in range(0, len(codes), ROWS)]
        return np.concatenate(parts).astype("float64")


def _log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
