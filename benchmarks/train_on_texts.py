"""Teach a reader to find answers from plain texts alone; few labelled questions go further then.

    python benchmarks/train_on_texts.py --texts A.txt B.txt.xz --work FOLDER --save FOLDER

The files (plain or xz) have a sentence, a paragraph or a text in a line; nothing that readers are tested on later may
be among them. Each text gives a cloze question, and one of a recurring span if it has any. The run is kept in `--work`
after each epoch. What is saved is a reader and a `MaskedLM`, so that any reader can be trained from it:
`benchmarks/reading.py --model FOLDER`.
"""

import argparse
import lzma
import random
from pathlib import Path

from machine import machine

from nlpgen import MaskedLM, MLMReader
from nlpgen.reading import cloze_questions, recurring_spans


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="+", required=True, type=Path)
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--work", required=True)
    parser.add_argument("--save", required=True)
    parser.add_argument("--count", type=int, default=48_000, help="texts")
    parser.add_argument("--length", type=int, default=160, help="lines are joined to texts of so many characters")
    parser.add_argument("--valid", type=int, default=500, help="questions that are held out")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--passage-length", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    texts = [text for path in options.texts for text in joined(read(path), options.length)]
    random.Random(options.seed).shuffle(texts)
    texts = texts[: options.count]
    examples = cloze_questions(texts, seed=options.seed) + recurring_spans(texts, seed=options.seed)
    random.Random(options.seed).shuffle(examples)
    held_out, examples = examples[: options.valid], examples[options.valid :]
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
    found = reader.set_params(threshold=0.0).evaluate(held_out)  # all have an answer
    print(f"held out: EM {found['exact_match']:.2f}, F1 {found['f1']:.2f} of {len(held_out)}")
    print(machine("tensorflow", "keras"))


def read(path):
    """The lines of a file."""
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as file:
        return [line.strip() for line in file]


def joined(lines, length):
    """Texts of as many lines in a row as it takes to have so many characters; what is left at the end is no text."""
    text = ""
    for line in lines:
        text += line
        if len(text) >= length:
            yield text
            text = ""


if __name__ == "__main__":
    main()
