"""The power-spherical distribution as a posterior."""

import keras

from nlpgen.vae.latents.angular_grid import LogOnePlusCosine
from nlpgen.vae.latents.sphere import SphericalLatent


@keras.saving.register_keras_serializable("nlpgen")
class PowerSpherical(SphericalLatent):
    """q(z|x) ∝ (1 + mean_direction · z)^concentration on the sphere (De Cao & Aziz, 2020,
    https://arxiv.org/abs/2006.04437).

    At the same KL it is all but the von Mises-Fisher distribution; at the same concentration it is flatter.

    See `SphericalLatent` for arguments and attributes.

    Example:
        >>> from nlpgen.vae import PowerSpherical
        >>> round(PowerSpherical(32, concentration=13.0).kl(), 3)
        1.466
    """

    statistic = LogOnePlusCosine
