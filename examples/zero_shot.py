"""Sort texts by topic without a single label.

    python examples/zero_shot.py

Asks the embedded bert-tiny-zh cloze questions about examples/data/topics.tsv (our own writing). Label words have
any length, several stand for one label, several patterns vote, and what they say of every text is taken out. Nothing is
drawn at random; it prints

    topics, calibration None: accuracy 0.33 on 66 texts, no labels
    topics, calibration unlabeled: accuracy 0.74 on 66 texts, no labels
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nlpgen import MaskedLM, PETClassifier
from nlpgen.data import read_labelled

DATA = Path(__file__).parent / "data"
PATTERNS = ["这是一则[MASK]新闻。{text}", "{text}（[MASK]频道）"]
NEW = ["门将受伤，下一场比赛不能上场。", "汤里多放一点胡椒更暖和。", "银行的存款利率又降了。"]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bert-tiny-zh", help="an embedded model or a folder")
    options = parser.parse_args(arguments)
    console, mlm = Console(), MaskedLM.from_pretrained(options.model)

    topics = read_labelled(DATA / "topics.tsv")
    words = {"体育": ["体育", "足球", "比赛"], "饮食": ["饮食", "美食", "菜"], "财经": ["财经", "股票", "经济"]}
    for calibration in (None, "unlabeled"):  # what the patterns say of every text is taken out
        pet = PETClassifier(mlm, PATTERNS, words, calibration=calibration)
        if calibration:
            pet.calibrate(topics.texts)
        accuracy = pet.score(topics.texts, topics.labels)
        console.print(f"topics, calibration {calibration}: accuracy {accuracy:.2f} on {len(topics)} texts, no labels")
    table = Table("text", *words, title="New sentences")
    for text, row in zip(NEW, pet.predict_proba(NEW), strict=True):
        table.add_row(text, *(f"{p:.2f}" for p in row))
    console.print(table)


if __name__ == "__main__":
    main()
