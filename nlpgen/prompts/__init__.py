from nlpgen.prompts.label_words import find_label_words
from nlpgen.prompts.p_tuning import PTuningClassifier
from nlpgen.prompts.pattern import Cloze, Pattern
from nlpgen.prompts.pet import PETClassifier
from nlpgen.prompts.presets import Preset, preset, presets
from nlpgen.prompts.prompt_model import PromptModel
from nlpgen.prompts.scorer import Scorer
from nlpgen.prompts.together import PromptServer
from nlpgen.prompts.verbalizer import Candidates, Verbalizer

__all__ = [
    "Candidates",
    "Cloze",
    "PETClassifier",
    "PTuningClassifier",
    "Pattern",
    "Preset",
    "PromptModel",
    "PromptServer",
    "Scorer",
    "Verbalizer",
    "find_label_words",
    "preset",
    "presets",
]
