"""Masked-token accuracy of models on the held-out lines of a corpus, genre by genre, on the very same masked rows.

    python benchmarks/pretrained.py --corpus CORPUS --cache CACHE MODEL [MODEL …]
    python benchmarks/pretrained.py --corpus CORPUS --cache CACHE --causal GPT [GPT …]

The last 2 % of the lines of each file are held out. Rows are packed as in pretraining, 15 % of their tokens become
`[MASK]`, all of them, and a model must name the token (padding apart; figures from before 28 November 2026 are of 15 %
of the row's places). All models must have the same vocabulary, so that rows and targets are the same. With `--causal`
the models guess each next token instead, in rows as they are; their perplexity a token is the exponential of the loss.
"""

import argparse
import json
import sys
from functools import partial

from nlpgen import CausalLM, MaskedLM
from nlpgen.data import Corpus, Masking, PackedRows, make_cache
from nlpgen.errors import InputError, NlpgenError
from nlpgen.training.held_out import held_out_rows, masked_accuracy, next_token_accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names or folders")
    parser.add_argument("--corpus", required=True, help="folder of the text files")
    parser.add_argument("--cache", required=True, help="folder for the tokenised corpus")
    parser.add_argument("--causal", action="store_true", help="causal models, by the next token")
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--rows", type=int, default=400, help="most rows of a genre")
    parser.add_argument("--draws", type=int, default=2, help="how often a row is masked")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", help="file for the numbers")
    args = parser.parse_args()
    kind = CausalLM if args.causal else MaskedLM
    models = [kind.from_pretrained(name, dtype=args.dtype) for name in args.models]
    tokenizer = models[0].tokenizer
    for name, model in zip(args.models, models, strict=True):
        if model.tokenizer.vocab != tokenizer.vocab:
            raise InputError(f"{name} has another vocabulary than {args.models[0]}, so rows would differ.")
    cache = make_cache(args.cache, Corpus(args.corpus), tokenizer, progress=print)
    rows = PackedRows(cache, tokenizer, args.length, "held_out")
    if args.causal:
        scores = partial(next_token_accuracy, rows=rows, rows_per_genre=args.rows)
    else:
        scores = partial(
            masked_accuracy, masked_rows=held_out_rows(rows, Masking.for_judging(tokenizer), args.rows, args.draws)
        )
    results = {name: scores(model) for name, model in zip(args.models, models, strict=True)}
    print_table(results)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, ensure_ascii=False, indent=1)


def print_table(results):
    """A Markdown table: accuracy (loss) of each model in each genre."""
    first = next(iter(results.values()))
    print("| genre | guessed tokens | " + " | ".join(f"`{name}`: accuracy % (loss)" for name in results) + " |")
    print("|---|---|" + "---|" * len(results))
    for genre, entry in first.items():
        cells = [f"{100 * r[genre]['accuracy']:.2f} ({r[genre]['loss']:.3f})" for r in results.values()]
        print(f"| {genre} | {entry['tokens']:,} | " + " | ".join(cells) + " |")
    for name, result in list(results.items())[1:]:
        better = [g for g in first if g != "all" and result[g]["accuracy"] > first[g]["accuracy"]]
        print(f"\n`{name}` is better than `{next(iter(results))}` in {len(better)} of {len(first) - 1} genres.")


if __name__ == "__main__":
    try:
        main()
    except NlpgenError as error:
        sys.exit(f"error: {error}")
