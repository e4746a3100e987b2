"""What the positions beyond those that were trained should hold: masked-token accuracy on longer held-out rows.

    python benchmarks/positions.py --corpus CORPUS --cache CACHE --known 64 --length 128 MODEL

MODEL was trained on `--known` positions. Its others are given values in several ways, nothing is trained, and rows of
`--length` of the last 2 % of each file's lines are judged, 15 % of their tokens masked, all by `[MASK]`.
"""

import argparse

import keras
import numpy as np

from nlpgen import MaskedLM
from nlpgen.data import Corpus, Masking, PackedRows, make_cache
from nlpgen.training import extended_positions, sinusoids
from nlpgen.training.held_out import held_out_rows, masked_accuracy

DIRECTIONS = (4, 8, 9, 10, 16, 32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--known", type=int, default=64)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rows", type=int, default=48, help="of a genre")
    args = parser.parse_args()
    model = MaskedLM.from_pretrained(args.model)
    tokenizer, positions = model.tokenizer, model.backbone.embeddings.position.embeddings
    cache = make_cache(args.cache, Corpus(args.corpus), tokenizer, progress=print)
    masking = Masking.for_judging(tokenizer)
    table = keras.ops.convert_to_numpy(positions).copy()
    print(f"| positions from {args.known} on | accuracy % on rows of {args.length} |\n|---|---|")
    rows = PackedRows(cache, tokenizer, args.length, "held_out")
    judged = held_out_rows(rows, masking, args.rows, draws=1)
    for name, values in ways(table, args.known).items():
        positions.assign(values)
        print(f"| {name} | {100 * masked_accuracy(model, judged)['all']['accuracy']:.1f} |", flush=True)


def ways(table, known):
    """`{name: table}`, each with the known rows as they are."""
    first, places = table[:known], np.arange(len(table))
    alpha, (high, low) = 0.4, np.divmod(places, known)
    bases = (first - alpha * first[0]) / (1 - alpha)
    found = {
        "as they are": table,
        "sinusoids": np.where(places[:, None] < known, table, sinusoids(*table.shape)),
        "a copy of the known": first[places % known],
        "hierarchical, alpha 0.4": alpha * bases[high] + (1 - alpha) * bases[low],
        "the rotation, directions chosen by the fit": extended_positions(table, known),
    }
    return found | {f"the rotation in {n} directions": extended_positions(table, known, [n]) for n in DIRECTIONS}


if __name__ == "__main__":
    main()
