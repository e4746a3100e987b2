"""Scores of answers that are known already."""

import numpy as np

from nlpgen.metrics import question_scores, reading_scores
from nlpgen.reading.calibration import expected_calibration_error


def answer_scores(examples, answers, metric="cmrc2018"):
    """What `Reader.evaluate` gives, of answers that are known already."""
    predictions, right = [answer.text for answer in answers], [each.answers for each in examples]
    groups = [each.group for each in examples]
    scores = reading_scores(predictions, right, metric, groups if any(groups) else None)
    each = [question_scores(*pair, metric) for pair in zip(predictions, right, strict=True)]
    unanswerable = np.array([not example.targets for example in examples])
    if unanswerable.any():
        for name, column in (("exact_match", 0), ("f1", 1)):
            values = [pair[column] for pair, none in zip(each, unanswerable, strict=True) if not none]
            scores[f"has_answer_{name}"] = 100 * float(np.mean(values)) if values else 0.0
        silent = [not text for text, none in zip(predictions, unanswerable, strict=True) if none]
        scores["no_answer_accuracy"] = 100 * float(np.mean(silent))
    if answers[0].no_answer is not None:
        scores["ece"] = expected_calibration_error([a.score for a in answers], [exact >= 1 for exact, _ in each])
    return scores
