from nlpgen.prompts.baselines import (
    DemonstrationClassifier,
    FineTuneClassifier,
    LinearProbeClassifier,
    NSPClassifier,
    SetFitClassifier,
    TfidfClassifier,
)
from nlpgen.prompts.comparison import Comparison, Run
from nlpgen.prompts.label_words import find_label_words
from nlpgen.prompts.p_tuning import PTuningClassifier
from nlpgen.prompts.pattern import Cloze, Pattern
from nlpgen.prompts.pet import PETClassifier
from nlpgen.prompts.presets import Preset, load_preset, preset_names
from nlpgen.prompts.prompt_model import PromptModel
from nlpgen.prompts.protocol import compare, learning_curve
from nlpgen.prompts.scorer import Scorer
from nlpgen.prompts.together import PromptServer
from nlpgen.prompts.verbalizer import Candidates, Verbalizer

__all__ = [
    "Candidates",
    "Cloze",
    "Comparison",
    "DemonstrationClassifier",
    "FineTuneClassifier",
    "LinearProbeClassifier",
    "NSPClassifier",
    "PETClassifier",
    "PTuningClassifier",
    "Pattern",
    "Preset",
    "PromptModel",
    "PromptServer",
    "Run",
    "Scorer",
    "SetFitClassifier",
    "TfidfClassifier",
    "Verbalizer",
    "compare",
    "find_label_words",
    "learning_curve",
    "load_preset",
    "preset_names",
]
