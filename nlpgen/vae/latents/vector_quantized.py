"""Discrete codes: a learned codebook (VQ) and a fixed grid (FSQ)."""

import math

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.vae.latents.latent import Latent


class DiscreteLatent(Latent):
    """z is one of finitely many codes in each of `num_slots` slots; p(z) is uniform over them.

    Each slot comes from a vector of features of its own, so an encoder gives `num_slots` of them.

    A posterior is a point: `mean` `(batch, size)`, the slots one after the other, and `codes` `(batch, num_slots)`. The
    KL to the prior is the constant `num_slots * log(num_codes)`, and `log p(x|z) + log p(z)` is a lower bound of
    log p(x). `nlpgen.vae.priors.CodePrior` learns which codes go together.
    """

    kl_in_loss = False
    unit_note = "codes are discrete: see the share of codes that are used instead"

    def __init__(self, size, num_codes, num_slots, seed=None, **kwargs):
        super().__init__(size, seed, **kwargs)
        self.num_codes = num_codes
        self.num_slots = num_slots
        self.num_vectors = num_slots
        self.code_size = self.size // num_slots
        self.head = keras.layers.EinsumDense(
            "bsn,snc->bsc", (num_slots, self.code_size), bias_axes="sc", name="code", dtype="float32"
        )

    def build(self, features_shape):
        self.head.build((None, self.num_slots, features_shape[-1]))

    def project(self, features):
        """What is to be quantised, `(batch, size)`."""
        slots = ops.reshape(features, (-1, self.num_slots, features.shape[-1]))
        return ops.reshape(self.head(slots), (-1, self.size))

    def codes_to_z(self, codes):
        """Codes `(…, num_slots)` to z `(…, size)`."""
        raise NotImplementedError

    def z_to_codes(self, z):
        """The nearest codes of points `(…, size)`: int `(…, num_slots)`."""
        raise NotImplementedError

    def spread(self, posterior):
        return ops.zeros_like(posterior["mean"])

    def kl_terms(self, posterior):
        return ops.full_like(posterior["mean"][..., : self.num_slots], math.log(self.num_codes))

    def log_q(self, z, posterior):
        """0 where z has the codes of the text, and -1e9 elsewhere."""
        same = ops.all(ops.equal(self.z_to_codes(z), posterior["codes"]), axis=-1)
        return ops.where(same, 0.0, -1e9)

    def log_p(self, z):
        return ops.full_like(z[..., 0], -self.num_slots * math.log(self.num_codes))

    def sample_prior(self, n, seed=0):
        codes = np.random.default_rng(seed).integers(0, self.num_codes, (n, self.num_slots))
        return ops.convert_to_numpy(self.codes_to_z(codes.astype("int32"))).astype("float32")

    def interpolate(self, start, end, steps):
        """The codes nearest to the straight path between two points `(size,)`: an array `(steps, size)`."""
        return self.nearest(super().interpolate(start, end, steps))

    def nearest(self, z):
        codes = self.z_to_codes(np.asarray(z, "float32"))
        return ops.convert_to_numpy(self.codes_to_z(codes)).copy()


@keras.saving.register_keras_serializable("nlpgen")
class VectorQuantized(DiscreteLatent):
    """VQ-VAE (van den Oord et al., 2017, https://arxiv.org/abs/1711.00937): each slot is the nearest vector of a
    codebook, which follows the encoder by moving averages; gradients go straight through to the encoder.

    Args:
        size, seed: see `Latent`; a multiple of `num_slots`.
        num_codes: vectors of the codebook, which all slots share.
        num_slots: vectors of a text.
        decay: of the moving averages.
        commitment: weight of the squared distance between the encoder's output and its code.
        dead_below: a code whose moving count of uses a batch is lower takes the place of a random output of the
            encoder.
    """

    def __init__(
        self, size, num_codes=512, num_slots=4, decay=0.99, commitment=0.25, dead_below=0.03, seed=None, **kwargs
    ):
        if num_codes < 2 or num_slots < 1 or size % num_slots or not 0 < decay < 1:
            raise InputError(
                "Expected two codes or more, a `size` that is a multiple of `num_slots`, and a `decay` between 0 and "
                f"1. Received: size={size}, num_codes={num_codes}, num_slots={num_slots}, decay={decay}"
            )
        super().__init__(size, num_codes, num_slots, seed, **kwargs)
        self.decay = decay
        self.commitment = commitment
        self.dead_below = dead_below
        self.first_codes = keras.initializers.RandomNormal(stddev=0.1, seed=seed)

    def build(self, features_shape):
        super().build(features_shape)
        shape = self.num_codes, self.code_size
        options = {"trainable": False, "initializer": "zeros"}
        self.codebook = self.add_weight(shape=shape, initializer=self.first_codes, trainable=False, name="codebook")
        # No code was used yet: the first batches put outputs of the encoder in their place.
        self.counts = self.add_weight(shape=shape[:1], name="counts", **options)
        self.sums = self.add_weight(shape=shape, name="sums", **options)

    def posterior(self, features, training=False):
        raw = self.project(features)
        codes = self.z_to_codes(raw)
        return {"mean": self.codes_to_z(codes), "codes": codes, "raw": raw}

    def sample(self, posterior, training=False):
        raw, quantized = posterior["raw"], posterior["mean"]
        if training:
            self._follow(ops.reshape(ops.stop_gradient(raw), (-1, self.code_size)), posterior["codes"])
        return raw + ops.stop_gradient(quantized - raw)

    def penalty(self, posterior):
        distance = ops.square(posterior["raw"] - ops.stop_gradient(posterior["mean"]))
        return self.commitment * ops.mean(ops.sum(distance, axis=-1))

    def codes_to_z(self, codes):
        codes = ops.convert_to_tensor(codes)
        z = ops.take(self.codebook, codes, axis=0)
        return ops.reshape(z, (*ops.shape(codes)[:-1], self.size))

    def z_to_codes(self, z):
        z = ops.convert_to_tensor(z)
        slots = ops.reshape(z, (*ops.shape(z)[:-1], self.num_slots, self.code_size))
        table = ops.convert_to_tensor(self.codebook)
        # |z|² is the same for all codes.
        scores = ops.matmul(slots, ops.transpose(table)) - 0.5 * ops.sum(ops.square(table), axis=-1)
        return ops.argmax(scores, axis=-1)

    def _follow(self, outputs, codes):
        """Move the codebook towards outputs of the encoder `(n, code_size)`, and revive codes that are not used."""
        used = ops.one_hot(ops.reshape(codes, (-1,)), self.num_codes, dtype="float32")
        counts = self.decay * self.counts.value + (1 - self.decay) * ops.sum(used, axis=0)
        sums = self.decay * self.sums.value + (1 - self.decay) * ops.matmul(ops.transpose(used), outputs)
        dead = counts < self.dead_below
        rows = keras.random.randint((self.num_codes,), 0, ops.shape(outputs)[0], seed=self.seed_generator)
        revived = ops.take(outputs, rows, axis=0)
        counts = ops.where(dead, 1.0, counts)
        sums = ops.where(dead[:, None], revived, sums)
        self.counts.assign(counts)
        self.sums.assign(sums)
        self.codebook.assign(sums / counts[:, None])


@keras.saving.register_keras_serializable("nlpgen")
class FiniteScalarQuantized(DiscreteLatent):
    """FSQ (Mentzer et al., 2024, https://arxiv.org/abs/2309.15505): each number of a slot is rounded to one of a few
    levels. There is no codebook, nothing beside the reconstruction to train, and no code can die.

    z lies in [-1, 1]. The size is `num_slots * len(levels)`, and a slot has `prod(levels)` codes.

    Args:
        levels: how many values each number of a slot has, 2 or more.
        num_slots: vectors of a text.
    """

    def __init__(self, levels=(8, 5, 5, 5), num_slots=4, **kwargs):
        levels = tuple(levels)
        if not levels or min(levels) < 2 or num_slots < 1:
            raise InputError(
                "Expected `levels` of 2 or more and one slot at least. "
                f"Received: levels={levels}, num_slots={num_slots}"
            )
        super().__init__(num_slots * len(levels), math.prod(levels), num_slots, **kwargs)
        self.levels = levels
        self._highest = np.array(levels, "float32") - 1
        self._places = np.cumprod([1, *levels[:-1]]).astype("int32")

    def posterior(self, features, training=False):
        highest = ops.convert_to_tensor(self._highest)
        bounded = ops.sigmoid(self._slots(self.project(features))) * highest
        rounded = bounded + ops.stop_gradient(ops.round(bounded) - bounded)
        z = ops.reshape(2 * rounded / highest - 1, (-1, self.size))
        return {"mean": z, "codes": self.z_to_codes(z)}

    def sample(self, posterior, training=False):
        return posterior["mean"]

    def codes_to_z(self, codes):
        codes = ops.cast(ops.convert_to_tensor(codes), "int32")[..., None]
        digits = (codes // ops.convert_to_tensor(self._places)) % ops.convert_to_tensor(self._highest + 1, "int32")
        z = 2 * ops.cast(digits, "float32") / ops.convert_to_tensor(self._highest) - 1
        return ops.reshape(z, (*ops.shape(codes)[:-2], self.size))

    def z_to_codes(self, z):
        share = ops.clip(self._slots(ops.convert_to_tensor(z)) + 1, 0.0, 2.0) / 2
        digits = ops.cast(ops.round(share * ops.convert_to_tensor(self._highest)), "int32")
        return ops.sum(digits * ops.convert_to_tensor(self._places), axis=-1)

    def _slots(self, z):
        return ops.reshape(z, (*ops.shape(z)[:-1], self.num_slots, len(self.levels)))
