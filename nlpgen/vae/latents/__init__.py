from nlpgen.vae.latents.batch_norm import BatchNormGaussian
from nlpgen.vae.latents.entropic import Entropic, knn_entropy
from nlpgen.vae.latents.gaussian import DeltaGaussian, Gaussian
from nlpgen.vae.latents.latent import Latent
from nlpgen.vae.latents.power_spherical import PowerSpherical
from nlpgen.vae.latents.vector_quantized import DiscreteLatent, FiniteScalarQuantized, VectorQuantized
from nlpgen.vae.latents.von_mises_fisher import VonMisesFisher

__all__ = [
    "BatchNormGaussian",
    "DeltaGaussian",
    "DiscreteLatent",
    "Entropic",
    "FiniteScalarQuantized",
    "Gaussian",
    "Latent",
    "PowerSpherical",
    "VectorQuantized",
    "VonMisesFisher",
    "knn_entropy",
]
