"""What scoring label words costs: seconds a text against the number of classes, and of distinct lengths.

    python benchmarks/label_words.py --texts FILE

Zero-shot PET of the embedded model on 200 texts, at most 64 tokens; words are those of the iflytek preset, and for as
many classes of one length the pairs of neighbouring characters in them. Cases take turns, the table has medians of the
rounds and their ratio to two classes of one length.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from machine import machine

from nlpgen import MaskedLM, PETClassifier
from nlpgen.prompts import load_preset

PATTERN = "[MASK]类应用。{text}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, default="examples/data/reviews.tsv", help="a text a line, up to a tab")
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    lines = [line.split("\t")[0] for line in options.texts.read_text(encoding="utf-8").split("\n") if line.strip()]
    texts = [lines[i % len(lines)] for i in range(options.count)]
    mlm = MaskedLM.from_pretrained(options.model)
    names = sorted(load_preset("iflytek").verbalizer, key=lambda name: len(mlm.tokenizer.ids(name)))
    of_length = {}
    for name in names:
        of_length.setdefault(len(mlm.tokenizer.ids(name)), []).append(name)
    pairs = list(dict.fromkeys(name[i : i + 2] for name in names for i in range(len(name) - 1) if name.isalpha()))
    pairs = [pair for pair in pairs if len(mlm.tokenizer.ids(pair)) == 2]
    cases = {f"{n} classes of 2 tokens": pairs[:n] for n in (2, 15, 60, len(names))}
    lengths = sorted(of_length)
    for k in range(2, len(lengths) + 1):
        cases[f"{k} classes of {k} lengths"] = [of_length[length][0] for length in lengths[:k]]
    cases[f"all {len(names)} classes, {len(lengths)} lengths"] = names
    pets = {
        case: PETClassifier(mlm, PATTERN, {word: word for word in words}, max_length=64)
        for case, words in cases.items()
    }
    for pet in pets.values():
        pet.predict_proba(texts)  # compiles
    seconds = {case: [] for case in cases}
    for _ in range(options.rounds):
        for case, pet in pets.items():
            begin = time.perf_counter()
            pet.predict_proba(texts)
            seconds[case].append(time.perf_counter() - begin)
    base = np.median(seconds[next(iter(cases))])
    print(f"{machine('tensorflow', 'keras')}; {options.model}, {len(texts)} texts, {options.rounds} rounds.\n")
    print("| words | ms a text | against 2 classes | clozes a text |\n|---|---|---|---|")
    for case, pet in pets.items():
        (scorer,) = pet._scorers()
        median = np.median(seconds[case])
        print(f"| {case} | {1000 * median / len(texts):.2f} | {median / base:.2f}× | {len(scorer.plan.fills)} |")


if __name__ == "__main__":
    main()
