"""Pretrain a small Chinese BERT on a folder of text files, one text a line.

    python examples/pretrain_mlm.py --corpus CORPUS --work RUN --save bert-tiny-zh --steps 6000

Everything that is not the result lies in the folder of the run: the tokenised corpus, and a state from which the run
goes on after it was stopped or killed, bit for bit on a CPU: the same command with `--resume`. `--steps` may be raised
then; a run on the plateau of its learning rate (`--decay 0`) ends well with a later `--resume --change --decay 1000`.

Results of our own runs are in `benchmarks/results_pretraining.md`.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np

from nlpgen import Bert, BertConfig, MaskedLM, WordPieceTokenizer
from nlpgen.data import Corpus, Masking, PackedRows, endless, make_cache, masked_lm_batch
from nlpgen.errors import InputError, NlpgenError
from nlpgen.text import Vocab
from nlpgen.text.vocab_builder import build_vocab
from nlpgen.training import (
    Run,
    WarmupStableDecay,
    adamw,
    compile_for_pretraining,
    has_state,
    pretrain,
    read_record,
    sinusoids,
    token_embeddings,
)
from nlpgen.training.flops import transformer_flops
from nlpgen.training.held_out import held_out_rows, masked_accuracy
from nlpgen.training.plot import plot_history

# What a resumed run may change without being asked: these do not touch what was trained so far.
FREE = {"steps", "window", "evaluate_every", "resume", "change", "save", "plot", "tensorboard", "peak_tflops", "corpus"}
WARM_START_ROWS = 200_000


def arguments(description, **defaults):
    """The options that all pretraining scripts share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--corpus", required=True, help="folder of NAME.txt, NAME.txt.xz or NAME.txt.gz, a genre each")
    add("--work", required=True, help="folder of the run: tokenised corpus and state")
    add("--save", help="folder where the model goes in the end")
    add("--genres", nargs="+", help="names of the corpus's files; all by default")
    add("--vocab", help="a vocab.txt; by default one is built from the corpus")
    add("--vocab-size", type=int, default=9200, help="most tokens of a built vocabulary")
    add("--init", help="a model to start from, with its vocabulary, instead of --layers and the like")
    add("--layers", type=int, default=4)
    add("--hidden", type=int, default=256)
    add("--heads", type=int, default=4)
    add("--ffn", type=int, default=1024)
    add("--positions", type=int, default=512, help="longest input of the model")
    add("--length", type=int, default=64, help="tokens of a row")
    add("--batch", type=int, default=96, help="rows of a batch, over all devices")
    add("--accumulate", type=int, default=1, help="batches an update")
    add("--steps", type=int, default=6000, help="updates in all")
    add("--peak", type=float, default=1e-3, help="learning rate of the plateau")
    add("--warmup", type=int, default=200, help="updates of the rise")
    add("--decay", type=int, help="updates of the fall to zero at the end; all after the warm-up by default")
    add("--weight-decay", type=float, default=0.01)
    add("--clip", type=float, default=1.0, help="largest norm of the gradients")
    add("--ema", type=float, help="momentum of an average of the weights that is saved in their place")
    add("--dropout", type=float, default=0.0, help="while pretraining; the saved config says 0.1")
    add("--genre-power", type=float, default=0.7, help="1: genres by size, 0: all alike")
    add("--warm-start", action=argparse.BooleanOptionalAction, default=True, help="embeddings from neighbours (PMI)")
    add("--dtype", default="mixed_bfloat16", help="mixed_bfloat16, or float32")
    add("--seed", type=int, default=0)
    add("--window", type=int, default=50, help="updates between two reports, each with a saved state")
    add("--resume", action="store_true", help="go on from the saved state, if there is one")
    add("--change", action="store_true", help="allow settings to differ from those of the resumed run")
    add("--devices", type=int, default=1, help="devices that share a batch (JAX backend)")
    add("--machines", help="JAX: ADDRESS:PORT,COUNT,INDEX; --work is shared, its corpus tokenised")
    add("--deterministic", action="store_true", help="TensorFlow: only operations that give the same bits every time")
    add("--peak-tflops", type=float, help="what the machine's matrix unit can do, to report the share reached")
    add("--tensorboard", help="folder for TensorBoard")
    add("--plot", help="picture of loss and accuracy (PNG)")
    parser.set_defaults(**defaults)
    return parser


def prepare(args):
    """Devices, random state, precision; returns `(machine, machines)`."""
    machine, machines = 0, 1
    if args.machines:
        address, count, index = args.machines.split(",")
        machine, machines = int(index), int(count)
        keras.distribution.initialize(address, machines, machine)
    if args.devices > 1 or machines > 1:
        if keras.config.backend() != "jax":
            raise InputError("--devices and --machines need the JAX backend. Set KERAS_BACKEND=jax.")
        devices = keras.distribution.list_devices()
        if len(devices) < args.devices:
            raise InputError(f"--devices {args.devices}, but there are {len(devices)}: {', '.join(devices)}.")
        if machines == 1:
            devices = devices[: args.devices]
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False))
    if args.deterministic and keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(args.seed)
    return machine, machines


def settings_of(args, saved=None):
    """The settings as JSON; those of a resumed run must be the same."""
    settings = {name: value for name, value in vars(args).items() if name != "work"}
    if saved is not None and not args.change:
        differ = [n for n, v in settings.items() if n not in FREE and saved.get(n) != v]
        if differ:
            raise InputError(
                f"The run in {args.work} was started with other settings: "
                + ", ".join(f"{n} {saved.get(n)!r}, now {settings[n]!r}" for n in differ)
                + ". Use the same, or say --change."
            )
    return settings


def open_corpus(args):
    """The tokenised corpus and its tokenizer; both are made at the first run."""
    work = Path(args.work).expanduser()
    corpus = Corpus(args.corpus, args.genres)
    kept = work / "vocab.txt"
    source = Path(args.init, "vocab.txt") if args.init else args.vocab or (kept if kept.is_file() else None)
    if source:
        vocab = Vocab.read(source)
    else:
        lines = (line for name in corpus.names for line in corpus.lines(name))
        vocab = build_vocab(lines, args.vocab_size)
        work.mkdir(parents=True, exist_ok=True)
        vocab.write(work / "vocab.new")
        os.replace(work / "vocab.new", kept)
    tokenizer = WordPieceTokenizer(vocab)
    words = getattr(args, "scheme", None) == "whole_word"
    return make_cache(work / "cache", corpus, tokenizer, words, progress=print), tokenizer


def make_model(args, tokenizer, rows, application="encoder"):
    """A new model, warm if so wanted, or the one to start from."""
    rates = {"hidden_dropout_prob": args.dropout, "attention_probs_dropout_prob": args.dropout}
    if args.init:
        return MaskedLM.from_pretrained(args.init, dtype=args.dtype, application=application, **rates)
    config = BertConfig(
        vocab_size=len(tokenizer.vocab),
        hidden_size=args.hidden,
        num_hidden_layers=args.layers,
        num_attention_heads=args.heads,
        intermediate_size=args.ffn,
        max_position_embeddings=args.positions,
        application=application,
        **rates,
    )
    model = MaskedLM(Bert(config, dtype=args.dtype))
    model.build()
    model.tokenizer = model.backbone.tokenizer = tokenizer
    if args.warm_start:
        stddev, embeddings = config.initializer_range, model.backbone.embeddings
        ids = np.concatenate([rows.batch(i, 10_000)[0] for i in range(min(WARM_START_ROWS, len(rows)) // 10_000 + 1)])
        shape = config.vocab_size, config.hidden_size
        table = token_embeddings(ids, *shape, tokenizer.special_ids, stddev, seed=args.seed)
        embeddings.token.embeddings.assign(table)
        embeddings.position.embeddings.assign(sinusoids(config.max_position_embeddings, config.hidden_size, stddev))
    return model


def train(args, model, batch, saved, places=None, evaluate=None, first=True):
    """Train a model on batches, and save it; of several machines the first writes."""
    decay = args.steps - args.warmup if args.decay is None else args.decay
    schedule = WarmupStableDecay(args.peak, args.steps, args.warmup, decay, args.accumulate)
    optimizer = adamw(schedule, args.weight_decay, clip=args.clip, accumulate=args.accumulate, ema=args.ema)
    compile_for_pretraining(model, optimizer)
    run = Run(
        Path(args.work, "state"),
        settings_of(args, saved),
        args.batch * args.length,
        args.accumulate,
        transformer_flops(model.backbone.config, args.length, places),
        args.peak_tflops and args.peak_tflops * 1e12,
        evaluate,
        args.evaluate_every,
        out=sys.stdout if first else None,
        writes=first,
    )
    if saved is not None:
        run.resume(model)
        print(f"Resumed at step {run.step:,}.", flush=True)
    callbacks = []
    if args.tensorboard and first:
        callbacks.append(keras.callbacks.TensorBoard(args.tensorboard, write_graph=False))
    pretrain(model, partial(endless, batch), run, args.steps, args.window, callbacks)
    if args.plot and first:
        plot_history(run.history, args.plot)
    if args.save and first:
        save(model, args.save)


def save(model, folder):
    """Write the model in float16, with the dropout that fine-tuning wants."""
    config = model.backbone.config.replace(hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
    final = MaskedLM(type(model.backbone)(config, dtype="float32"))
    final.build()
    for to, of in zip(final.weights, model.weights, strict=True):
        to.assign(of)
    final.tokenizer = final.backbone.tokenizer = model.tokenizer
    final.save_pretrained(folder, dtype="float16")


def open_run(args):
    """What every run starts with: its share of each batch, saved settings, tokenizer, rows and held-out rows."""
    shard = prepare(args)
    state = Path(args.work, "state")
    saved = read_record(state)["settings"] if args.resume and has_state(state) else None
    cache, tokenizer = open_corpus(args)
    rows = PackedRows(cache, tokenizer, args.length, genre_power=args.genre_power, seed=args.seed)
    return shard, saved, tokenizer, rows, PackedRows(cache, tokenizer, args.length, "held_out")


def main(argv=None):
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--scheme", default="random", choices=["random", "whole_word", "span"], help="what is masked")
    parser.add_argument("--mask-rate", type=float, default=0.2, help="share of the tokens that are guessed")
    parser.add_argument("--evaluate-every", type=int, default=10, help="windows between two held-out evaluations")
    args = parser.parse_args(argv)
    shard, saved, tokenizer, rows, held_out = open_run(args)
    masking = partial(Masking, len(tokenizer.vocab), tokenizer.mask_id, tuple(sorted(tokenizer.special_ids)))
    judged = held_out_rows(held_out, masking(mask_share=1.0, random_share=0.0), rows_per_genre=96, draws=1)
    model = make_model(args, tokenizer, rows)
    mask = masking(scheme=args.scheme, rate=args.mask_rate)

    def evaluate():
        return {name: round(entry["accuracy"], 4) for name, entry in masked_accuracy(model, judged).items()}

    def batch(index):
        return masked_lm_batch(rows, mask, index, args.batch, args.seed, shard)

    train(args, model, batch, saved, mask.places(args.length), evaluate, first=shard[0] == 0)


if __name__ == "__main__":
    try:
        main()
    except NlpgenError as error:
        sys.exit(f"error: {error}")
