from nlpgen.prompts.comparison import Comparison, Run
from nlpgen.prompts.pattern import Pattern
from nlpgen.prompts.pet import PETClassifier
from nlpgen.prompts.prompt_model import PromptModel
from nlpgen.prompts.protocol import compare, learning_curve
from nlpgen.prompts.verbalizer import Verbalizer

__all__ = [
    "Comparison",
    "PETClassifier",
    "Pattern",
    "PromptModel",
    "Run",
    "Verbalizer",
    "compare",
    "learning_curve",
]
