"""Posteriors on the unit sphere, around a mean direction, under the uniform prior."""

import math

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.vae.latents.angular_grid import LEARNED_NODES, AngularGrid, log_area
from nlpgen.vae.latents.latent import Latent
from nlpgen.vae.latents.standardize import Standardize

LEAST, MOST = 1e-3, 1e5  # concentrations


class SphericalLatent(Latent):
    """q(z|x) on the sphere in `size` dimensions, p(z) uniform there. A decoder gets z times `sqrt(size)`.

    A posterior holds `mean_direction` `(batch, size)`, of length 1, and where it is learned `concentration`
    `(batch, 1)`. A fixed concentration has a fixed KL: it cannot vanish, and z still need not be used by the decoder,
    e.g. where the encoder gives all texts the same direction. Batch normalization before the length is taken away, as
    in BN-VAE (Zhu et al., 2020, https://arxiv.org/abs/2004.12585), keeps the directions of a batch apart.

    Samples are `cos φ mean_direction + sin φ v`, v uniform in the sphere at right angles to it, and φ from the inverse
    of its distribution function on a grid (`AngularGrid`): no rejection, no Bessel functions. The gradient of a learned
    concentration is that of implicit reparameterisation (Figurnov et al., 2018, https://arxiv.org/abs/1805.08498) and
    unbiased.

    Args:
        size, seed: see `Latent`; the size must be 3 or more.
        concentration: how narrow q is, from 1e-3 to 1e5.
        target_kl: the KL that is wanted, nats, in place of `concentration`.
        learned: whether each text has a concentration of its own, which starts above the given one and cannot fall
            below it.
        max_concentration: the highest that is learned.
        batch_norm: whether the directions are batch-normalised; published models have none. Batches should not be
            small then: in one of two texts all directions are corners of a cube.

    Attributes:
        concentration: a number; the least one where it is learned.

    Raises:
        InputError: if not exactly one of `concentration` and `target_kl` is given, or one is out of range.
    """

    unit_note = "on the sphere all dimensions together have variance 1, so each has about 1 / size"
    statistic = None

    def __init__(
        self,
        size,
        concentration=None,
        target_kl=None,
        learned=False,
        max_concentration=1e4,
        batch_norm=True,
        seed=None,
        **kwargs,
    ):
        super().__init__(size, seed, **kwargs)
        if size < 3:
            raise InputError(f"A spherical latent needs a `size` of 3 or more. Received: {size}")
        if (concentration is None) == (target_kl is None):
            raise InputError(
                "Give either `concentration` or `target_kl`, e.g. target_kl=8.0. "
                f"Received: concentration={concentration!r}, target_kl={target_kl!r}"
            )
        self.concentration = self._for_kl(target_kl) if concentration is None else float(concentration)
        highest = min(max_concentration, MOST) if learned else MOST
        if not LEAST <= self.concentration <= highest:
            raise InputError(
                f"`concentration` must be from {LEAST} to {highest:g}. Received: concentration={self.concentration:g}"
            )
        self.learned = learned
        self.max_concentration = max_concentration
        self.scale = math.sqrt(size)
        self.batch_norm = batch_norm
        self.direction_head = self.dense(size, "direction")
        if batch_norm:
            self.norm = Standardize(name="norm")
        self.concentration_head = self.dense(1, "concentration") if learned else None
        self._fixed = self._grid(self.concentration)

    def build(self, features_shape):
        self.direction_head.build(features_shape)
        if self.batch_norm:
            self.norm.build((None, self.size))
        if self.learned:
            self.concentration_head.build(features_shape)

    def posterior(self, features, training=False):
        direction = self.direction_head(features)
        if self.batch_norm:
            direction = self.norm(direction, training=training)
        length = ops.sqrt(ops.sum(ops.square(direction), axis=-1, keepdims=True) + 1e-12)
        # A row of zeros has no direction; it gets the first axis.
        axis = ops.convert_to_tensor(1e-6 * np.eye(1, self.size), "float32")
        direction = ops.where(length > 2e-6, direction, direction + axis)
        direction = direction / ops.sqrt(ops.sum(ops.square(direction), axis=-1, keepdims=True))
        if not self.learned:
            return {"mean_direction": direction}
        rise = ops.softplus(self.concentration_head(features))
        return {
            "mean_direction": direction,
            "concentration": ops.minimum(self.concentration + rise, self.max_concentration),
        }

    def sample(self, posterior, training=False):
        direction = posterior["mean_direction"]
        rows = ops.shape(direction)[0]
        u = keras.random.uniform((rows, 1), 1e-7, 1 - 1e-7, dtype="float32", seed=self.seed_generator)
        angle = self._angle(u, posterior)
        side = self.normal(ops.shape(direction))
        side = side - ops.sum(side * direction, axis=-1, keepdims=True) * direction
        side = side / ops.sqrt(ops.sum(ops.square(side), axis=-1, keepdims=True) + 1e-20)
        return ops.cos(angle) * direction + ops.sin(angle) * side

    def mean(self, posterior):
        return posterior["mean_direction"]

    def spread(self, posterior):
        # E|z - E z|² = 1 - A², shared by all axes.
        cosine = self._grid_of(posterior).mean_cosine if self.learned else self.mean_cosine
        length = cosine * ops.ones_like(posterior["mean_direction"])
        return ops.sqrt(ops.maximum(1 - ops.square(length), 0.0) / self.size)

    def kl_terms(self, posterior):
        grid = self._grid_of(posterior)
        if not self.learned:
            return ops.full_like(posterior["mean_direction"][..., :1], grid.kl.item())
        # The value without, the slope k Var(T) with a gradient.
        k, slope = ops.convert_to_tensor(posterior["concentration"]), grid.variance
        fixed = ops.stop_gradient(k)
        return ops.stop_gradient(grid.kl) + (k - fixed) * ops.stop_gradient(fixed * slope)

    def kl(self, posterior=None):
        """KL(q(z|x) ‖ p(z)), nats.

        Args:
            posterior: `None` for the number that a fixed concentration has (the least of a learned one), computed in
                float64.

        Returns:
            A float, or `(batch,)`.
        """
        return self._fixed.kl.item() if posterior is None else super().kl(posterior)

    @property
    def mean_cosine(self):
        """E[cos φ] at `concentration`: the length of the mean of q."""
        return self._fixed.mean_cosine.item()

    def log_q(self, z, posterior):
        cosine = ops.sum(z * posterior["mean_direction"], axis=-1, keepdims=True)
        k = posterior["concentration"] if self.learned else self.concentration
        constant = self._grid_of(posterior).log_density_constant
        constant = constant if self.learned else constant.item()
        return (k * self.statistic.of(cosine) + constant)[..., 0]

    def log_p(self, z):
        return ops.full_like(z[..., 0], -log_area(self.size))

    def calibrate(self, features):
        if self.batch_norm:
            self.norm.calibrate(self.direction_head(features))

    def sample_prior(self, n, seed=0):
        z = np.random.default_rng(seed).normal(size=(n, self.size))
        return self.nearest(z)

    def interpolate(self, start, end, steps):
        """The great circle between two points `(size,)`, ends included: an array `(steps, size)`.

        Between opposite points, where none is shorter than the others, that through the axis furthest from them.
        """
        start, end = (np.asarray(x, "float64") / np.linalg.norm(x) for x in (start, end))
        angle = math.atan2(np.linalg.norm(end - start), np.linalg.norm(end + start)) * 2
        towards = end if math.sin(angle) > 1e-6 else np.eye(self.size)[np.argmin(np.abs(start))]
        side = towards - (towards @ start) * start
        angles = np.linspace(0, angle, steps)[:, None]
        return self.nearest(np.cos(angles) * start + np.sin(angles) * side / np.linalg.norm(side))

    def nearest(self, z):
        z = np.asarray(z, "float64")
        return (z / np.maximum(np.linalg.norm(z, axis=-1, keepdims=True), 1e-12)).astype("float32")

    def _grid(self, concentration):
        return AngularGrid(self.statistic, self.size, concentration)

    def _grid_of(self, posterior):
        if not self.learned:
            return self._fixed
        k = ops.stop_gradient(ops.convert_to_tensor(posterior["concentration"]))
        return AngularGrid(self.statistic, self.size, k, ops, LEARNED_NODES)

    def _angle(self, u, posterior):
        """The inverse of the distribution function at `u` `(batch, 1)`."""
        grid = self._grid_of(posterior)
        cells = grid.cdf.shape[-1] - 1
        if not self.learned:
            cdf = ops.convert_to_tensor(grid.cdf, "float32")
            cell = ops.clip(ops.searchsorted(cdf, u[:, 0], side="right") - 1, 0, cells - 1)
            below, above = (ops.take(cdf, cell + i)[:, None] for i in (0, 1))
            place = ops.cast(cell[:, None], "float32") + (u - below) / ops.maximum(above - below, 1e-30)
            return float(grid.start) + float(grid.width) / cells * ops.clip(place, 0, cells)
        cell = ops.sum(ops.cast(grid.cdf <= u, "int32"), axis=-1, keepdims=True) - 1
        cell = ops.clip(cell, 0, cells - 1)

        def ends(values):
            return ops.take_along_axis(values, cell, axis=-1), ops.take_along_axis(values, cell + 1, axis=-1)

        below, above = ends(grid.cdf)
        share = ops.clip((u - below) / ops.maximum(above - below, 1e-30), 0.0, 1.0)
        angle = grid.start + grid.width / cells * (ops.cast(cell, "float32") + share)
        tables = map(ends, (grid.cdf_slope, grid.cdf_slope_above, grid.density))
        lower, upper, density = (first + share * (second - first) for first, second in tables)
        # The mass below the angle stays: dφ/dk = -(dF/dk) / f(φ).
        gradient = ops.where(u < 0.5, -lower, upper) * (grid.width / cells) / ops.maximum(density, 1e-12)
        k = ops.convert_to_tensor(posterior["concentration"])
        return ops.stop_gradient(angle) + ops.stop_gradient(gradient) * (k - ops.stop_gradient(k))

    def _for_kl(self, target_kl):
        """The concentration with a KL, by bisection of its logarithm."""
        ends = [self._grid(k).kl.item() for k in (LEAST, MOST)]
        if not ends[0] < target_kl < ends[1]:
            raise InputError(
                f"`target_kl` must be above 0 and below {ends[1]:.1f} nats for a size of {self.size}. "
                f"Received: {target_kl!r}"
            )
        low, high = math.log(LEAST), math.log(MOST)
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self._grid(math.exp(middle)).kl.item() < target_kl else (low, middle)
        return math.exp(0.5 * (low + high))
