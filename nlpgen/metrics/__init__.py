from nlpgen.metrics.generation import BigramModel, bleu, distinct_n, self_bleu, token_f1
from nlpgen.metrics.overlap import OverlapScores, overlap_scores
from nlpgen.metrics.reading import READING_METRICS, check_metric, question_scores, reading_scores
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
    "BigramModel",
    "Difference",
    "McNemar",
    "OverlapScores",
    "SpanScores",
    "accuracy",
    "bleu",
    "check_metric",
    "combined_p",
    "distinct_n",
    "holm",
    "macro_f1",
    "mcnemar",
    "mean_sd",
    "overlap_scores",
    "paired_bootstrap",
    "question_scores",
    "reading_scores",
    "self_bleu",
    "span_scores",
    "token_f1",
]
