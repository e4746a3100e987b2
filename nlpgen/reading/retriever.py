"""The passages that are most like a question, by BM25 over character n-grams."""

import itertools
from dataclasses import dataclass

from nlpgen.errors import InputError, NlpgenError
from nlpgen.reading.windows import matchable
from nlpgen.text import check_texts


@dataclass(frozen=True)
class Hit:
    """A passage that was found.

    Attributes:
        index: which passage.
        text: the passage.
        score: of BM25, above 0: one that has nothing of the question is no hit.
    """

    index: int
    text: str
    score: float


class Retriever:
    """BM25 (Robertson & Zaragoza, 2009) on the library `bm25s`, which needs no word boundaries here: its terms are
    single characters and pairs of neighbours, of Latin text too. Needs the extra `search`.

    Args:
        passages: a list of strings.

    Raises:
        InputError: if passages are no list of strings, or none has a letter or digit.
        NlpgenError: if the library is missing.

    Example:
        >>> hits = Retriever(["北京是中国的首都。", "猫喜欢吃鱼。"]).search("首都是哪里？", 1)
        >>> hits[0].text
        '北京是中国的首都。'
    """

    def __init__(self, passages):
        try:
            import bm25s  # not above: it is an extra
        except ImportError:
            raise NlpgenError(
                "A search over passages needs the library bm25s. Run: pip install 'nlpgen[search]'"
            ) from None
        check_texts(passages, "passages")
        self.passages = list(passages)
        self._terms = {}
        rows = [[self._terms.setdefault(term, len(self._terms)) for term in terms(text)] for text in self.passages]
        if not self._terms:
            raise InputError("There is no passage to search. Give texts with something in them.")
        self._index = bm25s.BM25()
        self._index.index((rows, self._terms), show_progress=False)

    def search(self, question, top_k=5):
        """The passages most like a question.

        Args:
            question: a string.
            top_k: how many at most; one that shares nothing with the question is none.

        Returns:
            A list of `Hit`, the best first.

        Raises:
            InputError: if the question is no string, or `top_k` no whole number, 1 or more.
        """
        return self.search_batch([question], top_k)[0]

    def search_batch(self, questions, top_k=5):
        """The same for each of a list of questions."""
        check_texts(questions, "questions")
        if not isinstance(top_k, int) or top_k < 1:
            raise InputError(f"`top_k` must be a whole number, 1 or more. Received: {top_k!r}")
        rows = [[self._terms[term] for term in terms(question) if term in self._terms] for question in questions]
        k, found = min(top_k, len(self.passages)), []
        for row in rows:  # one that shares no term with any passage finds nothing
            if not row:
                found.append([])
                continue
            indices, scores = self._index.retrieve([row], k=k, show_progress=False, backend_selection="numpy")
            pairs = zip(indices[0].tolist(), scores[0].tolist(), strict=True)
            found.append([Hit(i, self.passages[i], score) for i, score in pairs if score > 0])
        return found


def terms(text):
    """Characters that are letters or digits, and pairs of them that are neighbours.

    >>> terms("A4纸。")
    ['a', '4', '纸', 'a4', '4纸']
    """
    text = matchable(text)
    pairs = [a + b for a, b in itertools.pairwise(text)]
    return [c for c in text if c.isalnum()] + [pair for pair in pairs if pair[0].isalnum() and pair[1].isalnum()]
