"""Virtual tokens and prefixes that fit a language model, and what they start as."""

import math

import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.layers import PrefixEncoder, PromptEncoder


def new_prompt(lm, num_tokens, kind, hidden_size):
    """A built `PromptEncoder` for a language model, or `None` without virtual tokens."""
    if not num_tokens:
        return None
    size = lm.backbone.embeddings.token.output_dim
    prompt = PromptEncoder(num_tokens, size, kind, hidden_size, name="virtual_tokens", dtype="float32")
    prompt.build()
    return prompt


def new_prefix(lm, length, hidden_size):
    """A built `PrefixEncoder` for a language model, or `None` if its length is 0."""
    if not length:
        return None
    backbone = lm.backbone
    attention = getattr(backbone, "layer_blocks", getattr(backbone, "blocks", None))[0].attention
    layers, heads = backbone.config.num_hidden_layers, attention.num_key_value_heads
    prefix = PrefixEncoder(
        length, layers, heads, attention.head_size, hidden_size=hidden_size, name="prefix", dtype="float32"
    )
    prefix.build()
    return prefix


def start(model, init, seed):
    """First values of all that is new in a `PromptModel`, the same on every backend.

    Args:
        model: it.
        init: a text whose tokens the virtual ones start as, or `None`, see `first_vectors`.
        seed: a whole number.
    """
    generator = np.random.default_rng([seed, 3])
    for layer in filter(None, (model.prompt, model.prefix, model.classifier)):
        for weight in layer.weights:
            if len(weight.shape) > 1:
                stddev = 0.02 if weight.name == "embeddings" else math.sqrt(2 / sum(weight.shape[-2:]))
                weight.assign(generator.normal(0, stddev, weight.shape))
            else:
                weight.assign(np.zeros(weight.shape))
    if model.prompt is not None:
        model.prompt.embeddings.assign(first_vectors(model.lm, init, model.prompt.num_tokens, generator))


def first_vectors(lm, init, n, generator):
    """Rows of the token embedding that `n` virtual tokens start as: those of the text `init`, repeated; without it of
    `[unused1]`, `[unused2]`, …; where the vocabulary has none, random ones as large as its own.

    Raises:
        InputError: if the text has no token.
    """
    table = ops.convert_to_numpy(ops.cast(lm.backbone.embeddings.token.embeddings, "float32"))
    vocab = lm.tokenizer.vocab
    if init is not None:
        ids = lm.tokenizer.ids(init)
        if not ids:
            raise InputError(f"`init` must be a text with a token or more. Received: {init!r}")
        return table[[ids[i % len(ids)] for i in range(n)]]
    unused = [f"[unused{i + 1}]" for i in range(n)]
    if all(token in vocab for token in unused):
        return table[[vocab.id(token) for token in unused]]
    return generator.normal(0, table.std(), (n, table.shape[1]))
