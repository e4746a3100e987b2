"""Teach a pretrained model to sort sentences by topic.

    python examples/text_classification.py

Fine-tunes the embedded bert-tiny-zh on the first sentences of examples/data/topics.tsv (our own writing) and tests it
on the last ones, in about a minute. Your own data is one argument away: --data FILE, a text, a tab and a label on each
line; so is a larger checkpoint: --model FOLDER.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nlpgen import MaskedLM, TextClassifier

TOPICS = Path(__file__).parent / "data" / "topics.tsv"
NEW = ["门将受伤，下一场比赛不能上场。", "汤里多放一点胡椒更暖和。", "银行的存款利率又降了。"]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bert-tiny-zh", help="an embedded model or a folder")
    parser.add_argument("--data", default=TOPICS, type=Path, help="text, tab, label on each line")
    parser.add_argument("--epochs", default=8, type=int)
    parser.add_argument("--learning-rate", default=5e-4, type=float, help="5e-4 suits a tiny model, 3e-5 a large one")
    parser.add_argument("--save", help="a folder for the trained classifier")
    options = parser.parse_args(arguments)
    console = Console()

    lines = [line.split("\t") for line in options.data.read_text(encoding="utf-8").splitlines()]
    texts, labels = [text for text, _ in lines], [label for _, label in lines]
    cut = len(lines) * 7 // 10

    classifier = TextClassifier(
        MaskedLM.from_pretrained(options.model),
        pooling="mean",
        epochs=options.epochs,
        batch_size=8,
        learning_rate=options.learning_rate,
        verbose=True,
    )
    classifier.fit(texts[:cut], labels[:cut])

    table = Table("text", *classifier.classes_, title="New sentences")
    for text, row in zip(NEW, classifier.predict_proba(NEW), strict=True):
        table.add_row(text, *(f"{p:.2f}" for p in row))
    console.print(table)
    console.print(
        f"accuracy {classifier.score(texts[cut:], labels[cut:]):.2f} on {len(texts) - cut} texts, after {cut} examples"
    )
    if options.save:
        classifier.save_pretrained(options.save)
        console.print(f"saved; load it with TextClassifier.from_pretrained({options.save!r})")


if __name__ == "__main__":
    main()
