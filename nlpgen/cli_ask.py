"""`nlpgen ask`: a question to a folder of texts."""

import json

from nlpgen.cli_options import count
from nlpgen.errors import ConfigError, InputError
from nlpgen.reading import MLMReader, Retriever
from nlpgen.reading.documents import read_documents

CONTEXT = 30  # characters shown on either side of the answer


def add_ask(verbs):
    """Add the verb to the parsers of `nlpgen`."""
    verb = verbs.add_parser("ask", help="answer a question from a folder of text files")
    verb.add_argument("folder", help="a folder of .txt and .md files in UTF-8, or one file")
    verb.add_argument("question", nargs="+", help="a question or several, each in quotes")
    verb.add_argument(
        "--reader", default="reader-tiny-zh", help="a folder that MLMReader.save wrote, or an embedded reader"
    )
    verb.add_argument("--passages", type=count, default=5, metavar="N", help="passages that are read (default 5)")
    verb.add_argument("--top-k", type=count, default=1, metavar="K", help="answers that are shown (default 1)")
    verb.add_argument("--json", action="store_true", help="print JSON lines")
    verb.set_defaults(run=_ask)


def _ask(options):
    documents = read_documents(options.folder)
    retriever = Retriever([document.text for document in documents])
    try:
        reader = MLMReader.load(options.reader)
    except ConfigError as error:
        raise InputError(f"{error} --reader must be an MLMReader.") from None
    found = retriever.search_batch(options.question, options.passages)
    pairs = [(question, [hit.text for hit in hits]) for question, hits in zip(options.question, found, strict=True)]
    for question, hits, answer in zip(options.question, found, reader.answer_batch(pairs, options.top_k), strict=True):
        rows = [_row(each, documents, hits) for each in [answer, *answer.alternatives] if each.text]
        if options.json:
            about = {"question": question, "answer": answer.text, "no_answer": answer.no_answer, "passages": len(hits)}
            print(json.dumps(about | {"answers": rows}, ensure_ascii=False))
            continue
        lines = [
            f"{_flat(row['text'])}  {row['score']:.2f}  {row['file']}:{row['line']}  {_flat(row['context'])}"
            for row in rows
        ]
        none = "" if answer.no_answer is None else f"  {answer.no_answer:.2f}"
        if not answer.text:
            lines.insert(0, f"(no answer){none}" if hits else "(nothing found)")
        elif none:
            lines.append(f"(no answer){none}")
        print(_flat(question), *lines, sep="\n  ")


def _row(answer, documents, hits):
    document = documents[hits[answer.passage].index]
    text = document.text
    begin, end = max(0, answer.start - CONTEXT), answer.end + CONTEXT
    marked = f"{text[begin : answer.start]}【{answer.text}】{text[answer.end : end]}"
    return {
        "text": answer.text,
        "score": round(answer.score, 6),
        "file": str(document.path),
        "line": document.line + text.count("\n", 0, answer.start),
        "context": marked.replace("\n", " "),
    }


def _flat(text):
    """A text on one line."""
    return " ".join(text.split())
