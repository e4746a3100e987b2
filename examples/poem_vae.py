"""Train the embedded `poem-vae`: five-character couplets of the Tang through a latent space on a sphere.

    python examples/poem_vae.py --data FOLDER --work FOLDER --out pretrained/poem-vae

The folder of `--data` has `tang5.train.txt`, `tang5.valid.txt` and `tang5.test.txt`, a couplet `上句，下句` a line
(from chinese-poetry, MIT). `--work` keeps the run after each epoch: if it is stopped, the same command goes on from
there. `--epochs`, `--lines` and `--latent` make it a short try.
"""

import argparse
from pathlib import Path

from nlpgen import TextVAE, WordPieceTokenizer
from nlpgen.text.vocab_builder import build_vocab
from nlpgen.vae import BatchNormGaussian, VonMisesFisher

LATENTS = {
    "vmf": lambda kl: VonMisesFisher(64, target_kl=kl, batch_norm=False),
    "bn": lambda kl: BatchNormGaussian(64, gamma=0.7),
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--work", type=Path, help="keeps the run after each epoch")
    parser.add_argument("--out", type=Path, help="where the model is saved, in float16")
    parser.add_argument("--latent", default="vmf", choices=tuple(LATENTS))
    parser.add_argument("--target-kl", type=float, default=24.0, help="of vmf, nats")
    parser.add_argument("--decoder", default="lstm", choices=("lstm", "transformer", "cnn"))
    parser.add_argument("--inject", default="concat")
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--word-dropout", type=float, default=0.3)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lines", type=int, help="of the training; all by default")
    options = parser.parse_args(arguments)

    train, valid, test = (
        (options.data / f"tang5.{part}.txt").read_text(encoding="utf-8").splitlines()
        for part in ("train", "valid", "test")
    )
    train = train[: options.lines]
    tokenizer = WordPieceTokenizer(build_vocab(train, size=7000, min_count=3))
    vae = TextVAE(
        tokenizer,
        LATENTS[options.latent](options.target_kl),
        decoder=options.decoder,
        inject=options.inject,
        hidden_size=options.hidden_size,
        word_dropout=options.word_dropout,
        dropout=0.1,
        max_length=16,
        batch_size=128,
        learning_rate=options.learning_rate,
        epochs=options.epochs,
        verbose=True,
    ).fit(train, validation_data=valid[:2000], state=options.work)
    print(vae.diagnose(test, most_lines=400).report())
    print("\n".join(vae.sample(8, seed=0, temperature=0.7)))
    print("\n".join(vae.interpolate("白日依山尽，黄河入海流", "海内存知己，天涯若比邻", steps=7)))
    if options.out:
        vae.save(options.out, dtype="float16")


if __name__ == "__main__":
    main()
