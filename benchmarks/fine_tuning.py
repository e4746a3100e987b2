"""Accuracy of `TextClassifier` after few hundred examples of the sentiment set of Su's PET post.

    python benchmarks/fine_tuning.py --model bert-tiny-zh --data FOLDER

FOLDER holds `sentiment/sentiment.{train,valid,test}.data`, which nlpgen may not ship. The examples are drawn by seed;
the best epoch on 200 validation texts is tested on 500 others. 5e-4 is a learning rate for tiny models.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np

from nlpgen import MaskedLM, TextClassifier


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--poolings", default="cls,mean")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    train, valid, test = (
        drawn(options.data / "sentiment" / f"sentiment.{part}.data", count)
        for part, count in (("train", options.examples), ("valid", 200), ("test", 500))
    )
    masked_lm = MaskedLM.from_pretrained(options.model)
    print(f"| pooling ({options.model}, {options.examples} examples) | seed | accuracy on {len(test[0])} | seconds |")
    print("|---|---|---|---|")
    for pooling in options.poolings.split(","):
        for seed in range(options.seeds):
            classifier = TextClassifier(
                masked_lm,
                pooling=pooling,
                epochs=options.epochs,
                batch_size=16,
                learning_rate=options.learning_rate,
                seed=seed,
            )
            begin = time.perf_counter()
            classifier.fit(*train, validation_data=valid)
            seconds, accuracy = time.perf_counter() - begin, classifier.score(*test)
            error = math.sqrt(accuracy * (1 - accuracy) / len(test[0]))
            print(f"| {pooling} | {seed} | {100 * accuracy:.1f} ± {100 * error:.1f} | {seconds:.0f} |", flush=True)
    share = max(test[1].count(label) for label in set(test[1])) / len(test[1])
    print(f"| always the larger class | | {100 * share:.1f} | |")


def drawn(path, count, seed=0):
    """`count` texts of a file and their labels."""
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if len(line) == 2 and line[0].strip()]
    chosen = np.random.default_rng(seed).permutation(len(lines))[:count]
    return [lines[i][0] for i in chosen], [{"1": "正面", "0": "负面"}[lines[i][1]] for i in chosen]


if __name__ == "__main__":
    main()
