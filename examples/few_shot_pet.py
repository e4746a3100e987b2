"""Learn to tell good reviews from bad ones from 32 labels, with PET.

    python examples/few_shot_pet.py

Trains a copy of the embedded bert-tiny-zh for each of two patterns on examples/data/reviews_train.tsv and lets both
vote on examples/data/reviews.tsv (our own writing). Your own data: --train FILE --test FILE, a text, a tab and a
label on each line, with the words for your labels in WORDS. With seed 0 it prints

    no labels: accuracy 0.54 on 24 texts
    32 labels: accuracy 0.92
"""

import argparse
from pathlib import Path

from nlpgen import MaskedLM, PETClassifier
from nlpgen.data import read_labelled

DATA = Path(__file__).parent / "data"
PATTERNS = ["[MASK]满意。{text}", "[MASK]好。{text}"]
WORDS = {"正面": ["很", "真"], "负面": ["不", "太不"]}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bert-tiny-zh", help="an embedded model or a folder")
    parser.add_argument("--train", default=DATA / "reviews_train.tsv", type=Path)
    parser.add_argument("--test", default=DATA / "reviews.tsv", type=Path)
    parser.add_argument("--epochs", default=10, type=int)
    parser.add_argument("--learning-rate", default=2e-4, type=float, help="2e-4 suits a tiny model, 2e-5 a large one")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--save", help="a folder for the trained classifier")
    options = parser.parse_args(arguments)

    train, test = read_labelled(options.train), read_labelled(options.test)
    pet = PETClassifier(
        MaskedLM.from_pretrained(options.model),
        PATTERNS,
        WORDS,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        seed=options.seed,
    )
    print(f"no labels: accuracy {pet.score(test.texts, test.labels):.2f} on {len(test)} texts")
    pet.fit(train.texts, train.labels)
    print(f"{len(train)} labels: accuracy {pet.score(test.texts, test.labels):.2f}")
    if options.save:
        pet.save(options.save)
        print(f"saved; load it with PETClassifier.load({options.save!r})")


if __name__ == "__main__":
    main()
