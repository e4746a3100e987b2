from nlpgen.metrics.reading import READING_METRICS, question_scores, reading_scores
from nlpgen.metrics.significance import (
    Difference,
    McNemar,
    accuracy,
    combined_p,
    holm,
    macro_f1,
    mcnemar,
    mean_sd,
    paired_bootstrap,
)
from nlpgen.metrics.spans import SpanScores, span_scores

__all__ = [
    "READING_METRICS",
    "Difference",
    "McNemar",
    "SpanScores",
    "accuracy",
    "combined_p",
    "holm",
    "macro_f1",
    "mcnemar",
    "mean_sd",
    "paired_bootstrap",
    "question_scores",
    "reading_scores",
    "span_scores",
]
