"""Unlabelled texts beside a few labelled ones: auxiliary loss, iPET, and a distilled classifier.

    python examples/semi_supervised.py

Learns from examples/data/reviews_train.tsv (32 labels) and reviews_unlabeled.txt (30 texts), tests on reviews.tsv (our
own writing). With --unlabeled FILE of your own, a text a line, it has more to learn from. With seed 0 it prints

    unlabelled texts alone: accuracy 0.54 on 24 texts
    labelled and unlabelled: accuracy 0.88 on 24 texts
    the same, iPET, distilled: accuracy 0.88 on 24 texts
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
    parser.add_argument("--unlabeled", default=DATA / "reviews_unlabeled.txt", type=Path)
    parser.add_argument("--epochs", default=8, type=int)
    parser.add_argument("--learning-rate", default=2e-4, type=float, help="2e-4 suits a tiny model, 2e-5 a large one")
    parser.add_argument("--seed", default=0, type=int)
    options = parser.parse_args(arguments)

    train, test = read_labelled(options.train), read_labelled(options.test)
    unlabeled = [line for line in options.unlabeled.read_text(encoding="utf-8").split("\n") if line.strip()]
    mlm = MaskedLM.from_pretrained(options.model)
    settings = {"epochs": options.epochs, "learning_rate": options.learning_rate, "seed": options.seed}
    pet = PETClassifier(mlm, PATTERNS, WORDS, **settings)
    runs = {
        "unlabelled texts alone": ({"mlm_weight": 1.0}, ([], [])),
        "labelled and unlabelled": ({"mlm_weight": 0.1}, (train.texts, train.labels)),
        "the same, iPET, distilled": ({"generations": 1, "distill": True}, (train.texts, train.labels)),
    }
    for name, (further, labelled) in runs.items():
        pet.set_params(**further).fit(*labelled, unlabeled=unlabeled)
        print(f"{name}: accuracy {pet.score(test.texts, test.labels):.2f} on {len(test)} texts", flush=True)


if __name__ == "__main__":
    main()
