from nlpgen.metrics.overlap import OverlapScores, overlap_scores
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
    "Difference",
    "McNemar",
    "OverlapScores",
    "SpanScores",
    "accuracy",
    "combined_p",
    "holm",
    "macro_f1",
    "mcnemar",
    "mean_sd",
    "overlap_scores",
    "paired_bootstrap",
    "span_scores",
]
