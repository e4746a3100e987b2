from nlpgen.prompts.baselines.demonstrations import DemonstrationClassifier
from nlpgen.prompts.baselines.fine_tune import FineTuneClassifier
from nlpgen.prompts.baselines.linear_probe import LinearProbeClassifier
from nlpgen.prompts.baselines.nsp import NSPClassifier
from nlpgen.prompts.baselines.setfit import SetFitClassifier
from nlpgen.prompts.baselines.tfidf import TfidfClassifier

__all__ = [
    "DemonstrationClassifier",
    "FineTuneClassifier",
    "LinearProbeClassifier",
    "NSPClassifier",
    "SetFitClassifier",
    "TfidfClassifier",
]
