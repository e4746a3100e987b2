"""An encoder and decoder with its language-model head: logits of the target's next token."""

import keras

from nlpgen.errors import InputError
from nlpgen.models.language_model import NextTokenModel


@keras.saving.register_keras_serializable("nlpgen")
class Seq2SeqLM(NextTokenModel):
    """A language model of a target given a source: at each position of the target the logits of the token that follows.

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
