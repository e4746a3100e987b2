"""Teach an encoder to answer a line of a couplet with the other: UniLM.

    python examples/train_unilm.py

Trains the embedded bert-tiny-zh on the pairs of examples/data/couplets/train.tsv (our own writing, from few words, and
so easier than real couplets) and answers those of test.tsv with a beam of 4. Your own pairs, classical and modern
sentences for instance: --data FOLDER with a train.tsv and a test.tsv, a source, a tab and a target on each line. The
scores need `pip install 'nlpgen[overlap]'`. With seed 0 on a CPU it printed

    春风吹绿草 → 秋月照红枫 (reference: 秋月照红花)
    BLEU 31.6, chrF 26.2, ROUGE-L 53.0 on 16 sources

among others; another machine's rounding may change some characters.
"""

import argparse
from pathlib import Path

import keras

from nlpgen import MaskedLM, UniLM
from nlpgen.data import read_labelled
from nlpgen.generation import Beam
from nlpgen.metrics import overlap_scores
from nlpgen.training import WarmupStableDecay, adamw

DATA = Path(__file__).parent / "data" / "couplets"


def read_pairs(path):
    """Sources and targets of a table of two columns."""
    columns = read_labelled(path, fields=("source", "target"), labelled=False).columns
    return columns["source"], columns["target"]


def training_arrays(tokenizer, sources, targets, max_length):
    """Inputs, what follows each token, and which of these count: those of the target and its end."""
    rows = tokenizer(sources, targets, max_length=max_length)
    inputs = {name: ids[:, :-1] for name, ids in rows.items()}
    return inputs, rows["token_ids"][:, 1:], rows["segment_ids"][:, 1:].astype("float32")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bert-tiny-zh", help="an embedded model or a folder")
    parser.add_argument("--data", default=DATA, type=Path, help="a folder with train.tsv and test.tsv")
    parser.add_argument("--epochs", default=30, type=int)
    parser.add_argument("--batch-size", default=16, type=int)
    parser.add_argument("--learning-rate", default=1e-3, type=float, help="1e-3 suits a tiny model, 1e-5 a large one")
    parser.add_argument("--max-length", default=128, type=int, help="tokens of source and target together")
    parser.add_argument("--max-new-tokens", default=32, type=int)
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--save", help="a folder for the trained model")
    options = parser.parse_args(arguments)
    keras.utils.set_random_seed(options.seed)

    unilm = UniLM(MaskedLM.from_pretrained(options.model))
    sources, targets = read_pairs(options.data / "train.tsv")
    steps = options.epochs * -(-len(sources) // options.batch_size)
    unilm.compile(adamw(WarmupStableDecay(options.learning_rate, steps, steps // 10, steps - steps // 10)))
    inputs, following, weights = training_arrays(unilm.tokenizer, sources, targets, options.max_length)
    history = unilm.fit(inputs, following, options.batch_size, options.epochs, verbose=0, sample_weight=weights)
    print(f"{len(sources)} pairs, {steps} steps, loss {history.history['loss'][-1]:.2f}")

    sources, targets = read_pairs(options.data / "test.tsv")
    written = unilm.generate(sources, Beam(4), max_new_tokens=options.max_new_tokens)
    for source, text, target in list(zip(sources, written, targets, strict=True))[:4]:
        print(f"{source} → {text} (reference: {target})")
    print(f"{overlap_scores(written, targets)} on {len(sources)} sources")
    if options.save:
        unilm.save_pretrained(options.save)
        print(f"saved; load it with UniLM(MaskedLM.from_pretrained({options.save!r}))")


if __name__ == "__main__":
    main()
