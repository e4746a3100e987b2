from nlpgen.reading.cloze import cloze_questions
from nlpgen.reading.decoding import Answer
from nlpgen.reading.evaluation import answer_scores
from nlpgen.reading.example import QAExample
from nlpgen.reading.files import QAExamples, read_qa
from nlpgen.reading.mlm_reader import MLMReader
from nlpgen.reading.recurring_spans import recurring_spans
from nlpgen.reading.report import write_report
from nlpgen.reading.retriever import Hit, Retriever
from nlpgen.reading.seq2seq_reader import Seq2SeqReader
from nlpgen.reading.span_reader import SpanReader

__all__ = [
    "Answer",
    "Hit",
    "MLMReader",
    "QAExample",
    "QAExamples",
    "Retriever",
    "Seq2SeqReader",
    "SpanReader",
    "answer_scores",
    "cloze_questions",
    "read_qa",
    "recurring_spans",
    "write_report",
]
