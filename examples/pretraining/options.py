"""The options that all pretraining scripts share."""

import argparse


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
    add("--vocab-size", type=int, default=9200, help="most tokens of a built vocabulary")
    add("--init", help="a model to start from, with its vocabulary, instead of --layers and the like")
    add("--trained-positions", type=int, help="how many positions --init was trained on; the others then continue them")
    add("--embeddings", help="a model with whose vocabulary and token embeddings a new one starts")
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
    add("--evaluate-every", type=int, default=10, help="windows between two held-out evaluations")
    add("--resume", action="store_true", help="go on from the saved state, if there is one")
    add("--change", action="store_true", help="allow settings to differ from those of the resumed run")
    add("--devices", type=int, default=1, help="devices that share a batch (JAX backend)")
    add("--machines", help="JAX: ADDRESS:PORT,COUNT,INDEX; --work is shared, its corpus tokenised")
    add("--deterministic", action="store_true", help="TensorFlow: only operations that give the same bits every time")
    add("--peak-tflops", type=float, help="what the machine's matrix unit can do, to report the share reached")
    add("--tensorboard", help="folder for TensorBoard")
    add("--plot", help="picture of loss and accuracy (PNG)")
    return parser
