"""RoFormer (Su et al., 2021, https://arxiv.org/abs/2104.09864): BERT with rotary positions in the attention."""

from dataclasses import dataclass

import keras

from nlpgen.models.bert import Bert
from nlpgen.models.encoder import Encoder, EncoderConfig


@dataclass(frozen=True)
class RoFormerConfig(EncoderConfig):
    """The fields of RoFormer's config; see `EncoderConfig` for the options beside them."""

    only = EncoderConfig.only | {"rotary_value": False, "norm_type": "layer_norm", "use_bias": True}
    only_ours = tuple(name for name in EncoderConfig.only_ours if name != "embedding_size")

    def problems(self):
        return super().problems() or self._must_have_even_heads()


@keras.saving.register_keras_serializable("nlpgen")
class RoFormer(Encoder):
    """Token and segment embeddings, then blocks that turn queries and keys, neighbouring features in pairs.

    See `Encoder` for the call. The turns follow `position_ids` where they are given, and no text is too long.
    """

    config_class = RoFormerConfig
    model_type = "roformer"
    checkpoint_names = {path: scope for path, scope in Bert.checkpoint_names.items() if path != "embeddings.position"}
    hugging_face_names = {
        "bert/encoder/embedding_hidden_mapping_in": "roformer.embeddings_project",
        "bert/": "roformer.",
    }
    has = ("bert/encoder/layer_0/attention/self/query/bias",)
    lacks = ("bert/embeddings/position_embeddings",)
    vocabulary_names = Bert.vocabulary_names
    heads = Bert.heads

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.embeddings = self.new_embeddings()
        self.blocks = self.new_blocks(attention={"rotary": {}})
