"""What a reader got wrong, with the passages, as one HTML file."""

import html
import os
import re
import tempfile
from numbers import Integral
from pathlib import Path

from nlpgen.errors import InputError, OutputError
from nlpgen.metrics import question_scores
from nlpgen.reading.decoding import Answer
from nlpgen.reading.evaluation import answer_scores
from nlpgen.reading.example import check_examples
from nlpgen.reading.windows import matchable

CONTEXT = 120  # characters on either side of what is shown of a passage
LABELS = {"ece": "ece (0 to 1)"}  # all others but `questions` are percents

PAGE = """<!doctype html>
<html lang="zh">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 16px/1.7 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; margin-bottom: 2rem }}
td, th {{ padding: .1rem 1rem .1rem 0; text-align: left }}
section {{ border-top: 1px solid #ccc; padding: .5rem 0 }}
mark.found {{ background: #ffd7d0 }}
mark.right {{ background: #cdebcd }}
mark.both {{ background: #e4e4a0 }}
small {{ color: #666 }}
</style>
<h1>{title}</h1>
<p>{intro}</p>
<table>{scores}</table>
<p><mark class="found">found</mark> <mark class="right">right</mark> <mark class="both">both</mark></p>
{sections}
</html>
"""


def write_report(path, examples, answers, metric="cmrc2018", most=200, title="Reading comprehension: errors"):
    """Write the questions that were not answered exactly, the worst first.

    Args:
        path: the file, replaced if there; what was there stays until all is written.
        examples: a list of `QAExample`.
        answers: the `Answer` of each.
        metric: see `Reader.evaluate`.
        most: how many questions.
        title: of the page.

    Returns:
        The scores, as `Reader.evaluate` gives them.

    Raises:
        InputError: if there are not as many answers as examples, or an argument is wrong.
        OutputError: if the file cannot be written.
    """
    examples, answers = check_examples(examples), list(answers)
    if len(examples) != len(answers):
        raise InputError(f"Got {len(examples)} examples and {len(answers)} answers. Give as many of both.")
    if strange := [each for each in answers if not isinstance(each, Answer)]:
        raise InputError(f"`answers` must be what `answer_batch` gives. Received: {strange[0]!r:.80}")
    if not isinstance(most, Integral) or most < 0:
        raise InputError(f"`most` must be a whole number, 0 or more. Received: {most!r}")
    scores = answer_scores(examples, answers, metric)
    pairs = [(question_scores(a.text, e.answers, metric), e, a) for e, a in zip(examples, answers, strict=True)]
    wrong = sorted((pair for pair in pairs if pair[0][0] < 1), key=lambda pair: (pair[0][1], -pair[2].score))
    groups = scores.get("groups", {})
    named = [(name, value) for name, value in scores.items() if name != "groups"]
    named += [(f"{group or '(none)'}: {name}", x) for group, each in groups.items() for name, x in each.items()]
    rows = "".join(
        f"<tr><th>{html.escape(LABELS.get(name, name))}</th><td>{value:.2f}</td></tr>" for name, value in named
    )
    page = PAGE.format(
        title=html.escape(title),
        intro=f"{len(wrong)} of {len(examples)} questions are not answered exactly ({metric}); at most {most} shown.",
        scores=rows,
        sections="\n".join(_section(*pair) for pair in wrong[:most]),
    )
    path = Path(os.path.expanduser(path))
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".report.") as work:
            written = Path(work, "report.html")
            written.write_text(page, encoding="utf-8", errors="replace")
            os.replace(written, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Give another place.") from None
    return scores


def _section(scores, example, answer):
    right = "；".join(dict.fromkeys(example.targets)) or "(no answer)"
    alternatives = "，".join(f"{html.escape(each.text)} {each.score:.2f}" for each in answer.alternatives)
    shown = [_passage(example, answer, i) for i in _shown(example, answer)]
    return (
        f"<section><b>{html.escape(example.question)}</b> <small>{html.escape(example.id)}</small><br>"
        f"found: {html.escape(answer.text) or '(no answer)'} "
        f"<small>score {answer.score:.2f}, F1 {scores[1]:.2f}</small><br>"
        f"right: {html.escape(right)}"
        + (f"<br><small>also: {alternatives}</small>" if alternatives else "")
        + "".join(f"<p>{text}</p>" for text in shown)
        + "</section>"
    )


def _shown(example, answer):
    """The passages with the found answer and with a right one."""
    right = [i for i, text in enumerate(example.passages) if _places(text, example.targets)][:1]
    found = [] if answer.passage is None else [answer.passage]
    return dict.fromkeys([*found, *right]) or range(min(1, len(example.passages)))


def _places(text, answers):
    """`(start, end)` of the answers in a text, wherever they stand."""
    if not answers:
        return []
    wanted = sorted((re.escape(matchable(answer.strip())) for answer in answers), key=len, reverse=True)
    return [match.span(1) for match in re.finditer(f"(?=({'|'.join(wanted)}))", matchable(text))]


def _passage(example, answer, index):
    """A passage with its answers marked, cut around them."""
    text = example.passages[index]
    kinds = [""] * len(text)
    for start, end in _places(text, example.targets):
        kinds[start:end] = ["right"] * (end - start)
    if index == answer.passage:
        for i in range(answer.start, answer.end):
            kinds[i] = "both" if kinds[i] else "found"
    marked = [i for i, kind in enumerate(kinds) if kind] or [0]
    begin, end = max(0, marked[0] - CONTEXT), min(len(text), marked[-1] + 1 + CONTEXT)
    parts, at = ["…" if begin else ""], begin
    while at < end:
        stop = next((i for i in range(at, end) if kinds[i] != kinds[at]), end)
        piece = html.escape(text[at:stop])
        parts.append(f'<mark class="{kinds[at]}">{piece}</mark>' if kinds[at] else piece)
        at = stop
    return "".join(parts) + ("…" if end < len(text) else "")
