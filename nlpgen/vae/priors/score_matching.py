"""Priors that learn from noise: denoising networks on latent vectors, and Langevin sampling."""

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.vae.decoding import Method
from nlpgen.vae.priors.networks import (
    ROWS,
    DensityNetwork,
    NoiseNetwork,
    check_training,
    draw_kernels,
    network_arrays,
    set_network,
)
from nlpgen.vae.priors.standard import Scaled
from nlpgen.vae.seeding import seeded


class Langevin(Scaled):
    """Base: a network trained to undo noise, and a walk along the slope of the log-density that it knows.

    For y = x + sigma * noise, the best denoiser r has `r(y) = y + sigma² ∇ log p_sigma(y)`, with p_sigma the density of
    y (Vincent, 2011, https://doi.org/10.1162/NECO_a_00142).

    Args:
        latent, seed: see `Prior`.
        hidden_size: of the network; 256 by default.
        steps, batch_size, learning_rate: of its training; 2,000, 256 and 2e-3 by default.
        walk: steps of the walk at each noise level.
        stride: size of a step of the walk, in squares of the noise level; 0.1 by default.
    """

    def __init__(
        self, latent, seed=0, hidden_size=256, steps=2000, batch_size=256, learning_rate=2e-3, walk=30, stride=0.1
    ):
        super().__init__(latent, seed)
        counts = {"hidden_size": hidden_size, "steps": steps, "batch_size": batch_size, "walk": walk}
        check_training(counts, learning_rate)
        if not 0 < stride < 1:
            raise InputError(f"Expected `stride` between 0 and 1. Received: {stride!r}")
        self.hidden_size, self.steps, self.batch_size = hidden_size, steps, batch_size
        self.learning_rate, self.walk, self.stride = learning_rate, walk, stride
        with seeded(seed):
            self.network = self._new_network()

    def options(self):
        names = ("hidden_size", "steps", "batch_size", "learning_rate", "walk", "stride")
        return super().options() | {name: getattr(self, name) for name in names}

    def to_arrays(self):
        return super().to_arrays() | network_arrays(self.network)

    def from_arrays(self, arrays):
        set_network(self.network, arrays)
        self._slope = Method(self.network, "noise")
        return super().from_arrays(arrays)

    def _fit(self, z):
        generator = np.random.default_rng(self.seed)
        draw_kernels(self.network, generator)
        decay = keras.optimizers.schedules.CosineDecay(self.learning_rate, self.steps)
        self.network.compile(keras.optimizers.Adam(decay, global_clipnorm=1.0), loss="mse", jit_compile=False)
        for _ in range(self.steps):
            x = z[generator.integers(0, len(z), self.batch_size)]
            noise, sigma = generator.normal(size=x.shape), self._levels_of(generator, len(x))
            inputs = {"y": (x + sigma * noise).astype("float32"), "sigma": sigma.astype("float32")}
            self.network.train_on_batch(inputs, noise.astype("float32"))
        self._slope = Method(self.network, "noise")

    def _noise(self, y, sigma):
        """The noise that the network sees in y, `(n, size)`."""
        parts = []
        for at in range(0, len(y), ROWS):
            part = y[at : at + ROWS]
            rows = min(ROWS, 1 << (len(part) - 1).bit_length())  # filled up to few sizes
            filled = np.concatenate([part, np.repeat(part[-1:], rows - len(part), axis=0)]).astype("float32")
            inputs = {"y": filled, "sigma": np.full((rows, 1), sigma, "float32")}
            parts.append(np.asarray(self._slope.predict_on_batch(inputs))[: len(part)])
        return np.concatenate(parts).astype("float64")

    def _walk(self, y, sigma, generator):
        """Langevin steps at a noise level: the score is minus the noise over sigma."""
        size = self.stride * sigma**2
        for _ in range(self.walk):
            y = y - size / sigma * self._noise(y, sigma) + np.sqrt(2 * size) * generator.normal(size=y.shape)
        return y

    def _new_network(self):
        raise NotImplementedError

    def _levels_of(self, generator, n):
        """Noise levels to train with, `(n, 1)`."""
        raise NotImplementedError


class ScoreMatching(Langevin):
    """Denoising score matching: one network for all of many noise levels (Song & Ermon, 2019,
    https://arxiv.org/abs/1907.05600; Li, Chen & Sommer, 2019, https://arxiv.org/abs/1910.07762).

    Draws begin at the highest level. At each they walk, then take the step of reverse diffusion to the next, from the
    lowest one to no noise (Song et al., 2021, https://arxiv.org/abs/2011.13456, algorithm 4, the corrector first).

    Args:
        levels: how many, 40 by default.
        highest, lowest: noise levels, where latent vectors have variance 1 in each dimension on average; 4 and 0.05 by
            default.
        walk: steps at each level, 5 by default.
        options: see `Langevin`.
    """

    def __init__(self, latent, seed=0, levels=40, highest=4.0, lowest=0.05, walk=5, **options):
        if not (isinstance(levels, int) and levels >= 1 and 0 < lowest <= highest):
            raise InputError(
                "Expected `levels` of 1 or more and 0 < lowest <= highest. "
                f"Received: levels={levels!r}, lowest={lowest!r}, highest={highest!r}"
            )
        self.levels, self.highest, self.lowest = levels, highest, lowest
        super().__init__(latent, seed, walk=walk, **options)

    def options(self):
        return super().options() | {name: getattr(self, name) for name in ("levels", "highest", "lowest")}

    def _sigmas(self):
        return np.geomspace(self.highest, self.lowest, self.levels)

    def _levels_of(self, generator, n):
        return generator.choice(self._sigmas(), (n, 1))

    def _sample(self, n, generator):
        y = generator.normal(size=(n, self.latent.size)) * np.sqrt(1 + self.highest**2)
        sigmas = self._sigmas()
        for sigma, following in zip(sigmas, [*sigmas[1:], 0.0], strict=True):
            y = self._walk(y, sigma, generator)
            # Without this step the walk would lag a level behind, and know only when it is too late which cluster is
            # how frequent.
            removed = sigma**2 - following**2
            noise = following / sigma * np.sqrt(removed) * generator.normal(size=y.shape)
            y = y - removed / sigma * self._noise(y, sigma) + noise
        return y

    def _new_network(self):
        return NoiseNetwork(self.latent.size, self.hidden_size)


class DenoisingDensity(Langevin):
    """The denoising density estimator: a network E with a single output, trained to have the slope of the best
    denoiser, `E||∇E(x + e) + e||²`, so that `E = sigma² log p_sigma` up to a constant (Bigdeli et al., 2020,
    https://arxiv.org/abs/2001.02728).

    It gives a density as well as draws. The slope is written out, so training needs no derivative of a derivative.
    There is one noise level, so the walk starts at the Gaussian with the moments of the latent vectors and is long. It
    ends with the mean of what the noisy vector may have been, so draws vary less than latent vectors: of N(0, 1), by
    `1 / sqrt(1 + sigma²)`. How frequent clusters are that lie far apart follows from slopes where there is little data,
    and is known less well than what is within them; `ScoreMatching` has its high levels for that.

    Args:
        sigma: the noise level, 0.3 by default, where latent vectors have variance 1.
        walk: steps of the walk, 300 by default.
        options: see `Langevin`.
    """

    def __init__(self, latent, seed=0, sigma=0.3, walk=300, **options):
        if not 0 < sigma < 10:
            raise InputError(f"`sigma` must be above 0 and below 10. Received: {sigma!r}")
        self.sigma = sigma
        super().__init__(latent, seed, walk=walk, **options)

    def options(self):
        return super().options() | {"sigma": self.sigma}

    def log_density(self, z):
        """log p_sigma of vectors `(n, size)`, nats, `(n,)`, up to a constant."""
        y = ((np.asarray(z, "float64") - self.centre) / self.width).astype("float32")
        return ops.convert_to_numpy(self.network.energy(ops.convert_to_tensor(y))).astype("float64") / self.sigma**2

    def _levels_of(self, generator, n):
        return np.full((n, 1), self.sigma)

    def _sample(self, n, generator):
        y = generator.normal(size=(n, self.latent.size)) * np.sqrt(1 + self.sigma**2)
        y = self._walk(y, self.sigma, generator)
        return y - self.sigma * self._noise(y, self.sigma)

    def _new_network(self):
        return DensityNetwork(self.latent.size, self.hidden_size, self.sigma)
