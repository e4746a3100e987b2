"""The von Mises-Fisher distribution as a posterior."""

import keras

from nlpgen.vae.latents.angular_grid import MeanCosine
from nlpgen.vae.latents.sphere import SphericalLatent


@keras.saving.register_keras_serializable("nlpgen")
class VonMisesFisher(SphericalLatent):
    """q(z|x) ∝ exp(concentration * mean_direction · z) on the sphere (Davidson et al., 2018,
    https://arxiv.org/abs/1804.00891; with a fixed concentration Xu & Durrett, 2018, https://arxiv.org/abs/1808.10805).

    See `SphericalLatent` for arguments and attributes.

    Example:
        >>> from nlpgen.vae import VonMisesFisher
        >>> round(VonMisesFisher(32, concentration=13.0).kl(), 4)
        2.1726
        >>> round(VonMisesFisher(32, target_kl=8.0).concentration, 1)
        32.8
    """

    statistic = MeanCosine
