"""A question with the passages that may answer it."""

import hashlib
import json
from dataclasses import dataclass

from nlpgen.errors import InputError

SHOWN = 10


@dataclass(frozen=True)
class QAExample:
    """A question, passages, and the right answers.

    No offsets are needed: every occurrence of an answer in a passage is an answer.

    Args:
        question: a string.
        passages: a list of strings, or one string.
        answers: a list of strings that are all right, or one string; `[]` where the passages do not answer the
            question, `None` where the answer is not known.
        id: what the question is called in its file.
        group: what it is counted under, see `nlpgen.metrics.reading_scores`.

    Example:
        >>> QAExample("中国的首都是哪里？", "北京是中国的首都。", "北京").answers
        ('北京',)
    """

    question: str
    passages: tuple
    answers: tuple | None
    id: str = ""
    group: str = ""

    def __post_init__(self):
        for name in ("passages", "answers"):
            value = getattr(self, name)
            value = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
            object.__setattr__(self, name, value)

    @property
    def targets(self):
        """The answers that are to be found in the passages; empty where there is none."""
        return [answer for answer in self.answers or () if answer.strip()]


def check_pairs(pairs, name="pairs"):
    """Questions and their passages.

    Args:
        pairs: `(question, passages)`, where passages are a list of strings or one string.
        name: what messages call the list.

    Returns:
        A list of `(question, list of passages)`.

    Raises:
        InputError: with all that is wrong.
    """
    if isinstance(pairs, str | dict) or not hasattr(pairs, "__iter__"):
        raise InputError(f"`{name}` must be a list of (question, passages). Received: {pairs!r:.80}")
    problems, checked = [], []
    for i, pair in enumerate(pairs):
        question, passages = pair if isinstance(pair, tuple | list) and len(pair) == 2 else (None, None)
        passages = [passages] if isinstance(passages, str) else passages
        if not isinstance(question, str) or not isinstance(passages, list | tuple):
            problems.append(f"`{name}[{i}]` must be a question and its passages. Received: {pair!r:.80}")
            continue
        if not question.strip():
            problems.append(f"`{name}[{i}]` has an empty question")
        wrong = [p for p in passages if not isinstance(p, str)]
        if wrong:
            problems.append(f"`{name}[{i}]` has a passage that is no string: {wrong[0]!r:.80}")
            continue
        checked.append((question, list(passages)))
    _raise(problems, name)
    return checked


def check_examples(examples, what="examples"):
    """A list of `QAExample` that can be learned from or scored.

    Raises:
        InputError: if it is none, or empty, or answers are not known; with all that is wrong.
    """
    if isinstance(examples, str | dict) or not hasattr(examples, "__iter__"):
        raise InputError(f"`{what}` must be a list of QAExample. Received: {examples!r:.80}")
    examples = list(examples)
    strange = [i for i, each in enumerate(examples) if not isinstance(each, QAExample)]
    if strange or not examples:
        received = f"{examples[strange[0]]!r:.80} at {strange[0]}" if strange else "an empty list"
        raise InputError(f"`{what}` must be a list of QAExample, one at least. Received: {received}")
    problems = []
    for i, example in enumerate(examples):
        if example.answers is None:
            problems.append(f"`{what}[{i}]` has no `answers`: give [] if the passages do not answer the question")
        elif not isinstance(example.answers, tuple) or not all(isinstance(a, str) for a in example.answers):
            problems.append(f"`{what}[{i}].answers` must be strings. Received: {example.answers!r:.80}")
    _raise(problems, what)
    check_pairs([(each.question, each.passages) for each in examples], what)
    return examples


def fingerprint(examples):
    """What tells lists of `QAExample` with other questions, passages or answers apart: a string."""
    texts = json.dumps([(each.question, each.passages, each.answers) for each in examples])
    return f"{len(examples)} examples, SHA-256 {hashlib.sha256(texts.encode()).hexdigest()[:16]}"


def _raise(problems, what):
    if problems:
        rest = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise InputError(f"These {what} cannot be used:\n  " + "\n  ".join(problems[:SHOWN] + rest) + "\nCorrect them.")
