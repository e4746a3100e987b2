"""Pretrain a small Chinese GPT, or a UniLM, on a folder of text files, one text a line.

    python examples/pretrain_gpt.py --corpus CORPUS --work RUN --save gpt-tiny-zh --steps 6000

The model is a GPT-2 that `transformers` reads too, or with `--unilm` a BERT that reads a source freely and writes a
target after it. Options, states and resuming are those of `pretrain_mlm.py`. `--embeddings MODEL` starts from the token
embeddings of a trained model, which saves the first hundred steps.
"""

import sys

from pretraining.model import make_model
from pretraining.options import options
from pretraining.run import open_corpus, start, train

from nlpgen import CausalLM, MaskedLM
from nlpgen.data import causal_lm_batch, unilm_batch
from nlpgen.errors import NlpgenError
from nlpgen.training.held_out import next_token_accuracy, next_token_scores


def main(argv=None):
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--unilm", action="store_true", help="source and target in a row, instead of plain text")
    args = parser.parse_args(argv)
    shard, resumed = start(args)
    tokenizer, rows, held_out = open_corpus(args)
    if args.prepare:
        return
    if args.unilm:
        model = make_model(args, tokenizer, rows, MaskedLM, application="unilm")
    else:
        model = make_model(args, tokenizer, rows, CausalLM)

    def batch(index, rows=rows, size=args.batch, shard=shard):
        if args.unilm:
            return unilm_batch(rows, index, size, args.seed, shard)
        return causal_lm_batch(rows, index, size, shard)

    def evaluate():
        if args.unilm:
            judged = [batch(i, held_out, 32, (0, 1)) for i in range(8)]
            return {"all": round(next_token_scores(model, judged)["accuracy"], 4)}
        scores = next_token_accuracy(model, held_out, rows_per_genre=32)
        return {name: round(entry["accuracy"], 4) for name, entry in scores.items()}

    train(args, model, batch, shard, resumed, evaluate=evaluate)


if __name__ == "__main__":
    try:
        main()
    except NlpgenError as error:
        sys.exit(f"error: {error}")
