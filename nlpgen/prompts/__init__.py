from nlpgen.prompts.baselines import (
    DemonstrationClassifier,
    FineTuneClassifier,
    LinearProbeClassifier,
    NSPClassifier,
    SetFitClassifier,
    TfidfClassifier,
)
from nlpgen.prompts.pattern import Pattern
from nlpgen.prompts.pet import PETClassifier
from nlpgen.prompts.prompt_model import PromptModel
from nlpgen.prompts.verbalizer import Verbalizer

__all__ = [
    "DemonstrationClassifier",
    "FineTuneClassifier",
    "LinearProbeClassifier",
    "NSPClassifier",
    "PETClassifier",
    "Pattern",
    "PromptModel",
    "SetFitClassifier",
    "TfidfClassifier",
    "Verbalizer",
]
