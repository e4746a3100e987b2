"""What a pretraining script does before and after its batches: devices, corpus, training, saving."""

import sys
from functools import partial
from pathlib import Path

import keras
from pretraining.model import DROPOUT
from pretraining.options import check

from nlpgen import WordPieceTokenizer
from nlpgen.checkpoints import open_folder
from nlpgen.data import Corpus, PackedRows, corpus_vocab, endless, find_cache, make_cache
from nlpgen.errors import InputError
from nlpgen.text import Vocab
from nlpgen.text.folder import read_tokenizer
from nlpgen.training import (
    Run,
    WarmupStableDecay,
    adamw,
    check_settings,
    has_state,
    pretrain,
    read_record,
    share_batches,
)
from nlpgen.training.flops import transformer_flops
from nlpgen.training.plot import plot_history

# What a resumed run may change without being asked: these do not touch what was trained so far.
FREE = {"window", "evaluate_every", "resume", "change", "save", "plot", "tensorboard", "peak_tflops", "corpus"}
FREE |= {"devices", "machines", "prepare"}
FINE_TUNING = dict.fromkeys(DROPOUT, 0.1)


def start(args):
    """Devices, random state and the saved settings, which the new ones must not contradict.

    Returns:
        `(shard, resumed)`: which part of each batch is this machine's, and whether there is a state to go on from.
    """
    check(args)
    shard = share_batches(args.devices, args.machines)
    if args.deterministic and keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(args.seed)
    state = Path(args.work, "state").expanduser()
    resumed = args.resume and has_state(state)
    if resumed and not args.change:
        # Without a decay the rate does not depend on the number of steps; with one, more steps would lift it again.
        free = FREE | {"steps", "warmup"} if args.decay == 0 else FREE
        check_settings(read_record(state)["settings"], settings_of(args), free, state)
    return shard, resumed


def settings_of(args):
    """What is kept with the state."""
    return {name: value for name, value in vars(args).items() if name != "work"}


def open_corpus(args, words=False):
    """`(tokenizer, rows, held_out)`; vocabulary and tokenised corpus are made at the first run."""
    work, corpus = Path(args.work).expanduser(), Corpus(args.corpus, args.genres)
    source = args.init or args.embeddings
    if source:
        tokenizer = read_tokenizer(open_folder(source).path)
        if tokenizer is None:
            raise InputError(f"{source} has no vocabulary. Copy its vocab.txt there.")
    elif args.vocab:
        tokenizer = WordPieceTokenizer(Vocab.read(args.vocab))
    else:
        tokenizer = WordPieceTokenizer(corpus_vocab(work / "vocab.txt", corpus, args.vocab_size))
    cache = find_cache(work / "cache", corpus, tokenizer, words)
    if cache is None and args.machines:
        raise InputError(f"{work} holds no such tokenised corpus. Run this on one machine first, with --prepare.")
    cache = cache or make_cache(work / "cache", corpus, tokenizer, words, progress=print)
    rows = PackedRows(cache, tokenizer, args.length, genre_power=args.genre_power, seed=args.seed)
    return tokenizer, rows, PackedRows(cache, tokenizer, args.length, "held_out")


def train(args, model, batch, shard, resumed, places=None, evaluate=None):
    """Train a model on `batch(0)`, `batch(1)`, … and save it; of several machines the first writes."""
    decay = args.steps - args.warmup if args.decay is None else args.decay
    schedule = WarmupStableDecay(args.peak, args.steps, args.warmup, decay, args.accumulate)
    model.compile(adamw(schedule, args.weight_decay, clip=args.clip, accumulate=args.accumulate, ema=args.ema))
    first = shard[0] == 0
    run = Run(
        Path(args.work, "state").expanduser(),
        settings_of(args),
        args.batch * args.length,
        args.accumulate,
        transformer_flops(model.backbone.config, args.length, places),
        args.peak_tflops and args.peak_tflops * 1e12,
        evaluate,
        args.evaluate_every,
        out=sys.stdout if first else None,
        writes=first,
    )
    if resumed:
        run.resume(model)
    board = [keras.callbacks.TensorBoard(args.tensorboard, write_graph=False)] if args.tensorboard and first else []
    pretrain(model, partial(endless, batch), run, args.steps, args.window, board)
    if args.save and first:
        model.backbone.config = model.backbone.config.replace(**FINE_TUNING)
        model.save_pretrained(args.save, dtype="float16")
    if args.plot and first:
        plot_history(run.history, args.plot)
