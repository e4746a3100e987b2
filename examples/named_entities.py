"""Teach a pretrained model to find people and places.

    python examples/named_entities.py

Fine-tunes the embedded bert-tiny-zh on sentences made of the patterns and names in examples/data/entities.txt
(our own writing), and tests it on other patterns with other names, in about a minute. Such sentences are easier
than real ones; the example shows the way, not what a model can reach. --decoder takes crf, softmax, global_pointer or
efficient_global_pointer.
"""

import argparse
import re
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from nlpgen import MaskedLM, TokenClassifier

SENTENCES = Path(__file__).parent / "data" / "entities.txt"
NEW = ["钱学森出生在上海。", "下个星期李晓梅要去贵州旅行。", "广西的米粉很有名。"]


def sentences(patterns, people, places, count, seed):
    """Fill the slots of patterns at random: texts, and for each its entities `(start, end, label)`."""
    generator, texts, entities = np.random.default_rng(seed), [], []
    names = {"人": people, "地": places}
    for _ in range(count):
        text, found = "", []
        for piece in re.split(r"(\{.\})", str(generator.choice(patterns))):
            label = piece.strip("{}")
            if label in names:
                piece = str(generator.choice(names[label]))
                found.append((len(text), len(text) + len(piece), label))
            text += piece
        texts.append(text)
        entities.append(found)
    return texts, entities


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bert-tiny-zh", help="an embedded model or a folder")
    parser.add_argument("--decoder", default="crf")
    parser.add_argument("--sentences", default=240, type=int, help="to learn from")
    parser.add_argument("--epochs", default=4, type=int)
    parser.add_argument("--learning-rate", default=5e-4, type=float, help="5e-4 suits a tiny model, 3e-5 a large one")
    options = parser.parse_args(arguments)
    console = Console()

    parts = [part.split() for part in SENTENCES.read_text(encoding="utf-8").split("---")]
    train = sentences(*parts[:3], options.sentences, seed=0)
    test = sentences(*parts[3:], 60, seed=1)

    tagger = TokenClassifier(
        MaskedLM.from_pretrained(options.model),
        options.decoder,
        epochs=options.epochs,
        batch_size=16,
        learning_rate=options.learning_rate,
        verbose=True,
    )
    tagger.fit(*train)

    table = Table("sentence", "entities", title="New sentences")
    for text, found in zip(NEW, tagger.predict(NEW), strict=True):
        table.add_row(text, "  ".join(f"{e.text} ({e.label}, {e.start}–{e.end})" for e in found))
    console.print(table)
    console.print(f"{tagger.evaluate(*test)}, with patterns and names that were not learned")


if __name__ == "__main__":
    main()
