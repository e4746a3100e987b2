from nlpgen.generation.beam import Beam
from nlpgen.generation.constraints import Constraint, FromPassages, NGrams, OneOf, Template
from nlpgen.generation.ends import Ends, stop_table
from nlpgen.generation.hypotheses import Hypotheses
from nlpgen.generation.masked import Gibbs, MaskPredict
from nlpgen.generation.rules import Rules, apply_rules
from nlpgen.generation.samplers import Greedy, Sample, Sampler

__all__ = [
    "Beam",
    "Constraint",
    "Ends",
    "FromPassages",
    "Gibbs",
    "Greedy",
    "Hypotheses",
    "MaskPredict",
    "NGrams",
    "OneOf",
    "Rules",
    "Sample",
    "Sampler",
    "Template",
    "apply_rules",
    "stop_table",
]
