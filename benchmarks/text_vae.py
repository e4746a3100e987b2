"""Text auto-encoders: which latents stay in use, on quatrains and on the Penn Treebank, and how long an epoch takes.

    python benchmarks/text_vae.py --data FOLDER --work FOLDER [--sets quat7 ptb] [--only "BN .7" "vMF"]
    python benchmarks/text_vae.py --data FOLDER --work FOLDER --speed

FOLDER of `--data` holds `poetry/quat7.*.txt` and `ptb/*.txt`, which nlpgen may not ship. Finished runs stay in
`--work`; a second start goes on with those that are missing, and prints the table of all.

The same LSTM encoder and decoder for all (one layer, z in every input and the first state), latents of 32, seeds 0 to
2; `lm` is the decoder alone, whose NLL is exact. Each model keeps the epoch with the best bound on the valid lines. The
NLL has 50 samples of z for each text; `gap` is the shuffle gap. VQ and the auto-encoder `entropic` have bounds of their
own, see `Diagnosis`. `entropic + dsm` draws its samples from annealed score matching instead of N(0, I), which `rev`,
the reverse perplexity, compares.

With `--speed`, epochs of ours and of the same shape in plain PyTorch take turns.

Published numbers of the Penn Treebank, of LSTMs of other sizes (200 to 1,024), epochs and samples: Bowman et al. (2016)
RNNLM 100 nats, perplexity 116, VAE 101 (KL 2), 119; Xu & Durrett (2018) RNNLM 100, 114, Gaussian 99 (4.4), 109, vMF
96 (5.7), 98.
"""

import argparse
import json
import math
import sys
import time
import warnings
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

SETS = {"quat7": "poetry/quat7", "ptb": "ptb/"}
SIZE = 32
MATCHED_KL = 8.0
# name: latent and annealing
VARIANTS = {
    "lm": (lambda: Gaussian(1), []),
    "Gaussian": (lambda: Gaussian(SIZE), []),
    "Gaussian, linear": (lambda: Gaussian(SIZE), [Linear(5)]),
    "Gaussian, cyclical": (lambda: Gaussian(SIZE), [Cyclical(4)]),
    "Gaussian, free bits": (lambda: Gaussian(SIZE), [Linear(5), FreeBits(MATCHED_KL, "dimension")]),
    "delta .15": (lambda: DeltaGaussian(SIZE, delta=0.15), []),
    "BN .5": (lambda: BatchNormGaussian(SIZE, gamma=0.5), []),
    "BN .7": (lambda: BatchNormGaussian(SIZE, gamma=0.7), []),
    "BN symmetric": (lambda: BatchNormGaussian(SIZE, tau=0.4), []),
    "vMF": (lambda: VonMisesFisher(SIZE, target_kl=MATCHED_KL), []),
    "power spherical": (lambda: PowerSpherical(SIZE, target_kl=MATCHED_KL), []),
    "entropic": (lambda: Entropic(SIZE), []),
    "VQ": (lambda: VectorQuantized(SIZE, num_codes=64, num_slots=2), []),
}
COLUMNS = ("nll", "bound", "kl", "mi", "shuffle_gap", "token_f1", "exact", "reverse_perplexity", "seconds")


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
        annealing=annealing,
        max_length=options.max_length,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=2e-3,
        seed=seed,
        word_dropout=0.0,
        patience=None,
    )


def run(tokenizer, variant, seed, parts, options):
    """Train and measure: a dict of numbers."""
    train, valid, test = parts
    vae = new_vae(tokenizer, variant, seed, options).fit(train, validation_data=valid)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CollapseWarning)
        found = vae.diagnose(test, most_lines=options.test_lines, samples=50, generated=1000)
    seconds = float(np.median([record["seconds"] for record in vae.history_]))
    numbers = {name: getattr(found, name) for name in COLUMNS[:-1]} | {"seconds": seconds}
    numbers |= {"perplexity": found.perplexity, "num_tokens": found.num_tokens, "history": vae.history_}
    numbers["warned"] = any(issubclass(each.category, CollapseWarning) for each in caught)
    if variant == "entropic":
        for kind in ("gaussian", "mixture", "score-matching"):
            found = vae.fit_prior(train, kind).diagnose(test, most_lines=options.test_lines, samples=1, generated=1000)
            numbers[f"reverse_perplexity of {kind}"] = found.reverse_perplexity
    return numbers


def language_model(tokenizer, seed, parts, options):
    """The decoder without a latent: z is always 0, so that the NLL is that of an LSTM language model."""
    train, valid, test = parts
    vae = new_vae(tokenizer, "lm", seed, options).set_params(latent=NoLatent(1), inject="embedding")
    vae.fit(train, validation_data=valid)
    data = Lines(tokenizer, test, vae.longest_).part(options.test_lines)
    nll = float(np.mean([row.sum() for row in vae.token_losses(data, np.zeros((len(data), 1)))]))
    seconds = float(np.median([record["seconds"] for record in vae.history_]))
    perplexity = math.exp(nll * len(data) / data.num_tokens)
    return {"nll": nll, "bound": nll, "kl": 0.0, "perplexity": perplexity, "seconds": seconds, "history": vae.history_}


class NoLatent(Gaussian):
    """A latent that is always 0."""

    kl_in_loss = False

    def sample(self, posterior, training=False):
        return 0.0 * posterior["mean"]

    def kl_terms(self, posterior):
        return 0.0 * posterior["mean"]


def table(name, work, options):
    """The runs of a set as Markdown: means over the seeds."""
    print(f"\n{name}: {machine()}; {options.epochs} epochs, LSTM {options.hidden_size}\n")
    print("| latent | NLL | perplexity | bound | KL | MI | gap | token F1 | exact | rev | s / epoch | warned |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for variant in VARIANTS:
        paths = sorted(work.glob(f"{name}-{slug(variant)}-seed*.json"))
        runs = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        if runs:
            mean = {c: np.mean([r.get(c, np.nan) for r in runs]) for c in (*COLUMNS, "perplexity")}
            cells = [mean[c] for c in ("nll", "perplexity", "bound", "kl", "mi", "shuffle_gap", "token_f1", "exact")]
            cells += [mean["reverse_perplexity"], mean["seconds"]]
            warned = sum(r.get("warned", False) for r in runs)
            print(f"| {variant} | {' | '.join(f'{x:.2f}' for x in cells)} | {warned} of {len(runs)} |")
        for prior in ("gaussian", "mixture", "score-matching") if variant == "entropic" and runs else ():
            changes = [r[f"reverse_perplexity of {prior}"] - r["reverse_perplexity"] for r in runs]
            print(f"| {variant}, prior {prior}: reverse perplexity against N(0, I) by seed |"
                  f" {', '.join(f'{x:+.1f}' for x in changes)} |" + " |" * 10)  # fmt: skip


def slug(variant):
    return variant.replace(" ", "_").replace(",", "").replace(".", "")


def torch_epoch(vocab_size, options):
    """A function that trains an LSTM VAE in plain PyTorch for an epoch over batches, as its users write it."""
    import torch
    from torch import nn

    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            e, h = options.embedding_size, options.hidden_size
            self.encoder_embedding, self.embedding = nn.Embedding(vocab_size, e), nn.Embedding(vocab_size, e)
            self.encoder, self.heads = nn.LSTM(e, h, batch_first=True), nn.Linear(h, 2 * SIZE)
            self.decoder = nn.LSTM(e + SIZE, h, batch_first=True)
            self.state, self.out, self.drop = nn.Linear(SIZE, h, bias=False), nn.Linear(h, vocab_size), nn.Dropout(0.3)

        def forward(self, ids, lengths):
            packed = nn.utils.rnn.pack_padded_sequence(
                self.drop(self.encoder_embedding(ids)), lengths, batch_first=True, enforce_sorted=False
            )
            mean, log_variance = self.heads(self.encoder(packed)[1][0][0]).chunk(2, dim=-1)
            z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            x = self.drop(self.embedding(ids[:, :-1]))
            cell = self.state(z)[None]
            x = torch.cat([x, z[:, None].expand(-1, x.shape[1], -1)], dim=-1)
            logits = self.out(self.drop(self.decoder(x, (torch.tanh(cell), cell))[0]))
            loss = nn.functional.cross_entropy(
                logits.reshape(-1, vocab_size), ids[:, 1:].reshape(-1), ignore_index=0, reduction="sum"
            )
            kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum()
            return (loss + kl) / len(ids)

    torch.manual_seed(0)
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def epoch(batches):
        begin = time.perf_counter()
        for batch in batches:
            ids = torch.from_numpy(batch["token_ids"].astype("int64"))
            optimizer.zero_grad()
            model(ids, torch.from_numpy(batch["padding_mask"].sum(axis=1))).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
        return time.perf_counter() - begin

    return epoch


def speed(name, tokenizer, lines, options):
    """Seconds of an epoch over some lines, ours and PyTorch's in turns; the first of each is left out."""
    vae = new_vae(tokenizer, "Gaussian", 0, options).set_params(epochs=1)
    data = Lines(tokenizer, lines[: options.speed_lines], options.max_length)
    vae.fit(lines[: 2 * options.batch_size])  # compiles
    model, theirs = vae.model_, torch_epoch(len(tokenizer.vocab), options)
    times = {"ours": [], "PyTorch": []}
    for round_ in range(options.rounds + 1):
        batches = data.shuffled(options.batch_size, np.random.default_rng(round_))
        begin = time.perf_counter()
        for batch in batches:
            model.train_on_batch(batch)
        times["ours"].append(time.perf_counter() - begin)
        times["PyTorch"].append(theirs(batches))
    print(f"\n{name}: {machine()}; {len(data)} lines, LSTM {options.hidden_size}, {options.rounds} epochs in turns\n")
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
        for seed in range(options.seeds):
            for variant in options.only:
                path = options.work / f"{name}-{slug(variant)}-seed{seed}.json"
                if path.exists():
                    continue
                begin = time.perf_counter()
                found = (language_model(tokenizer, seed, parts, options) if variant == "lm"
                         else run(tokenizer, variant, seed, parts, options))  # fmt: skip
                path.with_suffix(".new").write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
                path.with_suffix(".new").replace(path)
                print(f"{name} {variant} seed {seed}: {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
        table(name, options.work, options)


if __name__ == "__main__":
    main()
