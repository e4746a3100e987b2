from nlpgen.generation.beam import Beam, Hypotheses

__all__ = ["Beam", "Hypotheses"]
