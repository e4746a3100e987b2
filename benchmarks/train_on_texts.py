"""Teach a reader to find answers from plain texts alone, by recurring spans; few labelled questions go further then.

    python benchmarks/train_on_texts.py --texts A.txt B.txt.xz --work FOLDER --save FOLDER

Each line of the files (plain or xz) is a text; nothing that readers are tested on later may be among them. The run is
kept in `--work` after each epoch. What is saved is a reader and a `MaskedLM`, so that any reader can be trained from
it: `benchmarks/reading.py --model FOLDER`.
"""

import argparse
import lzma
import random
from pathlib import Path

from machine import machine

from nlpgen import MaskedLM, MLMReader
from nlpgen.reading import recurring_spans


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="+", required=True, type=Path)
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--work", required=True)
    parser.add_argument("--save", required=True)
    parser.add_argument("--count", type=int, default=48_000, help="texts")
    parser.add_argument("--shortest", type=int, default=60, help="characters of a text")
    parser.add_argument("--longest", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--passage-length", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    texts = [text for path in options.texts for text in read(path) if options.shortest <= len(text) <= options.longest]
    random.Random(options.seed).shuffle(texts)
    texts = texts[: options.count]
    examples = recurring_spans(texts, seed=options.seed)
    held_out, examples = examples[:500], examples[500:]
    print(f"{len(texts)} texts, {len(examples)} questions to train on", flush=True)
    reader = MLMReader(
        MaskedLM.from_pretrained(options.model),
        passage_length=options.passage_length,
        stride=options.passage_length // 2,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        seed=options.seed,
        verbose=True,
    )
    reader.fit(examples, state=options.work)
    reader.set_params(verbose=False).save(options.save)
    found = reader.evaluate(held_out)
    print(f"held out: EM {found['exact_match']:.2f}, F1 {found['f1']:.2f} of {len(held_out)}")
    print(machine("tensorflow", "keras"))


def read(path):
    """The lines of a file."""
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as file:
        return [line.strip() for line in file]


if __name__ == "__main__":
    main()
