"""An encoder and decoder with its language-model head: logits of the target's next token."""

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.models.generating import TextGenerator
from nlpgen.models.language_model import NextTokenModel
from nlpgen.text import bucket, pad


@keras.saving.register_keras_serializable("nlpgen")
class Seq2SeqLM(TextGenerator, NextTokenModel):
    """A language model of a target given a source: at each position of the target the logits of the token that follows.
    It answers sources: `generate`.

    See `NextTokenModel` for the head.

    Args:
        backbone: a built or unbuilt `T5`.

    Call arguments:
        inputs: those of the backbone, a dict of `token_ids`, `decoder_token_ids` and more.

    Returns:
        Logits `(batch, length of the target, vocab_size)`, or `(batch, n, vocab_size)` at `positions`.
    """

    head_name = "seq2seq_lm"
    hugging_face_class = "{}ForConditionalGeneration"
    continues = False

    def __init__(self, backbone, **kwargs):
        super().__init__(backbone, **kwargs)
        c, scaled = backbone.config, backbone.config.scale_decoder_outputs
        if scaled is None:
            scaled = c.tie_word_embeddings and backbone.scales_tied_head
        self.scale = c.hidden_size**-0.5 if scaled else 1.0

    def check_format(self, format):
        if format == "huggingface" and self.scale != 1.0 and not self.backbone.scales_tied_head:
            raise InputError(
                f"Hugging Face's {type(self.backbone).__name__} never divides by sqrt(hidden_size) before its head, so "
                "its logits would be others. Save with format='nlpgen' or 'tensorflow', or load the model with "
                "scale_decoder_outputs=False."
            )

    def logits(self, hidden, token_ids=None):
        return super().logits(hidden * self.scale, token_ids)

    def room(self):
        """`None`: no text is too long."""
        return self.backbone.longest

    def end_ids(self):
        """Tokens that end a target: that of the config, and the tokenizer's."""
        found = {self.backbone.config.eos_token_id, None if self.tokenizer is None else self.tokenizer.eos_id}
        return tuple(sorted(found - {None}))

    def prompt_ids(self, texts):
        """Ids of sources, with the tokens around a text."""
        return [self.tokenizer.encode(text).token_ids for text in texts]

    def last_ids(self, rows):
        """What the targets start with, `(batch,)`."""
        return np.full(len(rows), self.backbone.config.start_token_id, "int32")

    def context(self, rows):
        """What rules see before a target: the token it starts with."""
        return [[self.backbone.config.start_token_id]] * len(rows)

    def empty_cache(self, batch, places):
        """Keys and values of what will be written."""
        return self.backbone.empty_cache(batch, places)

    def read(self, prompts):
        """What all steps need of the sources: keys and values for each block, and which places are seen.

        Args:
            prompts: `token_ids` `(batch, places)`, padded at the end, and `lengths` `(batch,)`.
        """
        token_ids, lengths = prompts["token_ids"], prompts["lengths"][:, None]
        inputs = {"token_ids": token_ids, "padding_mask": ops.arange(token_ids.shape[1]) < lengths}
        kept = self.backbone.source_keys_values(self.backbone.encode_source(inputs))
        return {"source_keys_values": kept, "padding_mask": inputs["padding_mask"]}

    def next_logits(self, token_ids, n, read, cache):
        """Logits after one token more; see `CausalLM.next_logits`."""
        inputs = {**read, "decoder_token_ids": token_ids[:, None]}
        hidden, cache = self.backbone.encode_cached(self.backbone.embed_decoder(inputs), inputs, cache, n)
        return self.logits(hidden[:, 0]), cache

    def scored_ids(self, texts, targets, max_length):
        """For each pair the source, and what is scored, the target with its end."""
        sources, targets = (
            [self.tokenizer.encode(text, max_length=max_length).token_ids for text in column]
            for column in (texts, targets)
        )
        return list(zip(sources, targets, strict=True))

    def scoring_inputs(self, pairs, length):
        """What `TokenScoring` reads."""
        start, sizes = self.backbone.config.start_token_id, np.array([[len(part) for part in pair] for pair in pairs])
        width = bucket(max(sizes[:, 1]))
        return {
            "model": {
                "token_ids": pad([source for source, _ in pairs], 0, length),
                "padding_mask": np.arange(length) < sizes[:, :1],
                "decoder_token_ids": pad([[start, *target[:-1]] for _, target in pairs], 0, width),
                "decoder_padding_mask": np.arange(width) < sizes[:, 1:],
            },
            "targets": pad([target for _, target in pairs], 0, width),
        }
