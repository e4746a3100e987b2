"""An encoder and decoder with its language-model head: logits of the target's next token."""

import keras

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
    export_inputs = ("token_ids", "decoder_token_ids")

    def __init__(self, backbone, **kwargs):
        super().__init__(backbone, **kwargs)
        c = backbone.config
        scaled = c.tie_word_embeddings if c.scale_decoder_outputs is None else c.scale_decoder_outputs
        self.scale = c.hidden_size**-0.5 if scaled else 1.0

    def logits(self, hidden):
        """Hidden states of the target `(…, hidden_size)` to logits `(…, vocab_size)`."""
        return super().logits(hidden * self.scale)
