"""The options that all pretraining scripts share, and what may be said with them."""

import argparse
import importlib.util
from pathlib import Path

import keras

from nlpgen.checkpoints import open_folder
from nlpgen.checkpoints.folder import check_save_target
from nlpgen.errors import InputError, NlpgenError
from nlpgen.training import has_state, read_record

SHAPE = {"layers": 4, "hidden": 256, "heads": 4, "ffn": 1024, "positions": 512}
WARMUP, VOCAB_SIZE = 200, 9200
ABOVE_ZERO = ("layers", "hidden", "heads", "ffn", "positions", "vocab_size", "batch", "accumulate", "steps", "peak")
ABOVE_ZERO += ("clip", "window", "evaluate_every", "devices", "peak_tflops")
NOT_BELOW_ZERO = ("warmup", "decay", "weight_decay", "genre_power", "seed")
FRACTIONS = ("ema", "dropout", "mask_rate")
IN_PLACE_OF = {  # an option → those that say what it would say
    "init": ("embeddings", "vocab", "vocab_size", *SHAPE),
    "embeddings": ("vocab", "vocab_size"),
    "vocab": ("vocab_size",),
}


def options(description):
    """A parser with them."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--corpus", required=True, help="folder of NAME.txt, NAME.txt.xz or NAME.txt.gz, a genre each")
    add("--work", required=True, help="folder of the run: tokenised corpus and state")
    add("--save", help="folder where the model goes in the end")
    add("--genres", nargs="+", help="names of the corpus's files; all by default")
    add("--vocab", help="a vocab.txt; by default one is built from the corpus")
    add("--vocab-size", type=int, help=f"most tokens of a built vocabulary, {VOCAB_SIZE} by default")
    add("--init", help="a model to start from, with its vocabulary, instead of --layers and the like")
    add("--trained-positions", type=int, help="how many positions --init was trained on; the others then continue them")
    add("--embeddings", help="a model with whose vocabulary and token embeddings a new one starts")
    for name, value in SHAPE.items():
        add(f"--{name}", type=int, help=f"of a new model, {value} by default")
    add("--length", type=int, default=64, help="tokens of a row")
    add("--batch", type=int, default=96, help="rows of a batch, over all devices")
    add("--accumulate", type=int, default=1, help="batches an update")
    add("--steps", type=int, default=6000, help="updates in all")
    add("--peak", type=float, default=1e-3, help="learning rate of the plateau")
    add("--warmup", type=int, help=f"updates of the rise; {WARMUP} by default, but a tenth of the steps at most")
    add("--decay", type=int, help="updates of the fall to zero at the end; all after the warm-up by default")
    add("--weight-decay", type=float, default=0.01)
    add("--clip", type=float, default=1.0, help="largest norm of the gradients")
    add("--ema", type=float, help="momentum of an average of the weights that is saved in their place")
    add("--dropout", type=float, default=0.0, help="while pretraining; the saved config says 0.1")
    add("--genre-power", type=float, default=0.7, help="1: genres by size, 0: all alike")
    add("--warm-start", action=argparse.BooleanOptionalAction, default=True, help="embeddings from neighbours (PMI)")
    add("--dtype", default="mixed_bfloat16", help="mixed_bfloat16, or float32")
    add("--seed", type=int, default=0)
    add("--window", type=int, default=50, help="updates between two reports, each with a saved state; divides --steps")
    add("--evaluate-every", type=int, default=10, help="windows between two held-out evaluations")
    add("--prepare", action="store_true", help="tokenise the corpus and stop")
    add("--resume", action="store_true", help="go on from the saved state, if there is one")
    add("--change", action="store_true", help="allow settings to differ from those of the resumed run")
    add("--devices", type=int, default=1, help="devices that share a batch (JAX backend)")
    add("--machines", help="JAX: ADDRESS:PORT,COUNT,INDEX; --work is shared, its corpus tokenised")
    add("--deterministic", action="store_true", help="TensorFlow: only operations that give the same bits every time")
    add("--peak-tflops", type=float, help="what the machine's matrix unit can do, to report the share reached")
    add("--tensorboard", help="folder for TensorBoard")
    add("--plot", help="picture of loss and accuracy, e.g. run.png")
    return parser


def check(args):
    """Refuse what cannot be run, before anything is read or trained, and fill in the defaults that depend on others.

    Raises:
        InputError: with all problems at once.
    """
    given = {name: value for name, value in vars(args).items() if value is not None}
    problems = [f"{_option(name)} must be above 0" for name in ABOVE_ZERO if not given.get(name, 1) > 0]
    problems += [f"{_option(name)} must not be below 0" for name in NOT_BELOW_ZERO if not given.get(name, 0) >= 0]
    problems += [
        f"{_option(name)} must lie between 0 and 1"
        for name in FRACTIONS
        if not (0 < given.get(name, 0.5) < 1 or (name == "dropout" and args.dropout == 0))
    ]
    for source, others in IN_PLACE_OF.items():
        ignored = [_option(name) for name in others if source in given and name in given]
        if ignored:
            problems.append(f"{', '.join(ignored)} would be ignored beside {_option(source)}")
    if args.trained_positions is not None and not args.init:
        problems.append("--trained-positions is about the model of --init")
    if args.length < 4:
        problems.append("--length must be at least 4")
    if not problems:
        problems += _sizes(args)
    problems += _places(args)
    if problems:
        raise InputError("These options cannot be used:\n  " + "\n  ".join(problems) + "\nCorrect them.")


def _sizes(args):
    """Problems between options each of which could be used."""
    args.window = min(args.window, args.steps)
    args.vocab_size = args.vocab_size or VOCAB_SIZE
    if args.warmup is None:
        args.warmup = min(WARMUP, args.steps // 10)
    if not args.init:
        for name, value in SHAPE.items():
            setattr(args, name, getattr(args, name) or value)
    positions, hidden = args.positions, args.hidden
    try:
        keras.DTypePolicy(args.dtype)
        config = open_folder(args.init or args.embeddings).config if args.init or args.embeddings else {}
    except NlpgenError as error:
        return [str(error)]
    except (ValueError, TypeError):
        return [f"--dtype {args.dtype} is none; mixed_bfloat16 and float32 are"]
    if args.init:
        positions = config.get("max_position_embeddings", config.get("n_positions"))
    problems = []
    if args.steps % args.window:
        problems.append(f"--steps {args.steps} is no multiple of --window {args.window}")
    if args.warmup + (args.decay or 0) > args.steps:
        problems.append(f"--warmup {args.warmup} and --decay {args.decay or 0} are more than --steps {args.steps}")
    if positions is not None and args.length > positions:
        problems.append(f"--length {args.length} is more than the {positions} positions of the model")
    if args.trained_positions is not None and not 8 <= args.trained_positions <= (positions or args.trained_positions):
        problems.append(f"--trained-positions must be from 8 to {positions}, the positions of the model")
    if not args.init and hidden % args.heads:
        problems.append(f"--hidden {hidden} is no multiple of --heads {args.heads}")
    width = config.get("hidden_size", config.get("n_embd")) if args.embeddings else hidden
    if width != hidden:
        problems.append(f"--embeddings has width {width}, the new model --hidden {hidden}")
    if args.batch % args.devices:
        problems.append(f"--batch {args.batch} is no multiple of --devices {args.devices}")
    return problems


def _places(args):
    """Problems of what is written in the end or would be overwritten."""
    problems, state = [], Path(args.work, "state").expanduser()
    if has_state(state) and not args.resume and not args.prepare:
        problems.append(f"{args.work} holds step {read_record(state)['step']:,}: add --resume, or remove it")
    if args.plot and importlib.util.find_spec("matplotlib") is None:
        problems.append("--plot needs matplotlib: pip install nlpgen[plot]")
    if args.plot:
        try:
            Path(args.plot).absolute().parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problems.append(f"--plot: its folder cannot be made: {error}")
    if args.save:
        try:
            check_save_target(args.save)
        except NlpgenError as error:
            problems.append(f"--save: {error}")
    return problems


def _option(name):
    return f"--{name.replace('_', '-')}"
