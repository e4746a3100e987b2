"""Write reviews of a wanted class: a BERT that reads from left to right, its norms moved by the class.

    python examples/conditional_generation.py

Turns the embedded bert-tiny-zh into a language model (`application="lm"`) with conditional layer normalization, as in
bert4keras' example, and trains it on examples/data/reviews_train.tsv and reviews.tsv (our own writing). So few texts
show the way, not what a model can reach. Your own: --data FILE, a text, a tab and a label on each line. With
seed 0 on a CPU it printed texts of the wanted class, most of whose parts it had read:

    正面: 导游讲解有趣，一路照顾老人，玩得很开心。
    负面: 说好上午来安装，等到晚上也没有来，打电话还态度恶劣。
"""

import argparse
from pathlib import Path

import keras
import numpy as np

from nlpgen import MaskedLM, UniLM
from nlpgen.data import read_labelled
from nlpgen.generation import Sample
from nlpgen.training import WarmupStableDecay, adamw

DATA = Path(__file__).parent / "data"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bert-tiny-zh", help="an embedded model or a folder")
    parser.add_argument("--data", default=[DATA / "reviews_train.tsv", DATA / "reviews.tsv"], type=Path, nargs="+")
    parser.add_argument("--prompt", default="", help="what each text begins with")
    parser.add_argument("--count", default=2, type=int, help="texts of each class")
    parser.add_argument("--epochs", default=40, type=int)
    parser.add_argument("--batch-size", default=16, type=int)
    parser.add_argument("--learning-rate", default=1e-3, type=float, help="1e-3 suits a tiny model, 1e-5 a large one")
    parser.add_argument("--max-length", default=64, type=int, help="tokens of a text")
    parser.add_argument("--seed", default=0, type=int)
    options = parser.parse_args(arguments)
    keras.utils.set_random_seed(options.seed)

    data = [read_labelled(path) for path in options.data]
    texts, labels = [[x for one in data for x in getattr(one, name)] for name in ("texts", "labels")]
    classes = sorted(set(labels))
    one_hot = np.eye(len(classes), dtype="float32")
    mlm = MaskedLM.from_pretrained(options.model, application="lm", condition_size=len(classes))
    lm = UniLM(mlm)

    rows = lm.tokenizer(texts, max_length=options.max_length)
    inputs = {name: ids[:, :-1] for name, ids in rows.items()}
    inputs["condition"] = one_hot[[classes.index(label) for label in labels]]
    following = rows["token_ids"][:, 1:]
    weights = (following != lm.tokenizer.pad_id).astype("float32")
    steps = options.epochs * -(-len(texts) // options.batch_size)
    lm.compile(adamw(WarmupStableDecay(options.learning_rate, steps, steps // 10, steps - steps // 10)))
    history = lm.fit(inputs, following, options.batch_size, options.epochs, verbose=0, sample_weight=weights)
    print(f"{len(texts)} texts, {steps} steps, loss {history.history['loss'][-1]:.2f}")

    written = lm.generate(
        [options.prompt] * len(classes) * options.count,
        Sample(top_p=0.9, seed=options.seed),
        condition=np.repeat(one_hot, options.count, axis=0),
        max_new_tokens=options.max_length,
    )
    for i, text in enumerate(written):
        print(f"{classes[i // options.count]}: {options.prompt}{text}")


if __name__ == "__main__":
    main()
