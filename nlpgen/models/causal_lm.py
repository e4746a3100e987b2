"""A decoder with its language-model head: logits of the next token."""

import keras

from nlpgen.models.language_model import NextTokenModel


@keras.saving.register_keras_serializable("nlpgen")
class CausalLM(NextTokenModel):
    """A causal language model: at each position the logits of the token that follows.

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
