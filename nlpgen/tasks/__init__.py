from nlpgen.tasks.classifier import Classifier, softmax
from nlpgen.tasks.encoding import encode, inputs_of, outputs_of
from nlpgen.tasks.entities import Entity
from nlpgen.tasks.fine_tuning import (
    check_seed,
    check_validation,
    copy_of_backbone,
    fine_tune,
    start,
    tokenized_backbone,
)
from nlpgen.tasks.labelled import JOINED_BY, as_pair, as_tuples, check_labelled, check_training
from nlpgen.tasks.text_classifier import TextClassifier
from nlpgen.tasks.token_classifier import TokenClassifier

__all__ = [
    "JOINED_BY",
    "Classifier",
    "Entity",
    "TextClassifier",
    "TokenClassifier",
    "as_pair",
    "as_tuples",
    "check_labelled",
    "check_seed",
    "check_training",
    "check_validation",
    "copy_of_backbone",
    "encode",
    "fine_tune",
    "inputs_of",
    "outputs_of",
    "softmax",
    "start",
    "tokenized_backbone",
]
