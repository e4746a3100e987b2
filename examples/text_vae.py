"""A latent space of Tang couplets: new ones, the way from one famous line to another, and whether z is used.

    python examples/text_vae.py                       # the embedded poem-vae
    python examples/text_vae.py --model FOLDER        # a model that TextVAE.save or `nlpgen vae train` wrote
    python examples/text_vae.py --train               # a small one, trained on 40 couplets until it knows them by heart

The last shows the calls, not what a latent space can do. How poem-vae was trained is in poem_vae.py and its card; what
the numbers mean, in docs/text_vae.md.
"""

import argparse
from pathlib import Path

from nlpgen import TextVAE, WordPieceTokenizer
from nlpgen.text.vocab_builder import build_vocab
from nlpgen.vae import VonMisesFisher

COUPLETS = Path(__file__).parent / "data" / "couplets.txt"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="poem-vae", help="an embedded model or a folder")
    parser.add_argument("--train", action="store_true", help="train one on the 40 couplets instead")
    parser.add_argument("--epochs", type=int, default=150, help="of --train")
    parser.add_argument("--plot", help="draw the latent space, e.g. space.png")
    options = parser.parse_args(arguments)

    lines = COUPLETS.read_text(encoding="utf-8").splitlines()
    if options.train:
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
    else:
        vae = TextVAE.load(options.model)

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
