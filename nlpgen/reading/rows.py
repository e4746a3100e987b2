"""What a reader sees at once, a question and a window of a passage, and which of them it learns from."""

from dataclasses import dataclass

import numpy as np

from nlpgen.errors import InputError
from nlpgen.reading.retriever import Retriever
from nlpgen.reading.windows import Passage, matchable, read_passages
from nlpgen.text import check_texts

NEGATIVES = ("random", "bm25")
NEAREST = 10  # passages that a hard negative is drawn from


@dataclass(frozen=True)
class Row:
    """A question and a window.

    Attributes:
        question: token ids.
        passage: a `Passage`.
        begin, end: the window's tokens.
        index: which passage of which question: `(question, passage)`.
        spans: `(first, last)` of the right answers, counted in the window; empty for none.
    """

    question: list
    passage: Passage
    begin: int
    end: int
    index: tuple
    spans: tuple = ()

    @property
    def token_ids(self):
        """Those of the window."""
        return self.passage.token_ids[self.begin : self.end]

    @property
    def answer(self):
        """Those of the first of the right answers; none if there is none."""
        return [] if not self.spans else self.token_ids[self.spans[0][0] : self.spans[0][1] + 1]


class RowReader:
    """Makes rows of questions and passages.

    Args:
        tokenizer: a `Tokenizer`.
        question_length: most tokens of a question; longer ones are cut at their end.
        room: most tokens of a window.
        stride: see `Passage.windows`.
        with_commas: see `read_passages`.
    """

    def __init__(self, tokenizer, question_length, room, stride, with_commas=True):
        self.tokenizer = tokenizer
        self.question_length = question_length
        self.room = room
        self.stride = stride
        self.with_commas = with_commas

    def rows(self, pairs):
        """The rows of all questions, and how many questions were cut. Of equal passages the first is read.

        Args:
            pairs: `(question, passages)`.
        """
        questions, passages, cut = self.read(pairs)
        rows = [
            Row(questions[question], passages[text], begin, end, (i, j))
            for i, (question, texts) in enumerate(pairs)
            for text, j in _firsts(texts).items()
            for begin, end in passages[text].windows(self.room, self.stride)
        ]
        return rows, sum(question in cut for question, _ in pairs)

    def read(self, pairs):
        """Token ids of questions, `Passage`s, which questions were cut: `({question: ids}, {text: Passage}, set)`."""
        asked = list(dict.fromkeys(question for question, _ in pairs))
        texts = list(dict.fromkeys(text for _, passages in pairs for text in passages))
        ids = {
            text: list(each) for text, (each, _) in zip(asked, self.tokenizer.pieces(check_texts(asked)), strict=True)
        }
        cut = {text for text, each in ids.items() if len(each) > self.question_length}
        questions = {text: each[: self.question_length] for text, each in ids.items()}
        return questions, dict(zip(texts, read_passages(self.tokenizer, texts, self.with_commas), strict=True)), cut


def _firsts(texts):
    """`{text: where it first stands}`."""
    found = {}
    for j, text in enumerate(texts):
        found.setdefault(text, j)
    return found


class TrainingRows:
    """The rows that a reader learns from: in each epoch one of each question, drawn anew.

    With a chance of `negative_rate` the row is a window without the answer, of the question's own passages or, as
    often, of another question's. A question that its passages do not answer has only such rows, of its own.

    Args:
        reader: a `RowReader`.
        examples: `QAExample`s.
        longest: most tokens of an answer; windows where every answer is longer are left out.
        negative_rate: share of rows without the answer, of the questions that have one.
        negatives: whose passages those of others are: `"random"`, or `"bm25"`, the most like the question, of which
            there may be none: then any.
        seed: of what is drawn.

    Attributes:
        unlearned: `(index of the example, why)` of those that nothing can be learned from.
        cut: how many questions were cut.

    Raises:
        InputError: if nothing is left.
    """

    def __init__(self, reader, examples, longest, negative_rate, negatives, seed):
        self.negative_rate, self.seed, self.unlearned = negative_rate, seed, []
        pairs = [(each.question, each.passages) for each in examples]
        questions, passages, cut = reader.read(pairs)
        self.cut = sum(each.question in cut for each in examples)
        self._others = [passage for passage in passages.values() if passage.token_ids]
        self._windows = {id(p): p.windows(reader.room, reader.stride) for p in self._others}
        self._entries, self._nearest = [], None
        for i, example in enumerate(examples):
            right, without = self._rows_of(i, example, questions[example.question], passages, longest)
            if right or (not example.targets and without):
                self._entries.append((i, example, right, without))
            else:
                empty = not any(passages[text].token_ids for text in example.passages)
                self.unlearned.append((i, "no tokens" if empty else "no answer that fits stands in a passage"))
        if not self._entries:
            raise InputError(
                f"None of the {len(examples)} examples can be learned from: no answer of at most {longest} tokens "
                "stands in a passage. Give answers as they stand there, or raise `answer_length`."
            )
        if negatives == "bm25" and negative_rate:
            retriever = Retriever([passage.text for passage in self._others])
            found = retriever.search_batch([example.question for _, example, _, _ in self._entries], NEAREST)
            self._nearest = [[self._others[hit.index] for hit in hits] for hits in found]
        self._questions = questions

    def draw(self, epoch):
        """The rows of an epoch, one a question; a list of `Row`."""
        generator = np.random.default_rng([self.seed, 3, epoch])
        return [self._drawn(n, *entry, generator) for n, entry in enumerate(self._entries)]

    def _drawn(self, n, i, example, right, without, generator):
        if right and generator.random() >= self.negative_rate:
            return right[generator.integers(len(right))]
        if right and (not without or generator.random() < 0.5):
            foreign = self._foreign(n, i, example, generator)
            if foreign is not None:
                return foreign
        rows = without or right
        return rows[generator.integers(len(rows))]

    def _foreign(self, n, i, example, generator):
        """A window of another question's passage without any of the answers, or `None`."""
        nearest = self._nearest[n] if self._nearest else []
        pool = nearest or self._others
        answers = [matchable(answer.strip()) for answer in example.targets]
        for _ in range(3):
            passage = pool[generator.integers(len(pool))]
            if passage.text not in example.passages and not any(answer in passage.matched for answer in answers):
                begin, end = self._windows[id(passage)][generator.integers(len(self._windows[id(passage)]))]
                return Row(self._questions[example.question], passage, begin, end, (i, None))
        return None

    def _rows_of(self, i, example, question, passages, longest):
        """The windows with an answer that fits, and those without any."""
        right, without = [], []
        for j, text in enumerate(example.passages):
            passage = passages[text]
            spans = passage.spans_of(example.targets)
            for begin, end in self._windows.get(id(passage), ()):
                inside = [(a - begin, b - begin) for a, b in spans if begin <= a and b < end]
                fitting = tuple(span for span in inside if span[1] - span[0] < longest)
                row = Row(question, passage, begin, end, (i, j), fitting)
                if fitting:
                    right.append(row)
                elif not inside:
                    without.append(row)
        return right, without
