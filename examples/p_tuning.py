"""Train a prompt of a few kilobytes and leave the model as it is.

    python examples/p_tuning.py

Learns eight virtual tokens for the embedded bert-tiny-zh from examples/data/reviews_train.tsv (32 labels), tests on
reviews.tsv (our own writing). A second prompt, for topics, is then served by the same model in the same batch.
With seed 0 it prints

    reviews: accuracy 0.79 on 24 texts
    topics: accuracy 0.81 on 26 texts
"""

import argparse
from pathlib import Path

from nlpgen import MaskedLM, PTuningClassifier
from nlpgen.data import read_labelled
from nlpgen.prompts import PromptServer

DATA = Path(__file__).parent / "data"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bert-tiny-zh", help="an embedded model or a folder")
    parser.add_argument("--epochs", default=20, type=int)
    parser.add_argument("--learning-rate", default=1e-2, type=float)
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--save", help="a folder for the prompt of the reviews")
    options = parser.parse_args(arguments)
    settings = {"epochs": options.epochs, "learning_rate": options.learning_rate, "seed": options.seed}

    mlm = MaskedLM.from_pretrained(options.model)
    train, test = read_labelled(DATA / "reviews_train.tsv"), read_labelled(DATA / "reviews.tsv")
    reviews = PTuningClassifier(mlm, "[P*4][MASK][P*4]{text}", {"正面": "很", "负面": "不"}, **settings)
    reviews.fit(train.texts, train.labels)
    print(f"reviews: accuracy {reviews.score(test.texts, test.labels):.2f} on {len(test)} texts")

    data = read_labelled(DATA / "topics.tsv")
    words = {"体育": "体育", "饮食": "美食", "财经": "财经"}
    topics = PTuningClassifier(mlm, "[P*4][MASK]。{text}", words, **settings)
    topics.fit(data[:40].texts, data[:40].labels)
    print(f"topics: accuracy {topics.score(data[40:].texts, data[40:].labels):.2f} on {len(data) - 40} texts")

    server = PromptServer({"review": reviews, "topic": topics})
    requests = [("review", "汤凉了，也没人理我们。"), ("topic", "汤里多放一点胡椒更暖和。")]
    for (name, text), label in zip(requests, server.predict(requests), strict=True):
        print(f"{name}: {text} → {label}")
    if options.save:
        reviews.save(options.save)
        size = sum(path.stat().st_size for path in Path(options.save).iterdir())
        print(f"saved {size:,} bytes; load them with PTuningClassifier.load({options.save!r}, backbone=mlm)")


if __name__ == "__main__":
    main()
