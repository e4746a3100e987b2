"""Files of questions: CMRC 2018, SQuAD's form (DRCD, XQuAD, CJRC, DuReader-robust), WebQA, SogouQA, JSON lines."""

import json
import math
import os
import warnings
from json import decoder, scanner
from pathlib import Path

from nlpgen.errors import InputError, InputWarning
from nlpgen.reading.example import QAExample

SHOWN = 5
NO_ANSWER = "no_answer"  # as WebQA writes it


class QAExamples(list):
    """A list of `QAExample`.

    Attributes:
        problems: what of the file could not be used: `"file:line: what is wrong"`.
    """

    problems = ()


def read_qa(path):
    """Read the questions of a file, whatever its form.

    - SQuAD's, also of DRCD, XQuAD, CJRC and DuReader-robust: `{"data": [{"paragraphs": [{"context", "qas"}]}]}`;
    - CMRC 2018's own: `[{"context_text", "qas": [{"query_text", "answers"}]}]`;
    - WebQA's: `{id: {"question", "evidences": {id: {"answer", "evidence"}}}}`;
    - bert4keras' WebQA and SogouQA: `[{"question", "passages": [{"passage", "answer"}]}]`;
    - JSON lines, or a list, of the last, of `{"question", "passages", "answers"}`, or of Hugging Face's `{"question",
      "context", "answers"}`; these may say `answer`, too.

    Answers are a string, a list of strings or of `{"text"}`, or `{"text": [strings]}`. Offsets of them are not read: an
    answer is wherever it occurs. A question is unanswerable by an empty list or empty strings, or by `is_impossible`
    where no answers are given; where both answers and `is_impossible` are, as in 231 of CJRC's rows, the answers count.
    Without either, the answers are not known.

    Args:
        path: the file, in UTF-8.

    Returns:
        `QAExamples`, in the order of the file.

    Raises:
        InputError: if the file cannot be read, is no JSON, is of no such form, or none of its questions can be used.

    Warns:
        InputWarning: with the number of questions that were left out, and file and line of the first.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"`path` must be a file of questions. Received: {path!r:.80}")
    path = Path(os.path.expanduser(path))
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Give a file of questions.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}). Save it as UTF-8.") from None
    found = list(_records(path, text, json.loads))
    if any(isinstance(made, str) for _, made in found):
        located = _Located()
        found = list(_records(path, text, located.decode))
        problems = [f"{path}:{located.line(record)}: {made}" for record, made in found if isinstance(made, str)]
    else:
        problems = []
    examples = QAExamples(made for _, made in found if isinstance(made, QAExample))
    examples.problems = problems
    if problems or not examples:
        rest = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        message = f"{path}: {len(problems)} of {len(found)} questions cannot be used:\n  "
        message += "\n  ".join(problems[:SHOWN] + rest)
        if not examples:
            raise InputError(message if problems else f"{path} has no questions. Give a file with some.")
        warnings.warn(f"{message}\nThey were left out; all are in `problems`.", InputWarning, stacklevel=2)
    return examples


def _records(path, text, parse):
    """`(where, QAExample or what is wrong with it)`; where is a line, or an object or list that stands in the file."""
    if not text.strip():
        return
    try:
        value = parse(text)
    except (ValueError, RecursionError) as error:
        lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
        of_lines = len(lines) > 1 and (_is_object(lines[0][1]) or _is_object(lines[1][1]))
        if isinstance(error, RecursionError) or not of_lines:
            line = getattr(error, "lineno", 1)
            raise InputError(f"{path}:{line}: {_no_json(error)}. Mend the file there.") from None
        for number, line in lines:
            yield from _line(number, line)
        return
    if isinstance(value, dict) and "data" in value:
        yield from _squad(value)
    elif isinstance(value, dict) and "question" in value:
        yield value, _of_passages(value)
    elif isinstance(value, dict) and (not value or any(_is_of_webqa(each) for each in value.values())):
        for name, each in value.items():
            yield _innermost(value, each), _of_evidences(each, name)
    elif isinstance(value, list):
        for each in value:
            is_article = isinstance(each, dict) and not {"qas", "context_text"}.isdisjoint(each)
            yield from _cmrc(each) if is_article else [(_innermost(value, each), _of_passages(each))]
    else:
        raise InputError(
            f"{path} is of no form that is known: expected a list, or an object with `data`, with `question`, or of "
            f"objects with `evidences`. Received: {_shown(value)}. See `read_qa` for the forms."
        )


def _line(number, line):
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        yield number, _no_json(error)
        return
    yield number, _of_passages(value)


def _squad(value):
    articles = value["data"]
    for article in articles if isinstance(articles, list) else [articles]:
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            where = _innermost(value, articles, article)
            yield where, f"an article must have `paragraphs`, a list. Received: {_shown(article)}"
            continue
        for paragraph in paragraphs:
            yield from _questions(paragraph, paragraphs, "context", "question", "id", article.get("domain", ""))


def _cmrc(article):
    context = "context_text" if "context_text" in article else "context"
    yield from _questions(article, article, context, "query_text", "query_id")


def _questions(paragraph, around, context, question, name, group=""):
    rows = paragraph.get("qas") if isinstance(paragraph, dict) else None
    if not isinstance(rows, list) or context not in paragraph:
        where = _innermost(around, paragraph)
        yield where, f"a paragraph must have `{context}`, and `qas`, a list. Received: {_shown(paragraph)}"
        return
    for row in rows:
        if not isinstance(row, dict) or question not in row:
            yield _innermost(rows, row), f"a question must have `{question}`. Received: {_shown(row)}"
            continue
        yield row, _example(row, row[question], [paragraph[context]], row.get("answers"), row.get(name, ""), group)


def _of_passages(row):
    if not isinstance(row, dict) or "question" not in row or {"passages", "context"}.isdisjoint(row):
        return f"a question must have `question`, and `passages` or `context`. Received: {_shown(row)}"
    passages, answers = row.get("passages", row.get("context")), row.get("answers", row.get("answer"))
    if isinstance(passages, list) and passages and all(isinstance(each, dict) for each in passages):
        with_answer = sum("answer" in each for each in passages)
        if answers is None and with_answer == len(passages):
            answers = _answers(each["answer"] for each in passages)
        elif answers is None and with_answer:
            return f"all passages must have `answer`, or none; {with_answer} of {len(passages)} have it"
        passages = [each.get("passage", each) for each in passages]
    return _example(row, row["question"], passages, answers, row.get("id", ""))


def _is_of_webqa(row):
    return isinstance(row, dict) and "evidences" in row


def _of_evidences(row, name):
    evidences = row.get("evidences") if isinstance(row, dict) else None
    if not isinstance(evidences, dict) or not all(isinstance(each, dict) for each in evidences.values()):
        return f"a question must have `evidences`, an object of objects. Received: {_shown(row)}"
    passages = [each.get("evidence", each) for each in evidences.values()]
    answers = _answers(each.get("answer") for each in evidences.values())
    return _example(row, row.get("question"), passages, answers, name)


def _answers(values):
    """Those of all passages, each once; a value is one, a list of some, or none."""
    found = []
    for value in map(_texts, values):
        for each in value if isinstance(value, list) else [value]:
            if each not in (None, "", NO_ANSWER, *found):
                found.append(each)
    return found


def _texts(answers):
    """Answers without what else is said of them."""
    if isinstance(answers, dict):
        answers = answers.get("text")
    if isinstance(answers, list):
        answers = [each.get("text") if isinstance(each, dict) else each for each in answers]
    return answers


def _example(row, question, passages, answers, name, group=""):
    answers = _texts(answers)
    if answers is None and str(row.get("is_impossible")).lower() in ("true", "1"):
        answers = []
    if isinstance(passages, str):
        passages = [passages]
    if isinstance(answers, str):
        answers = [answers]
    if isinstance(answers, list):  # CMRC's own file has numbers, which its scorer makes strings
        answers = [str(each) if _is_number(each) else each for each in answers]
    if not isinstance(question, str) or not question.strip():
        return f"the question must be a string that is not empty. Received: {question!r:.80}"
    if not isinstance(passages, list) or not all(isinstance(each, str) for each in passages):
        return f"passages must be strings. Received: {passages!r:.80}"
    if answers is not None and not (isinstance(answers, list) and all(isinstance(each, str) for each in answers)):
        return f"answers must be strings. Received: {answers!r:.80}"
    if answers and not any(each.strip() for each in answers) and not group:
        answers = []
    return QAExample(question, passages, answers, str(name), str(group))


def _is_number(value):
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _is_object(line):
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _no_json(error):
    if isinstance(error, RecursionError):
        return "not JSON that can be read: nested too deep"
    if not isinstance(error, json.JSONDecodeError):
        return f"not JSON that can be read: {error}"
    return f"not JSON: {error.msg} (column {error.colno})"


def _shown(value):
    """An object by its keys."""
    return f"an object with the keys {list(value)}"[:200] if isinstance(value, dict) else f"{value!r:.80}"


def _innermost(*values):
    """The last that is an object or a list: others do not know where they stand."""
    return [value for value in values if isinstance(value, dict | list)][-1]


class _Located(json.JSONDecoder):
    """JSON that knows on which line objects and lists begin: slower, so for files with something wrong only."""

    def __init__(self):
        super().__init__()
        self._begins, self._text = {}, ""
        self.parse_object, self.parse_array = self._noted(decoder.JSONObject), self._noted(decoder.JSONArray)
        self.scan_once = scanner.py_make_scanner(self)

    def decode(self, text):
        self._text = text
        return super().decode(text)

    def line(self, where):
        """The line of an object or a list of the file, or that line itself."""
        if isinstance(where, int):
            return where
        return self._text.count("\n", 0, self._begins[id(where)]) + 1

    def _noted(self, parse):
        def noted(text_and_end, *args):
            value, end = parse(text_and_end, *args)
            self._begins[id(value)] = text_and_end[1]
            return value, end

        return noted
