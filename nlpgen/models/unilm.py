"""UniLM: an encoder with its masked-language-model head that writes, given a source."""

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.layers import causal_mask, padding_mask, prefix_mask, shared_mask
from nlpgen.models.generating import TextGenerator
from nlpgen.models.masked_lm import MaskedLM
from nlpgen.text import pad


@keras.saving.register_keras_serializable("nlpgen")
class UniLM(TextGenerator, MaskedLM):
    """A sequence-to-sequence model of one encoder (Dong et al., 2019, https://arxiv.org/abs/1905.03197).

    Source and target stand in one row, `[CLS] source [SEP] target [SEP]`, the target in segment 1. The source sees
    itself, a token of the target the source and what stands before it; its logits are those of the token that follows.
    Keys and values of the source are therefore computed once, and each step adds those of one token.

    Args:
        mlm: a `MaskedLM` on any encoder, whose weights it shares, or such an encoder. The config may say any
            `application`: "encoder" and "unilm" are the same here, and with "lm" all is causal and in segment 0, so
            that a text `[CLS] text` is continued.

    Call arguments:
        inputs: those of the encoder, `segment_ids` always.

    Returns:
        Logits `(batch, length, vocab_size)`, or `(batch, n, vocab_size)` at `positions`.

    Example:
        >>> from nlpgen import MaskedLM
        >>> lm = UniLM(MaskedLM.from_pretrained("bert-tiny-zh"))  # its weights have yet to learn to write
        >>> len(lm.generate(["今天天气不错", "双十一"], max_new_tokens=8))
        2
    """

    export_inputs = ("token_ids", "segment_ids")

    def __init__(self, mlm, **kwargs):
        backbone = mlm.backbone if isinstance(mlm, MaskedLM) else mlm
        super().__init__(backbone, **kwargs)
        if isinstance(mlm, MaskedLM):
            del self.head
            self.head, self.tokenizer, self.built = mlm.head, mlm.tokenizer, mlm.built

    @property
    def continues(self):
        """Whether what is written stands behind the prompt, and does not answer it."""
        return self.backbone.config.application == "lm"

    def call(self, inputs, training=None):
        self.backbone.check_inputs(inputs)
        if inputs.get("segment_ids") is None:
            raise InputError("UniLM needs `segment_ids`: 0 for the source, 1 for the target.")
        if inputs.get("padding_mask") is None:
            mask = padding_mask(inputs["token_ids"], self.backbone.config.pad_token_id)
        else:
            mask = ops.cast(inputs["padding_mask"], "bool")[:, None, None, :]
        order = causal_mask(ops.shape(mask)[-1]) if self.continues else prefix_mask(inputs["segment_ids"])
        inputs = {**inputs, "segment_ids": self._segments(inputs["segment_ids"])}
        hidden, _ = self.backbone.encode_with(
            self.backbone.embed(inputs), inputs, mask & order, self.backbone.relative_positions(inputs)
        )
        return self.logits(hidden, condition=inputs.get("condition"))

    def room(self):
        """Most tokens of source and target together, or `None`."""
        return self.backbone.longest

    def end_ids(self):
        """Tokens that end a target."""
        return () if self.tokenizer is None or self.tokenizer.eos_id is None else (self.tokenizer.eos_id,)

    def prompt_ids(self, texts):
        """Ids of sources, with the tokens around a text; of a text to be continued without the one behind it."""
        if not self.continues:
            return [self.tokenizer.encode(text).token_ids for text in texts]
        start = [] if self.tokenizer.cls_id is None else [self.tokenizer.cls_id]
        return [[*start, *ids] for ids in self.tokenizer.ids(texts)]

    def last_ids(self, rows):
        """What is read with the first step, `(batch,)`."""
        return np.array([row[-1] for row in rows], "int32")

    def context(self, rows):
        """What rules see of the prompts: only a text that is continued."""
        return rows if self.continues else [[]] * len(rows)

    def empty_cache(self, batch, places):
        """Keys and values of what will be written."""
        return self.backbone.empty_cache(batch, places)

    def read(self, prompts):
        """What all steps need of the sources; see `CausalLM.read`.

        Args:
            prompts: `token_ids` `(batch, places)`, padded at the end, `lengths` `(batch,)`, and perhaps `condition`.
        """
        token_ids, lengths = prompts["token_ids"], prompts["lengths"][:, None]
        places = ops.arange(token_ids.shape[1])
        inputs = {
            "token_ids": token_ids,
            "segment_ids": ops.zeros_like(token_ids),
            "position_ids": places,
            "positions": ops.zeros_like(lengths),
            "condition": prompts.get("condition"),
        }
        mask = (places < lengths)[:, None, None, :]
        if self.continues:
            mask = mask & causal_mask(token_ids.shape[1])
        relative = self.backbone.relative_positions(inputs)
        _, kept = self.backbone.encode_with(self.backbone.embed(inputs), inputs, mask, relative)
        read = {"keys_values": kept, "seen": places < lengths - 1, "lengths": lengths}
        return read | {name: prompts[name] for name in ("condition",) if name in prompts}

    def next_logits(self, token_ids, n, read, cache):
        """Logits after one token more; see `CausalLM.next_logits`."""
        rows, places = token_ids.shape[0], cache[0][0].shape[2]
        width = rows // read["lengths"].shape[0]
        before = ops.repeat(read["lengths"], width, axis=0) - 1
        condition = read.get("condition")
        condition = None if condition is None else ops.repeat(condition, width, axis=0)
        inputs = {
            "token_ids": token_ids[:, None],
            "segment_ids": self._segments(ops.zeros_like(before) + ops.cast(n > 0, before.dtype)),
            "position_ids": before + n,
            "condition": condition,
        }
        mask = shared_mask(read["seen"], causal_mask(1, places, n), rows)
        first = ops.broadcast_to(ops.arange(read["seen"].shape[1], dtype=before.dtype), (rows, read["seen"].shape[1]))
        keys = ops.concatenate([first, before + ops.arange(places, dtype=before.dtype)], axis=1)
        relative = self.backbone.relative_positions(inputs, keys)
        caches = [(*own, *others) for own, others in zip(cache, read["keys_values"], strict=True)]
        x = self.backbone.embed(inputs)
        hidden, cache = self.backbone.encode_with(x, inputs, mask, relative, caches, n)
        return self.logits(hidden, condition=condition)[:, 0], cache

    def scored_ids(self, texts, targets, max_length):
        """For each text what is given, and what is scored, with its end."""
        if self.continues:
            rows = [self.tokenizer.encode(text, max_length=max_length).token_ids for text in texts]
            return [(row[:1], row[1:]) for row in rows]
        rows = [
            self.tokenizer.encode(source, target, max_length=max_length)
            for source, target in zip(texts, targets, strict=True)
        ]
        cuts = [row.segment_ids.index(1) for row in rows]
        return [(row.token_ids[:cut], row.token_ids[cut:]) for row, cut in zip(rows, cuts, strict=True)]

    def scoring_inputs(self, pairs, length):
        """What `TokenScoring` reads."""
        rows = [[*given, *scored[:-1]] for given, scored in pairs]
        segments = [[0] * len(given) + [1] * (len(scored) - 1) for given, scored in pairs]
        places = [range(len(given) - 1, len(row)) for (given, _), row in zip(pairs, rows, strict=True)]
        return {
            "model": {
                "token_ids": pad(rows, 0, length),
                "segment_ids": pad(segments, 0, length),
                "position_ids": np.broadcast_to(np.arange(length, dtype="int32"), (len(rows), length)),
                "padding_mask": np.arange(length) < np.array([len(row) for row in rows])[:, None],
                "positions": pad(places, 0, length),
            },
            "targets": pad([scored for _, scored in pairs], 0, length),
        }

    def _segments(self, segment_ids):
        """Segments that the encoder has: one without a second has the target in the first, as a causal one does."""
        few = self.continues or self.backbone.config.type_vocab_size == 1
        return ops.zeros_like(segment_ids) if few else segment_ids
