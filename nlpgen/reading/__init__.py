from nlpgen.reading.decoding import Answer
from nlpgen.reading.example import QAExample
from nlpgen.reading.files import QAExamples, read_qa
from nlpgen.reading.mlm_reader import MLMReader
from nlpgen.reading.reader import answer_scores
from nlpgen.reading.report import write_report
from nlpgen.reading.retriever import Hit, Retriever
from nlpgen.reading.span_reader import SpanReader

__all__ = [
    "Answer",
    "Hit",
    "MLMReader",
    "QAExample",
    "QAExamples",
    "Retriever",
    "SpanReader",
    "answer_scores",
    "read_qa",
    "write_report",
]
