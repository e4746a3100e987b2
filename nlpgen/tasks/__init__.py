from nlpgen.tasks.entities import Entity
from nlpgen.tasks.text_classifier import TextClassifier
from nlpgen.tasks.token_classifier import TokenClassifier

__all__ = ["Entity", "TextClassifier", "TokenClassifier"]
