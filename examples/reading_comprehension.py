"""Answer questions from a text, with the place and the probability of each answer, and that of none.

    python examples/reading_comprehension.py

Uses the embedded reader-tiny-zh, which makes many mistakes and always answers; one of your own is trained as
examples/train_reading.py shows. The text is examples/data/village.txt, our own writing; `--text` reads another file, or
the files of a folder, and questions are further arguments.
"""

import argparse
from pathlib import Path

from nlpgen import MLMReader
from nlpgen.errors import InputError
from nlpgen.reading.documents import read_documents

TEXT = Path(__file__).parent / "data" / "village.txt"
QUESTIONS = [
    "白沙镇有多少人？",
    "镇上的小学建于哪一年？",
    "小学的校长叫什么名字？",
    "开渔节在什么时候举行？",
    "海堤有多长？",
    "白沙镇最有名的特产是什么？",
    "图书馆几点开门？",
]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", default=QUESTIONS)
    parser.add_argument("--reader", default="reader-tiny-zh", help="an embedded reader, or a folder")
    parser.add_argument("--text", type=Path, default=TEXT, help="a file in UTF-8, or a folder of .txt and .md files")
    parser.add_argument("--top-k", type=int, default=2, help="answers that are shown of each question")
    options = parser.parse_args(arguments)

    try:
        documents = read_documents(options.text)
    except InputError as error:
        raise SystemExit(str(error)) from None
    passages = [document.text for document in documents]
    reader = MLMReader.load(options.reader)
    print(*passages, sep="\n")
    pairs = [(question, passages) for question in options.questions]
    for question, answer in zip(options.questions, reader.answer_batch(pairs, options.top_k), strict=True):
        none = "" if answer.no_answer is None else f"  no answer {answer.no_answer:.2f}"  # None: vote="bert4keras"
        print(f"\n{question}{none}")
        for each in [answer, *answer.alternatives]:
            if each.text:
                assert passages[each.passage][each.start : each.end] == each.text
                print(f"  {each.text}  {each.score:.2f}, passage {each.passage}, {each.start}–{each.end}")


if __name__ == "__main__":
    main()
