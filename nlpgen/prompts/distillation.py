"""Distillation: a `TextClassifier` learns what an ensemble of models says (Schick & Schütze, 2021, section 3.3 of
https://arxiv.org/abs/2001.07676)."""

import numpy as np

from nlpgen.prompts.columns import count
from nlpgen.tasks import TextClassifier


def distilled(mlm, asked, columns, probabilities, held_out, **options):
    """A `TextClassifier` that was trained on probabilities.

    Args:
        mlm: the model that it starts from.
        asked: the `Question` of the ensemble.
        columns: inputs of at most two fields.
        probabilities: `(inputs, labels)` that the ensemble gives them.
        held_out: columns and targets of the validation data, or `None`.
        options: arguments of `TextClassifier`.
    """
    if held_out is not None:
        held_out = _as_texts(asked, held_out[0]), [asked.labels[i] for i in held_out[1]]
    student = TextClassifier(mlm, **options)
    return student.fit_probabilities(_as_texts(asked, columns), probabilities, asked.labels, validation_data=held_out)


def student_probabilities(student, asked, columns):
    """What a student says of inputs: `(inputs, labels)`, in the order of the ensemble's labels."""
    found = student.predict_proba(_as_texts(asked, columns))
    out = np.zeros((count(columns), len(asked.labels)))
    out[:, [asked.labels.index(label) for label in student.classes_]] = found
    return out


def _as_texts(asked, columns):
    """Columns as the texts or pairs that a `TextClassifier` takes."""
    fields = [columns[name] for name in asked.fields]
    return fields[0] if len(fields) == 1 else list(zip(*fields, strict=True))
