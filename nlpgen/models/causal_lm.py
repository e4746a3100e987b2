"""A decoder with its language-model head: logits of the next token."""

import keras
from keras import ops

from nlpgen.checkpoints import under
from nlpgen.models.architectures import architecture_of
from nlpgen.models.language_model import LanguageModel


@keras.saving.register_keras_serializable("nlpgen")
class CausalLM(LanguageModel):
    """A causal language model: at each position the logits of the token that follows.

    The head is the token embedding itself, or a projection of its own where the config says
    `tie_word_embeddings=False`.

    Args:
        backbone: a built or unbuilt `Decoder`.

    Call arguments:
        inputs: those of the backbone.

    Returns:
        Logits `(batch, length, vocab_size)`, or `(batch, n, vocab_size)` at `positions`.
    """

    architecture = staticmethod(architecture_of)

    def __init__(self, backbone, **kwargs):
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        backbone.head_names("causal_lm")  # an encoder has none, and says which it has
        self.backbone = backbone
        self.tokenizer = backbone.tokenizer
        self.projection = None
        backbone.head_names("causal_lm")  # raises if there is no such head
        if not getattr(backbone.config, "tie_word_embeddings", True):
            self.projection = keras.layers.Dense(
                backbone.config.vocab_size, use_bias=False, name="projection", dtype=self.dtype_policy
            )

    @property
    def hugging_face_class(self):
        """The name of Hugging Face's class, with a place for the architecture's."""
        return self.backbone.causal_lm_class

    @property
    def checkpoint_names(self):
        return under("backbone", self.backbone.checkpoint_names) | self.backbone.head_names("causal_lm")

    def build(self, input_shape=None):
        if not self.backbone.built:
            self.backbone.build()
        if self.projection is not None:
            self.projection.build((None, None, self.backbone.config.hidden_size))

    def call(self, inputs, training=None):
        return self.logits(self.backbone(inputs))

    def logits(self, hidden, token_ids=None):
        """Hidden states to logits.

        Args:
            hidden: `(…, hidden_size)`.
            token_ids: `(k,)`; only the logits of these tokens.

        Returns:
            `(…, vocab_size)` or `(…, k)`.
        """
        if self.projection is not None:
            logits = self.projection(hidden)
            return logits if token_ids is None else ops.take(logits, token_ids, axis=-1)
        table = self.backbone.embeddings.token.embeddings
        if token_ids is not None:
            table = ops.take(table, token_ids, axis=0)
        return ops.matmul(hidden, ops.transpose(ops.cast(table, hidden.dtype)))
