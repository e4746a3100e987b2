"""Pairs of texts: do two questions ask the same?

    python examples/pair_classification.py

Trains PET on the first 24 pairs of examples/data/pairs.tsv (our own writing) and tests it on the last 8. The
fields of the patterns are the columns of the file; in one of them the masked word stands between the two questions.
With seed 0 it prints

    no labels: accuracy 0.38 on 8 pairs
    24 labels: accuracy 0.62
"""

import argparse
from pathlib import Path

from nlpgen import MaskedLM, PETClassifier
from nlpgen.data import read_labelled

PAIRS = Path(__file__).parent / "data" / "pairs.tsv"
PATTERNS = ["“{text}”和“{text_b}”意思[MASK]同。", "{text}？[MASK]，{text_b}？"]
WORDS = {"相同": ["相", "对"], "不同": ["不", "错"]}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bert-tiny-zh", help="an embedded model or a folder")
    parser.add_argument("--data", default=PAIRS, type=Path, help="text, tab, second text, tab, label on each line")
    parser.add_argument("--epochs", default=15, type=int)
    parser.add_argument("--learning-rate", default=3e-4, type=float, help="3e-4 suits a tiny model, 2e-5 a large one")
    parser.add_argument("--seed", default=0, type=int)
    options = parser.parse_args(arguments)

    data = read_labelled(options.data)
    cut = len(data) * 3 // 4
    train, test = data[:cut], data[cut:]
    pet = PETClassifier(
        MaskedLM.from_pretrained(options.model),
        PATTERNS,
        WORDS,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        seed=options.seed,
    )
    print(f"no labels: accuracy {pet.score(test.columns, test.labels):.2f} on {len(test)} pairs")
    pet.fit(train.columns, train.labels)
    print(f"{len(train)} labels: accuracy {pet.score(test.columns, test.labels):.2f}")
    print(pet.predict({"text": "这里能刷卡吗", "text_b": "可以用卡付钱吗"}))


if __name__ == "__main__":
    main()
