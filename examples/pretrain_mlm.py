"""Pretrain a small Chinese BERT on a folder of text files, one text a line.

    python examples/pretrain_mlm.py --corpus CORPUS --work RUN --save bert-tiny-zh --steps 6000

Everything that is not the result lies in the folder of the run: the tokenised corpus, and a state from which the run
goes on after it was stopped or killed: the same command with `--resume`; bit for bit on a CPU, if both have
`--deterministic`. A run on the plateau of its learning rate (`--decay 0`) may be given more `--steps` then, and ends
well with a later `--resume --change --steps MORE --decay 1000`.

Results of our own runs are in `benchmarks/results_pretraining.md`.
"""

import sys

from pretraining.model import make_model
from pretraining.options import options
from pretraining.run import open_corpus, start, train

from nlpgen.data import Masking, masked_lm_batch
from nlpgen.errors import NlpgenError
from nlpgen.training.held_out import held_out_rows, masked_accuracy


def main(argv=None):
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--scheme", default="random", choices=["random", "whole_word", "span"], help="what is masked")
    parser.add_argument("--mask-rate", type=float, default=0.2, help="share of the tokens that are guessed")
    args = parser.parse_args(argv)
    shard, resumed = start(args)
    tokenizer, rows, held_out = open_corpus(args, words=args.scheme == "whole_word")
    if args.prepare:
        return
    model = make_model(args, tokenizer, rows)
    mask = Masking.for_tokenizer(tokenizer, scheme=args.scheme, rate=args.mask_rate)
    judged = held_out_rows(held_out, Masking.for_judging(tokenizer), rows_per_genre=96, draws=1)

    def batch(index):
        return masked_lm_batch(rows, mask, index, args.batch, args.seed, shard)

    def evaluate():
        return {name: round(entry["accuracy"], 4) for name, entry in masked_accuracy(model, judged).items()}

    train(args, model, batch, shard, resumed, mask.places(args.length), evaluate)


if __name__ == "__main__":
    try:
        main()
    except NlpgenError as error:
        sys.exit(f"error: {error}")
