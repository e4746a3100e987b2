"""`nlpgen vae train | sample | interpolate | diagnose`: text auto-encoders from files of lines."""

import sys
from pathlib import Path

import keras

from nlpgen.errors import InputError
from nlpgen.text import WordPieceTokenizer
from nlpgen.text.vocab_builder import build_vocab
from nlpgen.training.plot import check_figure
from nlpgen.vae import (
    BatchNormGaussian,
    Cyclical,
    DeltaGaussian,
    Entropic,
    FiniteScalarQuantized,
    Gaussian,
    PowerSpherical,
    TextVAE,
    VectorQuantized,
    VonMisesFisher,
)
from nlpgen.vae.decoders import DECODERS
from nlpgen.vae.encoders import ENCODERS
from nlpgen.vae.priors import PRIORS
from nlpgen.vae.saving import check_folder


def _fsq(size, levels):
    if size < 4 or size % 4:
        raise InputError(f"The size of fsq must be a multiple of 4, its numbers a slot. Received: --latent-size {size}")
    return FiniteScalarQuantized((5 if levels is None else _whole(levels),) * 4, num_slots=size // 4)


def _gaussian(size, strength):
    if strength is not None:
        raise InputError("The latent gaussian takes no --strength. Leave it out.")
    return Gaussian(size)


def _whole(strength):
    if not strength.is_integer():
        raise InputError(f"--strength is a number of codes or levels here, a whole number. Received: {strength:g}")
    return int(strength)


# What `--latent` may name: function of the size and of `--strength`, whose meaning the help says.
LATENTS = {
    "vmf": lambda size, x: VonMisesFisher(size, target_kl=8.0 if x is None else x),
    "power-spherical": lambda size, x: PowerSpherical(size, target_kl=8.0 if x is None else x),
    "bn": lambda size, x: BatchNormGaussian(size, gamma=0.6 if x is None else x),
    "bn-symmetric": lambda size, x: BatchNormGaussian(size, tau=0.5 if x is None else x),
    "delta": lambda size, x: DeltaGaussian(size, delta=0.1 if x is None else x),
    "gaussian": _gaussian,
    "entropic": lambda size, x: Entropic(size, weight=1.0 if x is None else x),
    "vq": lambda size, x: VectorQuantized(size, num_codes=512 if x is None else _whole(x)),
    "fsq": _fsq,
}


def add_vae(verbs):
    """Add the verb to the parsers of `nlpgen`."""
    verb = verbs.add_parser("vae", help="auto-encoders of texts: train, sample, interpolate, diagnose")
    actions = verb.add_subparsers(dest="action", required=True, metavar="ACTION")

    action = actions.add_parser("train", help="train on a file of lines, and save")
    action.add_argument("lines", help="a text a line, in UTF-8")
    action.add_argument("folder", help="where the trained model is written")
    action.add_argument("--validation", metavar="FILE", help="further lines, by which the best epoch is chosen")
    action.add_argument("--latent", default="vmf", choices=tuple(LATENTS), help="the latent space (default vmf)")
    action.add_argument("--latent-size", type=int, default=32, metavar="N", help="its width (default 32)")
    action.add_argument(
        "--strength",
        type=float,
        metavar="X",
        help="KL of vmf and power-spherical (default 8), gamma of bn (0.6), tau of bn-symmetric (0.5), delta (0.1), "
        "weight of the entropy (1), codes of vq (512), levels of each number of fsq (5)",
    )
    action.add_argument("--cycles", type=int, metavar="N", help="cycles of the KL's weight; constant by default")
    action.add_argument("--encoder", default="lstm", choices=tuple(ENCODERS), help="default lstm")
    action.add_argument("--decoder", default="lstm", choices=tuple(DECODERS), help="default lstm")
    action.add_argument("--inject", default="concat", metavar="HOW", help="how z enters the decoder (default concat)")
    action.add_argument("--hidden-size", type=int, default=256, metavar="N", help="default 256")
    action.add_argument("--word-dropout", type=float, default=0.0, metavar="X", help="default 0")
    action.add_argument("--epochs", type=int, default=10, metavar="N", help="default 10")
    action.add_argument("--batch-size", type=int, default=64, metavar="N", help="default 64")
    action.add_argument("--learning-rate", type=float, default=2e-3, metavar="X", help="default 2e-3")
    action.add_argument("--max-length", type=int, default=64, metavar="N", help="longer lines are cut (default 64)")
    action.add_argument("--state", metavar="DIR", help="keeps the run after each epoch: the same command goes on there")
    action.add_argument("--prior", choices=tuple(PRIORS), help="fitted after training (default the latent's own)")
    action.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    action.set_defaults(run=_train)

    action = actions.add_parser("sample", help="write new lines")
    _add_model(action)
    action.add_argument("--count", type=int, default=5, metavar="N", help="how many (default 5)")
    action.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    action.add_argument("--temperature", type=float, default=1.0, metavar="X", help="0 for the likeliest (default 1)")
    action.add_argument("--top-p", type=float, default=1.0, metavar="X", help="default 1")
    action.set_defaults(run=_sample)

    action = actions.add_parser("interpolate", help="write the lines on the way from one to another")
    action.add_argument("start", help="a line")
    action.add_argument("end", help="another")
    _add_model(action)
    action.add_argument("--steps", type=int, default=7, metavar="N", help="default 7")
    action.set_defaults(run=_interpolate)

    action = actions.add_parser("diagnose", help="measure the latent space on a file of lines")
    action.add_argument("lines", help="a text a line, not those of the training")
    _add_model(action)
    action.add_argument("--most-lines", type=int, default=500, metavar="N", help="default 500")
    action.add_argument("--samples", type=int, default=20, metavar="N", help="of z for each likelihood (default 20)")
    action.add_argument("--plot", metavar="FILE", help="draw it, e.g. vae.png")
    action.set_defaults(run=_diagnose)


def _add_model(action):
    action.add_argument(
        "--model", default="poem-vae", help="a folder that `train` wrote, or an embedded model (default poem-vae)"
    )


def _train(options):
    latent = LATENTS[options.latent](options.latent_size, options.strength)
    check_folder(options.folder)  # what would fail at the end is said before
    if options.prior:
        PRIORS[options.prior](latent).check_installed()
    lines = _read(options.lines)
    validation = None if options.validation is None else _read(options.validation)
    vae = TextVAE(
        WordPieceTokenizer(build_vocab(lines, min_count=2 if len(lines) > 10_000 else 1)),
        latent,
        options.encoder,
        options.decoder,
        options.inject,
        hidden_size=options.hidden_size,
        word_dropout=options.word_dropout,
        annealing=Cyclical(options.cycles) if options.cycles else (),
        max_length=options.max_length,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=options.seed,
    )
    say = keras.callbacks.LambdaCallback(on_epoch_end=_say)
    vae.fit(lines, validation, callbacks=[say], state=options.state)
    vae.save(options.folder)
    if options.prior:
        vae.fit_prior(lines, options.prior, seed=options.seed).save(options.folder)


def _say(epoch, record):
    print("nlpgen: " + "  ".join(f"{name} {x:.4g}" for name, x in record.items()), file=sys.stderr, flush=True)


def _sample(options):
    vae = TextVAE.load(options.model)
    print("\n".join(vae.sample(options.count, options.seed, options.temperature, options.top_p)))


def _interpolate(options):
    print("\n".join(TextVAE.load(options.model).interpolate(options.start, options.end, options.steps)))


def _diagnose(options):
    if options.plot:
        check_figure(options.plot)
    found = TextVAE.load(options.model).diagnose(
        _read(options.lines), most_lines=options.most_lines, samples=options.samples
    )
    print(found.report())
    if options.plot:
        found.plot(options.plot)


def _read(path):
    """The lines of a file that are not blank."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 (byte {error.start}). Convert it, from GBK for instance with: iconv -f gbk -t utf-8"
        ) from None
    lines = [line.strip() for line in lines if line.strip()]
    if not lines:
        raise InputError(f"{path} has no line with text.")
    return lines
