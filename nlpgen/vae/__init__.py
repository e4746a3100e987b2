from nlpgen.vae.annealing import AggressiveEncoder, Constant, Cyclical, FreeBits, Linear, Schedule, TwoStage
from nlpgen.vae.diagnostics import Diagnosis
from nlpgen.vae.latents import (
    BatchNormGaussian,
    DeltaGaussian,
    Entropic,
    FiniteScalarQuantized,
    Gaussian,
    Latent,
    PowerSpherical,
    VectorQuantized,
    VonMisesFisher,
    knn_entropy,
)
from nlpgen.vae.text_vae import TextVAE

__all__ = [
    "AggressiveEncoder",
    "BatchNormGaussian",
    "Constant",
    "Cyclical",
    "DeltaGaussian",
    "Diagnosis",
    "Entropic",
    "FiniteScalarQuantized",
    "FreeBits",
    "Gaussian",
    "Latent",
    "Linear",
    "PowerSpherical",
    "Schedule",
    "TextVAE",
    "TwoStage",
    "VectorQuantized",
    "VonMisesFisher",
    "knn_entropy",
]
