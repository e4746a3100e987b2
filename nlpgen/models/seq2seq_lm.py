"""An encoder and decoder with its language-model head: logits of the target's next token."""

import keras
from keras import ops

from nlpgen.checkpoints import under
from nlpgen.models.architectures import architecture_of
from nlpgen.models.language_model import LanguageModel


@keras.saving.register_keras_serializable("nlpgen")
class Seq2SeqLM(LanguageModel):
    """A language model of a target given a source: at each position of the target the logits of the token that follows.

    The head is the token embedding, or a projection of its own where the config says `tie_word_embeddings=False`.

    Args:
        backbone: a built or unbuilt `T5`.

    Call arguments:
        inputs: those of the backbone, a dict of `token_ids`, `decoder_token_ids` and more.

    Returns:
        Logits `(batch, length of the target, vocab_size)`, or `(batch, n, vocab_size)` at `positions`.
    """

    architecture = staticmethod(architecture_of)
    hugging_face_class = "{}ForConditionalGeneration"
    export_inputs = ("token_ids", "decoder_token_ids")

    def __init__(self, backbone, **kwargs):
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        backbone.head_names("seq2seq_lm")  # raises for one without
        self.backbone = backbone
        self.tokenizer = backbone.tokenizer
        c, self.projection = backbone.config, None
        if not c.tie_word_embeddings:
            self.projection = keras.layers.Dense(
                c.vocab_size,
                use_bias=False,
                kernel_initializer=keras.initializers.TruncatedNormal(stddev=c.initializer_range),
                name="projection",
                dtype=self.dtype_policy,
            )
        scaled = c.tie_word_embeddings if c.scale_decoder_outputs is None else c.scale_decoder_outputs
        self.scale = c.hidden_size**-0.5 if scaled else 1.0

    @property
    def checkpoint_names(self):
        return under("backbone", self.backbone.checkpoint_names) | self.backbone.head_names("seq2seq_lm")

    def build(self, input_shape=None):
        if not self.backbone.built:
            self.backbone.build()
        if self.projection is not None:
            self.projection.build((None, None, self.backbone.config.hidden_size))

    def call(self, inputs, training=None):
        return self.logits(self.backbone(inputs))

    def logits(self, hidden):
        """Hidden states of the target `(…, hidden_size)` to logits `(…, vocab_size)`."""
        hidden = hidden * self.scale
        if self.projection is not None:
            return self.projection(hidden)
        table = ops.cast(self.backbone.embeddings.token.embeddings, hidden.dtype)
        return ops.matmul(hidden, ops.transpose(table))
