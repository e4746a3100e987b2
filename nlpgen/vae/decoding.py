"""Latent vectors to token ids, a whole batch in one compiled loop."""

import keras
from keras import ops


def greedy(logits, noise, temperature, top_p):
    """The most likely token of each row: `(rows, vocab_size)` to `(rows,)`."""
    return ops.cast(ops.argmax(logits, axis=-1), "int32")


def sampled(logits, noise, temperature, top_p):
    """A token of each row, drawn from the softmax of the logits over the temperature.

    Args:
        logits: `(rows, vocab_size)`.
        noise: `(rows,)`, uniform between 0 and 1.
        temperature: `(rows,)`, above 0.
        top_p: not used.
    """
    return _quantile(ops.softmax(logits / temperature[:, None], axis=-1), noise)


def nucleus(logits, noise, temperature, top_p):
    """As `sampled`, of the fewest tokens that have a share `top_p` `(rows,)` together (Holtzman et al., 2020,
    https://arxiv.org/abs/1904.09751)."""
    shares = ops.softmax(logits / temperature[:, None], axis=-1)
    shares, order = ops.top_k(shares, shares.shape[-1])
    before = ops.cumsum(shares, axis=-1) - shares
    kept = ops.where(before < top_p[:, None], shares, 0.0)
    place = _quantile(kept / ops.sum(kept, axis=-1, keepdims=True), noise)
    return ops.cast(ops.take_along_axis(order, place[:, None], axis=1)[:, 0], "int32")


CHOICES = {"greedy": greedy, "sampled": sampled, "nucleus": nucleus}


def decode(decoder, project, z, start_id, end_id, noise, temperature, top_p, choose):
    """Write texts.

    Args:
        decoder: a `Decoder`.
        project: function from its results `(…, hidden_size)` to logits.
        z: `(batch, latent_size)`.
        start_id, end_id: what stands before the first token, and ends a text.
        noise: `(batch, length)`, uniform between 0 and 1, one number a token.
        temperature, top_p: `(batch,)`.
        choose: a function of `CHOICES`.

    Returns:
        int32 `(batch, length)`; behind the end of a text are more `end_id`.
    """
    batch, length = ops.shape(z)[0], noise.shape[1]
    if not decoder.reads_tokens:
        logits = ops.cast(project(decoder(ops.zeros((batch, length), "int32"), z)), "float32")
        flat = ops.reshape(logits, (-1, logits.shape[-1]))
        options = (ops.repeat(x, length) for x in (temperature, top_p))
        tokens = ops.reshape(choose(flat, ops.reshape(noise, (-1,)), *options), (-1, length))
        ended = ops.cumsum(ops.cast(ops.equal(tokens, end_id), "int32"), axis=1) > 0
        return ops.where(ended, end_id, tokens)

    def goes_on(n, last, state, tokens, ended):
        return (n < length) & ops.logical_not(ops.all(ended))

    def advance(n, last, state, tokens, ended):
        x, state = decoder.step(last, n, z, state)
        chosen = choose(ops.cast(project(x), "float32"), ops.take(noise, n, axis=1), temperature, top_p)
        chosen = ops.where(ended, end_id, chosen)
        tokens = ops.where(ops.arange(length) == n, chosen[:, None], tokens)
        return n + 1, chosen, state, tokens, ended | ops.equal(chosen, end_id)

    first = (
        ops.convert_to_tensor(0, "int32"),
        ops.full((batch,), start_id, "int32"),
        decoder.start(z),
        ops.full((batch, length), end_id, "int32"),
        ops.zeros((batch,), "bool"),
    )
    return ops.while_loop(goes_on, advance, first)[3]


def _quantile(shares, noise):
    """The first place of each row up to which the shares are more than the noise."""
    total = ops.cumsum(shares, axis=-1)
    place = ops.sum(ops.cast(total <= noise[:, None] * total[:, -1:], "int32"), axis=-1)
    return ops.minimum(place, shares.shape[-1] - 1)


class Method(keras.Model):
    """A function over a model, compiled by `predict_on_batch`.

    Args:
        model: what the weights belong to.
        name: of its method, which takes a dict of arrays.
        options: further arguments of the method.
    """

    def __init__(self, model, name, **options):
        super().__init__(dtype="float32")
        self.model, self.method, self.options = model, name, options
        self.jit_compile = keras.config.backend() == "jax"
        self.built = True

    def call(self, inputs, training=None):
        return getattr(self.model, self.method)(inputs, **self.options)
