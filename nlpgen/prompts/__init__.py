from nlpgen.prompts.pattern import Pattern
from nlpgen.prompts.pet import PETClassifier
from nlpgen.prompts.prompt_model import PromptModel
from nlpgen.prompts.verbalizer import Verbalizer

__all__ = ["PETClassifier", "Pattern", "PromptModel", "Verbalizer"]
