"""Distributions on a sphere that depend on the angle to one direction alone, by quadrature over that angle."""

import math

import numpy as np
from keras import ops

NODES = 2049  # of constants in float64; odd, for Simpson's rule
LEARNED_NODES = 1025  # of each row where the concentration is learned, in float32
REACH = 14.0  # half the width of the grid, in standard deviations around the mode
NEAR_ONE = 1e-7


class MeanCosine:
    """The statistic cos φ of the von Mises-Fisher distribution, and the mode of its density."""

    @staticmethod
    def mode(xp, k, size):
        """Cosine and sine of the angle φ* of the highest density, and the curvature of log f there."""
        root = size - 2 + xp.sqrt((size - 2.0) ** 2 + 4 * k * k)
        cosine, sine = 2 * k / root, xp.sqrt(2 * (size - 2) / root)
        return cosine, sine, k * cosine + (size - 2) / sine**2

    @staticmethod
    def change(xp, cosine, sine, angle, delta):
        """T(φ* + delta) - T(φ*), without cancellation."""
        return -2 * xp.sin(angle + delta / 2) * xp.sin(delta / 2)

    @staticmethod
    def at_mode(xp, cosine):
        """T(φ*)."""
        return cosine

    @staticmethod
    def of(cosine):
        """T of a cosine, a tensor."""
        return cosine


class LogOnePlusCosine:
    """The statistic log(1 + cos φ) of the power-spherical distribution; methods are those of `MeanCosine`."""

    @staticmethod
    def mode(xp, k, size):
        cosine = k / (k + size - 2)
        sine = xp.sqrt((size - 2) / (k + size - 2) * (1 + cosine))
        return cosine, sine, k / (1 + cosine) + (size - 2) / sine**2

    @staticmethod
    def change(xp, cosine, sine, angle, delta):
        ratio = -2 * xp.sin(delta / 4) ** 2 - sine / (1 + cosine) * xp.sin(delta / 2)  # cos(φ/2) / cos(φ*/2) - 1
        return 2 * xp.log1p(xp.maximum(ratio, NEAR_ONE - 1))

    @staticmethod
    def at_mode(xp, cosine):
        return xp.log1p(cosine)

    @staticmethod
    def of(cosine):
        return ops.log1p(ops.maximum(cosine, NEAR_ONE - 1))


class AngularGrid:
    """Moments and distribution function of the angle φ under f(φ) ∝ exp(k T(φ)) sin^(size-2) φ.

    The density is smooth, and the grid covers `REACH` deviations around its mode; all exponents are relative to the
    mode, so nothing overflows and no Bessel function is needed. With NumPy the KL is exact to 1e-8; in float32 to 1e-4
    of it and 2e-4 nats, which is more than a very small one.

    Args:
        statistic: `MeanCosine` or `LogOnePlusCosine`.
        size: dimension of the space around the sphere, 3 or more.
        k: the concentration, above 0: a number, or a tensor `(…, 1)`.
        xp: `numpy` or `keras.ops`.
        nodes: of the grid, odd.

    Attributes:
        kl: KL to the uniform distribution, nats.
        mean_cosine: E[cos φ], the length of the mean vector.
        variance: of T.
        log_density_constant: what `k T` must be added to for a log-density on the sphere.
        cdf: `(…, nodes)`, from 0 to 1.
        density: its slope, a step of the grid.
        cdf_slope, cdf_slope_above: its derivative by k, summed from below, and minus the same from above.
        start, width: the first angle, and the distance of the last.
    """

    def __init__(self, statistic, size, k, xp=np, nodes=NODES):
        cosine, sine, curvature = statistic.mode(xp, k, size)
        angle, half = xp.arctan2(sine, cosine), REACH / xp.sqrt(curvature)
        low, high = xp.maximum(-half, -angle), xp.minimum(half, math.pi - angle)
        step = (high - low) / (nodes - 1)
        shares, weights = np.linspace(0, 1, nodes), _simpson(nodes)
        if xp is not np:
            shares, weights = (ops.convert_to_tensor(x, "float32") for x in (shares, weights))
        delta = low + (high - low) * shares
        change = statistic.change(xp, cosine, sine, angle, delta)
        ratio = -2 * xp.sin(delta / 2) ** 2 + cosine / sine * xp.sin(delta)  # sin(φ) / sin(φ*) - 1
        density = xp.exp(k * change + (size - 2) * xp.log1p(xp.maximum(ratio, NEAR_ONE - 1)))
        mass = xp.sum(weights * density, axis=-1, keepdims=True)

        def mean(values):
            return xp.sum(weights * density * values, axis=-1, keepdims=True) / mass

        moved = mean(change)
        log_mass = (size - 2) * xp.log(sine) + xp.log(mass * step)
        self.kl = k * moved - log_mass + log_area(size) - log_area(size - 1)
        self.mean_cosine = cosine + mean(MeanCosine.change(xp, cosine, sine, angle, delta))
        self.variance = mean((change - moved) ** 2)
        self.log_density_constant = -k * statistic.at_mode(xp, cosine) - log_mass - log_area(size - 1)
        cells = 0.5 * (density[..., 1:] + density[..., :-1])
        total = xp.sum(cells, axis=-1, keepdims=True)
        self.cdf = _from_zero(xp, cells / total)
        self.density = density / total
        # Mass below each angle changes with k by the integral of (T - E[T]) f: from both ends, for the tails' sake.
        slope = 0.5 * ((change - moved) * density)[..., 1:] + 0.5 * ((change - moved) * density)[..., :-1]
        self.cdf_slope = _from_zero(xp, slope / total)
        self.cdf_slope_above = xp.flip(_from_zero(xp, xp.flip(slope / total, axis=-1)), axis=-1)
        self.start, self.width = angle + low, high - low


def log_area(size):
    """Logarithm of the area of the unit sphere in `size` dimensions."""
    return math.log(2) + size / 2 * math.log(math.pi) - math.lgamma(size / 2)


def _simpson(nodes):
    """Weights of Simpson's rule, for steps of 1."""
    weights = np.full(nodes, 2.0 / 3)
    weights[1::2] = 4.0 / 3
    weights[[0, -1]] = 1.0 / 3
    return weights


def _from_zero(xp, cells):
    """Running sums, from 0 on."""
    return xp.concatenate([xp.zeros_like(cells[..., :1]), xp.cumsum(cells, axis=-1)], axis=-1)
