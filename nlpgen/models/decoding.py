"""What of generating and scoring is compiled: a Keras model around a language model."""

import keras
from keras import ops

from nlpgen.generation import Beam, Ends, apply_rules


class Decoding(keras.Model):
    """Reads a batch of prompts and continues them, all at once or a few tokens a call.

    Each has fixed shapes, so that TensorFlow and JAX trace it once for whole texts, or twice for single steps.

    Args:
        lm: a `TextGenerator`.
        sampler: a `Sampler`.
        places: room for the tokens that are written.
        end_ids: tokens that end a text.
        ngram_size: see `Rules`.
        stepwise: whether the calls give back what further calls go on from.

    Call arguments:
        inputs: a dict. `limit`, `until` and `min_new_tokens` are scalars. A first call has `prompts`, what `lm.read`
            takes, and `last` `(batch,)`, the last token of each; others have `read` and `search`, what the call before
            gave back. Where wanted `stops` (see `Ends`), `noise` and `numbers` (see `Sampler`), `context`, `allowed`,
            `forced` and `repetition_penalty` (see `apply_rules`).

    Returns:
        A dict: the fields of `Hypotheses`, and if `stepwise` `read` and `search`.
    """

    def __init__(self, lm, sampler, places, end_ids, ngram_size=0, stepwise=False):
        super().__init__(autocast=False)
        self.lm, self.sampler, self.places, self.end_ids = lm, sampler, places, end_ids
        self.ngram_size, self.stepwise = ngram_size, stepwise
        self.jit_compile = lm.jit_compile
        self.built = True

    def call(self, inputs, training=None):
        sampler, lm = self.sampler, self.lm
        ends = Ends(self.end_ids, inputs["min_new_tokens"], stops=inputs.get("stops"))
        rules = {name: inputs.get(name) for name in ("repetition_penalty", "allowed", "forced")}

        def step(token_ids, state):
            cache, n = state
            logits, cache = lm.next_logits(token_ids, n, read, cache)
            if isinstance(sampler, Beam):
                logits = ops.log_softmax(ops.cast(logits, "float32"), axis=1)
            return logits, (cache, n + 1)

        def change(scores, tokens, n):
            return apply_rules(scores, inputs.get("context"), tokens, n, self.ngram_size, **rules)

        read, search = inputs.get("read"), inputs.get("search")
        if search is None:
            read = lm.read(inputs["prompts"])
            state = lm.empty_cache(inputs["last"].shape[0], self.places), ops.convert_to_tensor(0, "int32")
            search = sampler.start(inputs["last"], state, self.places, ends)
        search = sampler.advance(
            step,
            search,
            inputs["until"],
            inputs["limit"],
            ends,
            change=change,
            noise=inputs.get("noise"),
            numbers=inputs.get("numbers"),
        )
        found = sampler.finish(search)
        out = {"token_ids": found.token_ids, "lengths": found.lengths, "scores": found.scores}
        return out | ({"read": read, "search": search} if self.stepwise else {})

    def run(self, inputs):
        """Call the compiled model; tensors stay where they are, but with JAX become arrays."""
        if keras.config.backend() == "jax":
            return self.predict_on_batch(inputs)
        self.make_predict_function()
        return self.predict_function([(inputs,)])


class TokenScoring(keras.Model):
    """Log-probabilities of given tokens, without bringing all logits to the host.

    Args:
        lm: a language model.

    Call arguments:
        inputs: a dict with `model`, inputs for which the language model gives `(batch, n, vocab_size)`, and `targets`
            `(batch, n)`.

    Returns:
        `(batch, n)`.
    """

    def __init__(self, lm):
        super().__init__(autocast=False)
        self.lm = lm
        self.jit_compile = lm.jit_compile
        self.built = True

    def call(self, inputs, training=None):
        logits = ops.cast(self.lm(inputs["model"]), "float32")
        found = ops.take_along_axis(logits, inputs["targets"][:, :, None], axis=2)[:, :, 0]
        return found - ops.logsumexp(logits, axis=2)
