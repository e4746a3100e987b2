from nlpgen.reading.example import QAExample
from nlpgen.reading.files import QAExamples, read_qa

__all__ = ["QAExample", "QAExamples", "read_qa"]
