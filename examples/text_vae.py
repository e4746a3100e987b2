"""A latent space of couplets: reconstruct, sample, walk from one line to another, and see whether z is used.

    python examples/text_vae.py
    python examples/text_vae.py --model FOLDER        # a model that TextVAE.save or `nlpgen vae train` wrote

Without `--model` a small one is trained on 40 couplets until it knows them by heart, which shows the
calls, not what a latent space can do; benchmarks/text_vae.py and docs/text_vae.md have that.
"""

import argparse
from pathlib import Path

from nlpgen import TextVAE, WordPieceTokenizer
from nlpgen.text.vocab_builder import build_vocab
from nlpgen.vae import VonMisesFisher

COUPLETS = Path(__file__).parent / "data" / "couplets.txt"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a saved TextVAE")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--plot", help="draw the latent space, a PNG")
    options = parser.parse_args(arguments)

    lines = COUPLETS.read_text(encoding="utf-8").splitlines()
    if options.model:
        vae = TextVAE.load(options.model)
    else:
        vae = TextVAE(
            WordPieceTokenizer(build_vocab(lines, min_count=1)),
            VonMisesFisher(32, target_kl=16.0),  # 16 nats a line, whatever the decoder does
            encoder="cnn",
            decoder="cnn",
            dropout=0.0,
            epochs=options.epochs,
            batch_size=20,
            learning_rate=5e-3,
        ).fit(lines)

    again = vae.reconstruct(lines)
    print(
        f"{sum(a == b for a, b in zip(again, lines, strict=True))} of {len(lines)} lines reconstructed, e.g. {again[0]}"
    )
    print("\nsamples")
    for text in vae.sample(4, seed=0, temperature=0.5):
        print(f"  {text}")
    print(f"\nfrom {lines[0]} to {lines[16]}")
    for text in vae.interpolate(lines[0], lines[16], steps=7):
        print(f"  {text}")
    found = vae.diagnose(lines)
    print(f"\n{found.report()}")
    if options.plot:
        found.plot(options.plot)


if __name__ == "__main__":
    main()
