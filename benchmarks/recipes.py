"""Pretraining recipes at equal time: how well a model guesses held-out tokens after the same seconds of training.

    python benchmarks/recipes.py --corpus CORPUS --cache CACHE --work RECIPES

Each recipe of the table below is the first one with something changed. It trains a new BERT of 4 layers of 256 in a
process of its own for `--seconds` of its own clock, which runs while it trains: reading, the warm start (its seconds
are said), compilation and evaluation are outside. The learning rate is a function of the time that has passed, and
falls to zero when it is up.

All are then judged by the same held-out rows of 64 tokens, 15 % of them masked. Another vocabulary cuts other tokens,
so only bits a character compare there: of a code that says whether a token is unknown, what it is if known, and which
of the 20,992 characters of the basic block if not.

Finished recipes stay in `--work`; a second start goes on with those that are missing.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from machine import machine

BASE = {
    "length": 64,
    "batch": 96,
    "accumulate": 1,
    "peak": 1e-3,
    "scheme": "random",
    "rate": 0.2,
    "warm_start": True,
    "dtype": "mixed_bfloat16",
    "vocab_size": None,  # of a vocabulary built from the corpus; None: --vocab
    "seed": 0,
    "environment": {},
}
RECIPES = {
    "base": {},
    "base, seed 1": {"seed": 1},
    "random start": {"warm_start": False},
    "length 128, batch 48": {"length": 128, "batch": 48},
    "batch 24": {"batch": 24},
    "batch 32": {"batch": 32},
    "batch 48": {"batch": 48},
    "batch 192": {"batch": 192},
    "accumulate 2": {"accumulate": 2},
    "peak 5e-4": {"peak": 5e-4},
    "peak 2e-3": {"peak": 2e-3},
    "mask 15 %": {"rate": 0.15},
    "mask 30 %": {"rate": 0.3},
    "mask 40 %": {"rate": 0.4},
    "whole words": {"scheme": "whole_word"},
    "spans": {"scheme": "span"},
    "vocabulary 6,000": {"vocab_size": 6000},
    "fp32": {"dtype": "float32"},
    "one thread": {"environment": {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}},
    "XLA for element-wise operations": {
        "environment": {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit --tf_xla_ops_to_cluster=PW"}
    },
}
SHAPE = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 1024}
SHAPE |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
WARMUP = 0.1  # of the time
GENRE_POWER = 0.7
JUDGED = {"length": 64, "rate": 0.15}
CHARACTERS = 0x9FFF - 0x4E00 + 1  # of the CJK Unified Ideographs block


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", required=True, help="folder of the text files")
    parser.add_argument("--cache", required=True, help="folder for the corpus, tokenised with --vocab")
    parser.add_argument("--work", required=True, help="folder for results and for what single recipes need")
    parser.add_argument("--vocab", default=Path(__file__).parents[1] / "pretrained" / "bert-tiny-zh" / "vocab.txt")
    parser.add_argument("--seconds", type=float, default=180, help="of training a recipe")
    parser.add_argument("--rows", type=int, default=400, help="most held-out rows of a genre")
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), metavar="RECIPE", help="recipes to run")
    parser.add_argument("--worker", choices=list(RECIPES), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(run(BASE | RECIPES[args.worker], args)))
        return
    path = Path(args.work).expanduser() / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name in args.only or RECIPES:
        settings = BASE | RECIPES[name] | {"seconds": args.seconds, "rows": args.rows}
        if results.get(name, {}).get("settings") != settings:
            results[name] = {"settings": settings, **measured(name, settings["environment"])}
            beside = path.with_suffix(".new")
            beside.write_text(json.dumps(results, indent=1), encoding="utf-8")
            os.replace(beside, path)
        print(f"{name}: {row(results[name])}", file=sys.stderr, flush=True)
    report({name: results[name] for name in RECIPES if name in results})


def measured(name, environment):
    """The result of a recipe, from a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--worker", name]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"} | os.environ | environment
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: the recipe {name!r} ended with exit code {done.returncode}; those before it are kept.")
    return json.loads(done.stdout.splitlines()[-1])


def run(recipe, args):
    """Train and judge one recipe."""
    import keras

    from nlpgen import Bert, BertConfig, MaskedLM
    from nlpgen.data import Masking, PackedRows
    from nlpgen.training import warm_embeddings
    from nlpgen.training.warm_start import ROWS

    cache, tokenizer = tokenised(recipe, args)
    rows = PackedRows(cache, tokenizer, recipe["length"], genre_power=GENRE_POWER, seed=recipe["seed"])
    keras.utils.set_random_seed(recipe["seed"])
    model = MaskedLM(Bert(BertConfig(len(tokenizer.vocab), **SHAPE), dtype=recipe["dtype"]))
    model.build()
    start = time.perf_counter()
    if recipe["warm_start"]:
        warm_embeddings(model.backbone, rows.batch(0, min(ROWS, len(rows)))[0], tokenizer.special_ids, recipe["seed"])
    warm_seconds = time.perf_counter() - start
    masking = Masking.for_tokenizer(tokenizer, scheme=recipe["scheme"], rate=recipe["rate"])
    result = train(model, rows, masking, recipe, args.seconds)
    held_out = PackedRows(cache, tokenizer, JUDGED["length"], "held_out")
    masking = Masking.for_judging(tokenizer, JUDGED["rate"])
    return {"warm_seconds": round(warm_seconds, 1), **result, **judge(model, held_out, masking, tokenizer, args.rows)}


def tokenised(recipe, args):
    """The corpus as the recipe needs it: with where words start, or with a vocabulary of its own, made at first use."""
    from nlpgen.data import Corpus, corpus_vocab, make_cache
    from nlpgen.text import Vocab, WordPieceTokenizer

    corpus, folder, size = Corpus(args.corpus), Path(args.work).expanduser(), recipe["vocab_size"]
    words = recipe["scheme"] == "whole_word"
    vocab = corpus_vocab(folder / f"vocab-{size}.txt", corpus, size) if size else Vocab.read(args.vocab)
    cache = folder / f"cache-{size or 'words'}" if size or words else args.cache
    tokenizer = WordPieceTokenizer(vocab)
    return make_cache(cache, corpus, tokenizer, words, lambda line: print(line, file=sys.stderr)), tokenizer


def train(model, rows, masking, recipe, seconds):
    """Train until the given seconds are over; the learning rate is a function of the time, and ends at zero."""
    from nlpgen.data import masked_lm_batch
    from nlpgen.training import adamw

    accumulate = recipe["accumulate"]
    optimizer = adamw(0.0, accumulate=accumulate)
    model.compile(optimizer)

    def step(index, learning_rate):
        optimizer.learning_rate = learning_rate
        inputs, targets, weights = masked_lm_batch(rows, masking, index, recipe["batch"], recipe["seed"])
        return float(model.train_on_batch(inputs, targets, weights)[0])

    for index in range(accumulate):  # compiles
        step(index, 0.0)
    for variable in optimizer.variables:
        variable.assign(np.zeros(variable.shape))
    losses, start, passed = [], time.perf_counter(), 0.0
    while passed < 1:
        learning_rate = recipe["peak"] * min(passed / WARMUP, (1 - passed) / (1 - WARMUP))
        losses += [step(len(losses) + i, learning_rate) for i in range(accumulate)]
        passed = (time.perf_counter() - start) / seconds
    took, updates = passed * seconds, len(losses) // accumulate
    tokens = len(losses) * recipe["batch"] * recipe["length"]
    last = losses[-max(1, len(losses) // 10) :]
    return {"updates": updates, "took": took, "tokens": tokens, "training_loss": float(np.mean(last))}


def judge(model, held_out, masking, tokenizer, rows_per_genre):
    """Accuracy, loss and bits a character on held-out rows."""
    from nlpgen.training.held_out import held_out_rows, masked_accuracy

    judged = held_out_rows(held_out, masking, rows_per_genre, draws=1)
    scores = masked_accuracy(model, judged)
    sizes = np.array([len(token.removeprefix("##")) for token in tokenizer.vocab.tokens])
    characters = sum(float((sizes[targets] * weights).sum()) for _, _, targets, weights in judged.values())
    ids = np.concatenate([rows.ravel() for rows in held_out.rows.values()])
    unknown = float((ids == tokenizer.unk_id).sum())
    share = unknown / (unknown + (~np.isin(ids, sorted(tokenizer.special_ids))).sum())
    return {
        "accuracy": scores["all"]["accuracy"],
        "loss": scores["all"]["loss"],
        "bits": bits_a_character(scores["all"]["loss"], characters / scores["all"]["tokens"], share),
        "masked": scores["all"]["tokens"],
        "genres": {name: entry["accuracy"] for name, entry in scores.items() if name != "all"},
    }


def bits_a_character(loss, characters, unknown):
    """Bits a character of a code for tokens, of which a model knows some.

    Args:
        loss: of the known tokens, in nats a token.
        characters: of a known token, on average; an unknown one has one.
        unknown: share of the tokens.
    """
    known = 1 - unknown
    which = -sum(share * math.log2(share) for share in (known, unknown) if share)
    bits = which + known * loss / math.log(2) + unknown * math.log2(CHARACTERS)
    return bits / (known * characters + unknown)


def row(result):
    """The cells of a result."""
    return (
        f"{result['updates']:,} | {result['tokens'] / result['took']:,.0f} | {result['took']:.0f} "
        f"| {result['warm_seconds']:.0f} | {100 * result['accuracy']:.2f} | {result['loss']:.3f} "
        f"| {result['bits']:.3f}"
    )


def report(results):
    """Print the Markdown table."""
    masked = {result["masked"] for result in results.values()}
    where = machine("tensorflow", "tensorflow-cpu", "keras")
    print(f"{where}; seed {BASE['seed']}; about {max(masked):,} masked tokens.\n")
    print("| recipe | updates | tokens/s | seconds | warm start s | accuracy % | loss | bits a character |")
    print("|---|---|---|---|---|---|---|---|")
    for name, result in results.items():
        print(f"| {name} | {row(result)} |")


if __name__ == "__main__":
    main()
