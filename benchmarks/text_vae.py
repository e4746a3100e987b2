"""Text auto-encoders: which latents stay in use, on quatrains and on the Penn Treebank, and how long an epoch takes.

    python benchmarks/text_vae.py --data FOLDER --work FOLDER [--sets quat7 ptb] [--only "BN .7" "vMF"]
    python benchmarks/text_vae.py --data FOLDER --work FOLDER --speed

The folder of `--data` holds `poetry/quat7.*.txt` and `ptb/*.txt`, which nlpgen may not ship. Finished runs stay in
`--work`; a second start goes on with those that are missing, and prints the tables of all. All latents of a seed come
before the next seed, so `--seeds 1` first and `--seeds 3` later lose nothing. Other settings need another folder.

The same LSTM encoder and decoder for all (one layer, z in every input and the first state), latents of 32; `lm` is the
decoder alone, whose NLL is exact. Each model keeps the epoch with the best bound on the valid lines. `gap` is the
shuffle gap, `rev` the reverse perplexity of draws from the prior. NLL and bound of VQ are those of the codes of a text,
see `Diagnosis`. Rows with a prior draw from one that was fitted after the training; for `entropic` and `deterministic`
(the same without entropy and noise) the differences of `rev` to N(0, I) are printed by seed.

With `--speed`, epochs of ours and of the same shape in plain PyTorch (`text_vae_peer.py`) take turns.
"""

import argparse
import json
import math
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from machine import machine
from tokenizers import Tokenizer as RustTokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from nlpgen import FastTokenizer, TextVAE, WordPieceTokenizer
from nlpgen.errors import CollapseWarning
from nlpgen.text.vocab_builder import build_vocab
from nlpgen.vae import (
    BatchNormGaussian,
    Cyclical,
    DeltaGaussian,
    Entropic,
    FreeBits,
    Gaussian,
    Linear,
    PowerSpherical,
    VectorQuantized,
    VonMisesFisher,
)
from nlpgen.vae.lines import Lines

SETS = {"quat7": "poetry/quat7", "ptb": "ptb/", "tang5": "poetry/tang5"}
SIZE = 32
MATCHED_KL = 8.0
# name: latent, and annealing in a number of epochs
VARIANTS = {
    "lm": (lambda: NoLatent(1), lambda epochs: []),
    "Gaussian": (lambda: Gaussian(SIZE), lambda epochs: []),
    "Gaussian, linear": (lambda: Gaussian(SIZE), lambda epochs: [Linear(epochs / 3)]),
    "Gaussian, cyclical": (lambda: Gaussian(SIZE), lambda epochs: [Cyclical(4)]),
    "Gaussian, free bits": (lambda: Gaussian(SIZE), lambda epochs: [Linear(epochs / 3), FreeBits(MATCHED_KL)]),
    "delta .15": (lambda: DeltaGaussian(SIZE, delta=0.15), lambda epochs: []),
    "BN .5": (lambda: BatchNormGaussian(SIZE, gamma=0.5), lambda epochs: []),
    "BN .7": (lambda: BatchNormGaussian(SIZE, gamma=0.7), lambda epochs: []),
    "BN symmetric": (lambda: BatchNormGaussian(SIZE, tau=0.4), lambda epochs: []),
    "vMF": (lambda: VonMisesFisher(SIZE, target_kl=MATCHED_KL), lambda epochs: []),
    "vMF, no BN": (lambda: VonMisesFisher(SIZE, target_kl=MATCHED_KL, batch_norm=False), lambda epochs: []),
    "power spherical": (lambda: PowerSpherical(SIZE, target_kl=MATCHED_KL), lambda epochs: []),
    "entropic": (lambda: Entropic(SIZE), lambda epochs: []),
    "deterministic": (lambda: Entropic(SIZE, weight=0.0, noise=0.0), lambda epochs: []),
    "VQ": (lambda: VectorQuantized(SIZE, num_codes=64, num_slots=2), lambda epochs: []),
}
FITTED = ("gaussian", "mixture", "score-matching")
PRIORS = {"entropic": FITTED, "deterministic": FITTED, "VQ": ("codes",)}
# What others wrote of the test lines of the Treebank: model, NLL, perplexity, KL.
PUBLISHED = (
    ("Bowman et al. (2016), RNNLM", 100, 116, None),
    ("Bowman et al. (2016), VAE with annealing and word dropout", 101, 119, 2),
    ("Xu & Durrett (2018), RNNLM", 100, 114, None),
    ("Xu & Durrett (2018), Gaussian", 99, 109, 4.4),
    ("Xu & Durrett (2018), vMF", 96, 98, 5.7),
    ("Sentence-VAE (timbmg), GRU", 104, None, 7.3),
    ("texar, LSTM", 102, 105, None),
)
COLUMNS = ("nll", "perplexity", "bound", "kl", "mi", "shuffle_gap", "token_f1", "exact", "reverse_perplexity")
HEAD = ("NLL", "perplexity", "bound", "KL", "MI", "gap", "token F1", "exact", "rev", "s / epoch")


def tokenizer_of(name, lines):
    """Characters of poems; words of the Treebank as they stand, with its own `<unk>`."""
    if name != "ptb":
        return WordPieceTokenizer(build_vocab(lines, size=7000, min_count=3))
    words = sorted({word for line in lines for word in line.split()} - {"<unk>"})
    vocab = {word: i for i, word in enumerate(["<pad>", "<unk>", "<s>", "</s>", *words])}
    rust = RustTokenizer(WordLevel(vocab, unk_token="<unk>"))
    rust.pre_tokenizer = WhitespaceSplit()
    roles = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return FastTokenizer(rust.to_str().encode("utf-8"), roles)


def read(folder, name, part, most=None):
    lines = (folder / f"{SETS[name]}{'' if name == 'ptb' else '.'}{part}.txt").read_text(encoding="utf-8").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    return lines if most is None else lines[:most]


def new_vae(tokenizer, variant, seed, options):
    latent, annealing = VARIANTS[variant]
    return TextVAE(
        tokenizer,
        latent(),
        embedding_size=options.embedding_size,
        hidden_size=options.hidden_size,
        dropout=0.3,
        annealing=annealing(options.epochs),
        max_length=options.max_length,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=2e-3,
        seed=seed,
    )


def run(tokenizer, variant, seed, parts, options):
    """Train and measure: a dict of numbers."""
    train, valid, test = parts
    vae = new_vae(tokenizer, variant, seed, options).fit(train, validation_data=valid)
    sizes = {"most_lines": options.test_lines, "generated": options.generated}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CollapseWarning)
        found = vae.diagnose(test, samples=options.samples, **sizes)
    numbers = {name: getattr(found, name) for name in COLUMNS} | {"history": vae.history_}
    numbers["warned"] = any(issubclass(each.category, CollapseWarning) for each in caught)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        for kind in PRIORS.get(variant, ()):
            found = vae.fit_prior(train, kind, seed=seed).diagnose(test, samples=1, **sizes)
            same = () if variant == "VQ" else ("nll", "perplexity")  # with one sample these are not comparable
            numbers[kind] = {name: getattr(found, name) for name in COLUMNS if name not in same}
    return numbers


def language_model(tokenizer, seed, parts, options):
    """The decoder without a latent: z is always 0, so that the NLL is that of an LSTM language model."""
    train, valid, test = parts
    vae = new_vae(tokenizer, "lm", seed, options).set_params(inject="embedding")
    vae.fit(train, validation_data=valid)
    data = Lines(tokenizer, test, vae.longest_).part(options.test_lines)
    nll = float(np.mean([row.sum() for row in vae.token_losses(data, np.zeros((len(data), 1)))]))
    perplexity = math.exp(nll * len(data) / data.num_tokens)
    return {"nll": nll, "bound": nll, "kl": 0.0, "perplexity": perplexity, "history": vae.history_}


class NoLatent(Gaussian):
    """A latent that is always 0."""

    kl_in_loss = False

    def sample(self, posterior, training=False):
        return 0.0 * posterior["mean"]

    def kl_terms(self, posterior):
        return 0.0 * posterior["mean"]


def table(name, runs, options):
    """The runs `{variant: {seed: numbers}}` of a set as Markdown, means over the seeds, and what must hold."""
    print(f"\n{name}: {machine('tensorflow', 'keras')}")
    settings = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings_of(options).items())
    print(f"{settings}; MI is at most {math.log(options.test_lines):.2f}\n")
    print(f"| latent | {' | '.join(HEAD)} | warned |")
    print("|---" * (len(HEAD) + 2) + "|")
    for variant, found in runs.items():
        seconds = np.mean([np.median([epoch["seconds"] for epoch in each["history"]]) for each in found.values()])
        warned = sum(each.get("warned", False) for each in found.values())
        print(row(variant, [*means(found.values()), seconds], f"{warned} of {len(found)}"))
        for kind in PRIORS.get(variant, ()):
            print(row(f"{variant}, prior {kind}", [*means(each[kind] for each in found.values()), math.nan], ""))
    for model, nll, perplexity, kl in PUBLISHED if name == "ptb" else ():
        print(row(model, [x or math.nan for x in (nll, perplexity, None, kl)] + [math.nan] * 6, ""))
    if name == "ptb":
        print(
            "\nThe published LSTMs have 200 to 1,024 units and saw all 42,068 training lines; their NLL of a VAE is "
            "the bound. Ours never write `<unk>`, which stands in 61 % of the test lines: these are never exact."
        )
    print()
    for ours in ("BN .5", "BN .7", "vMF", "power spherical"):
        for theirs in ("Gaussian, free bits", "Gaussian, linear", "Gaussian, cyclical"):
            compare(runs, "shuffle_gap", ours, theirs)
        compare(runs, "nll", ours, "lm")
    key = "reverse_perplexity"
    for variant in ("entropic", "deterministic"):
        for kind in FITTED:
            pairs = [(each[kind], each) for each in runs.get(variant, {}).values()]
            by_seed(f"{key}, {variant}, prior {kind} - N(0, I)", [fitted[key] - own[key] for fitted, own in pairs])


def compare(runs, key, ours, theirs):
    """Print the differences of two variants by seed, with the KL that each has."""
    pairs = [(runs[ours][i], runs[theirs][i]) for i in runs.get(ours, {}) if i in runs.get(theirs, {})]
    if pairs:
        kl = [np.mean([each["kl"] for each in side]) for side in zip(*pairs, strict=True)]
        name = f"{key}, {ours} (KL {kl[0]:.1f}) - {theirs} (KL {kl[1]:.1f})"
        by_seed(name, [one[key] - other[key] for one, other in pairs])


def means(found):
    """Of every column; NaN where there is no number."""
    found = list(found)
    return [np.mean([each.get(column, math.nan) for each in found]) for column in COLUMNS]


def row(name, numbers, last):
    return f"| {name} | {' | '.join(f'{x:.2f}' if math.isfinite(x) else '' for x in numbers)} | {last} |"


def by_seed(name, differences):
    """Print paired differences with their mean and its standard error."""
    if differences:
        error = np.std(differences, ddof=1) / math.sqrt(len(differences)) if len(differences) > 1 else math.nan
        each = ", ".join(f"{x:+.2f}" for x in differences)
        print(f"{name}: {np.mean(differences):+.2f} ± {error:.2f} (by seed {each})")


def settings_of(options):
    """What runs of a table must have in common."""
    names = ("epochs", "embedding_size", "hidden_size", "batch_size", "max_length", "train_lines", "valid_lines")
    return {name: getattr(options, name) for name in (*names, "test_lines", "samples", "generated")}


def finished(path, options):
    """The numbers of a run, or `None` where there are none yet."""
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["settings"] != settings_of(options):
        raise SystemExit(f"{path} was made with {found['settings']}. Give the same settings, or another --work.")
    return found


def slug(variant):
    return variant.replace(" ", "_").replace(",", "").replace(".", "")


def speed(name, tokenizer, lines, options):
    """Seconds of an epoch over some lines, ours and PyTorch's in turns; the first of each is left out."""
    from text_vae_peer import torch_epoch

    vae = new_vae(tokenizer, "Gaussian", 0, options).set_params(epochs=1)
    data = Lines(tokenizer, lines[: options.speed_lines], options.max_length)
    vae.fit(lines[: 2 * options.batch_size])  # compiles
    model, theirs = vae.model_, torch_epoch(len(tokenizer.vocab), SIZE, options)
    times = {"ours": [], "PyTorch": []}
    for round_ in range(options.rounds + 1):
        batches = data.shuffled(options.batch_size, np.random.default_rng(round_))
        begin = time.perf_counter()
        for batch in batches:
            model.train_on_batch(batch)
        times["ours"].append(time.perf_counter() - begin)
        times["PyTorch"].append(theirs(batches))
    print(f"\n{name}: {machine('tensorflow', 'keras', 'torch')}")
    print(f"{len(data)} lines, LSTM {options.hidden_size}, {options.rounds} epochs in turns\n")
    for who, values in times.items():
        print(f"{who:8} {np.median(values[1:]):7.2f} s an epoch (from {min(values[1:]):.2f} to {max(values[1:]):.2f})")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--embedding-size", type=int, default=128)
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--train-lines", type=int, help="all by default")
    parser.add_argument("--valid-lines", type=int, default=1000)
    parser.add_argument("--test-lines", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=50, help="of z for the NLL of a text")
    parser.add_argument("--generated", type=int, default=1000, help="texts for the reverse perplexity")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--speed-lines", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.sets:
        train = read(options.data, name, "train", options.train_lines)
        parts = train, read(options.data, name, "valid", options.valid_lines), read(options.data, name, "test")
        tokenizer = tokenizer_of(name, train)
        if options.speed:
            speed(name, tokenizer, train, options)
            continue
        runs = {variant: {} for variant in options.only}
        for seed in range(options.seeds):
            for variant in options.only:
                path = options.work / f"{name}-{slug(variant)}-seed{seed}.json"
                found = finished(path, options)
                if found is None:
                    begin = time.process_time()
                    found = (language_model if variant == "lm" else partial(run, variant=variant))(
                        tokenizer=tokenizer, seed=seed, parts=parts, options=options
                    )
                    found |= {"settings": settings_of(options), "cpu_seconds": time.process_time() - begin}
                    path.with_suffix(".new").write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
                    path.with_suffix(".new").replace(path)
                    print(f"{name} {variant} seed {seed}: {found['cpu_seconds']:.0f} s of a processor", file=sys.stderr)
                runs[variant][seed] = found
        table(name, runs, options)


if __name__ == "__main__":
    main()
