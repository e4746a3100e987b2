from nlpgen.vae.priors.codes import CodePrior
from nlpgen.vae.priors.gaussian import GaussianFit, Mixture
from nlpgen.vae.priors.score_matching import DenoisingDensity, ScoreMatching
from nlpgen.vae.priors.standard import Prior, Standard

# What `TextVAE.fit_prior` may name.
PRIORS = {
    "standard": Standard,
    "gaussian": GaussianFit,
    "mixture": Mixture,
    "score-matching": ScoreMatching,
    "denoising-density": DenoisingDensity,
    "codes": CodePrior,
}

__all__ = [
    "PRIORS",
    "CodePrior",
    "DenoisingDensity",
    "GaussianFit",
    "Mixture",
    "Prior",
    "ScoreMatching",
    "Standard",
]
