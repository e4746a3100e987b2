from nlpgen.generation.beam import Beam
from nlpgen.generation.ends import Ends, stop_table
from nlpgen.generation.hypotheses import Hypotheses
from nlpgen.generation.rules import Rules, apply_rules
from nlpgen.generation.samplers import Greedy, Sample, Sampler

__all__ = ["Beam", "Ends", "Greedy", "Hypotheses", "Rules", "Sample", "Sampler", "apply_rules", "stop_table"]
