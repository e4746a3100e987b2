"""A decoder with its language-model head: logits of the next token."""

import keras
import numpy as np
from keras import ops

from nlpgen.models.generating import TextGenerator
from nlpgen.models.language_model import NextTokenModel
from nlpgen.text import pad


@keras.saving.register_keras_serializable("nlpgen")
class CausalLM(TextGenerator, NextTokenModel):
    """A causal language model: at each position the logits of the token that follows. It continues texts: `generate`.

    See `NextTokenModel` for the head.

    Args:
        backbone: a built or unbuilt `Decoder`.

    Call arguments:
        inputs: those of the backbone.

    Returns:
        Logits `(batch, length, vocab_size)`, or `(batch, n, vocab_size)` at `positions`.
    """

    head_name = "causal_lm"

    @property
    def hugging_face_class(self):
        """The name of Hugging Face's class, with a place for the architecture's."""
        return self.backbone.causal_lm_class

    def room(self):
        """Most tokens of a prompt and what is written behind it, or `None`."""
        return self.backbone.longest

    def end_ids(self):
        """Tokens that end a text: those of the config, and the tokenizer's."""
        said = getattr(self.backbone.config, "eos_token_id", None)
        found = set(said) if isinstance(said, list | tuple) else {said}
        found.add(None if self.tokenizer is None else self.tokenizer.eos_id)
        return tuple(sorted(found - {None}))

    def prompt_ids(self, texts):
        """Ids of prompts: the token that starts a text, where there is one, and those of the text."""
        start = [] if self.tokenizer.cls_id is None else [self.tokenizer.cls_id]
        return [[*start, *ids] for ids in self.tokenizer.ids(texts)]

    def last_ids(self, rows):
        """What is read with the first step, `(batch,)`."""
        return np.array([row[-1] for row in rows], "int32")

    def context(self, rows):
        """What rules see of the prompts."""
        return rows

    def empty_cache(self, batch, places):
        """Keys and values of what will be written."""
        return self.backbone.empty_cache(batch, places)

    def read(self, prompts):
        """What all steps need of the prompts.

        Args:
            prompts: `token_ids` `(batch, places)`, padded at the end, and `lengths` `(batch,)`.

        Returns:
            A dict: keys and values of each block, which places are seen (all tokens but the last, which the first step
            reads), and the lengths.
        """
        token_ids, lengths = prompts["token_ids"], prompts["lengths"][:, None]
        places = ops.arange(token_ids.shape[1])
        inputs = {"token_ids": token_ids, "padding_mask": places < lengths, "positions": ops.zeros_like(lengths)}
        _, kept = self.backbone.encode_cached(self.backbone.embed(inputs), inputs)
        return {"keys_values": kept, "seen": places < lengths - 1, "lengths": lengths}

    def next_logits(self, token_ids, n, read, cache):
        """Logits after one token more.

        Args:
            token_ids: `(batch * width,)`.
            n: scalar, how many tokens were written before.
            read: what `read` gave, of `batch` prompts.
            cache: from `empty_cache` or an earlier step.

        Returns:
            `(batch * width, vocab_size)`, and the cache with this token.
        """
        width = token_ids.shape[0] // read["lengths"].shape[0]
        inputs = {
            "token_ids": token_ids[:, None],
            "position_ids": ops.repeat(read["lengths"], width, axis=0) - 1 + n,
            "padding_mask": read["seen"],
        }
        x = self.backbone.embed(inputs)
        hidden, cache = self.backbone.encode_cached(x, inputs, cache, n, before=read["keys_values"])
        return self.logits(hidden[:, 0]), cache

    def scored_ids(self, texts, targets, max_length):
        """For each text what is given, one token, and what is scored."""
        rows = [self.tokenizer.encode(text, max_length=max_length).token_ids for text in texts]
        return [(row[:1], row[1:]) for row in rows]

    def scoring_inputs(self, pairs, length):
        """What `TokenScoring` reads."""
        rows = [[*given, *scored[:-1]] for given, scored in pairs]
        seen = np.arange(length) < np.array([len(row) for row in rows])[:, None]
        return {
            "model": {"token_ids": pad(rows, 0, length), "padding_mask": seen},
            "targets": pad([scored for _, scored in pairs], 0, length),
        }
