"""NEZHA (Wei et al., 2019, https://arxiv.org/abs/1909.00204): BERT with fixed relative positions in the attention."""

from dataclasses import dataclass

import keras
from keras import ops

from nlpgen.layers import RelativeSinusoids
from nlpgen.models.bert import Bert
from nlpgen.models.encoder import Encoder, EncoderConfig


@dataclass(frozen=True)
class NezhaConfig(EncoderConfig):
    """The fields of NEZHA's `bert_config.json`; see `EncoderConfig` for the options beside them.

    Args:
        max_relative_position: the largest distance that is told from others.
    """

    only = EncoderConfig.only | {"use_relative_position": True}
    max_relative_position: int = 64

    def problems(self):
        return super().problems() or self._must_be_positive("max_relative_position") + self._must_have_even_heads()


@keras.saving.register_keras_serializable("nlpgen")
class Nezha(Encoder):
    """Token and segment embeddings, then blocks that add a vector of the distance to keys and values.

    See `Encoder` for the call. Distances follow `position_ids` where they are given, and no text is too long.
    """

    config_class = NezhaConfig
    model_type = "nezha"
    other_types = ("bert",)
    config_marks = ("use_relative_position", "max_relative_position")
    checkpoint_names = {path: scope for path, scope in Bert.checkpoint_names.items() if path != "embeddings.position"}
    hugging_face_names = {"bert/": "nezha."}
    has = ("bert/encoder/layer_0/attention/self/query/bias",)
    lacks = ("bert/embeddings/position_embeddings",)
    vocabulary_names = Bert.vocabulary_names
    heads = Bert.heads

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.embeddings = self.new_embeddings()
        head_size = config.hidden_size // config.num_attention_heads
        self.relative = RelativeSinusoids(
            head_size, config.max_relative_position, dtype=self.dtype_policy, name="relative"
        )
        self.blocks = self.new_blocks()

    def relative_positions(self, inputs, key_position_ids=None):
        position_ids = inputs.get("position_ids")
        if position_ids is None:
            position_ids = ops.arange(ops.shape(inputs["token_ids"])[1])
        return self.relative(position_ids, key_position_ids)
