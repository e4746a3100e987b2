from nlpgen.metrics.spans import SpanScores, span_scores

__all__ = ["SpanScores", "span_scores"]
