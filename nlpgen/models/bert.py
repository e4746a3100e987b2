"""BERT (Devlin et al., 2018, https://arxiv.org/abs/1810.04805).

Also RoBERTa-wwm-ext, MacBERT and ERNIE in BERT's form, which are BERT with other pretraining.
"""

from dataclasses import dataclass

import keras

from nlpgen.checkpoints import Transposed
from nlpgen.models.encoder import Encoder, EncoderConfig


@dataclass(frozen=True)
class BertConfig(EncoderConfig):
    """The fields of `bert_config.json`; see `EncoderConfig` for the options beside them.

    Args:
        hierarchical_position: alpha of `PositionEmbedding`; `True` is 0.4.
        attention_key_size: width of a head's queries and keys, where its values have another (the small RoBERTas K-104
            and K-128); `hidden_size / num_attention_heads` by default.
    """

    only = EncoderConfig.only | {"position_embedding_type": "absolute"}
    only_ours = (*EncoderConfig.only_ours, "attention_key_size")
    hierarchical_position: bool | float | None = None
    attention_key_size: int | None = None

    def problems(self):
        found, alpha = super().problems(), self.hierarchical_position
        found += [] if self.attention_key_size is None else self._must_be_positive("attention_key_size")
        if alpha is not None and not isinstance(alpha, bool) and not 0 < alpha < 1:
            found.append(f"`hierarchical_position` must lie between 0 and 1. Received: {alpha}")
        return found


@keras.saving.register_keras_serializable("nlpgen")
class Bert(Encoder):
    """Token, segment and position embeddings, then post-norm Transformer blocks. See `Encoder` for the call."""

    config_class = BertConfig
    model_type = "bert"
    checkpoint_names = {
        "embeddings.token": "bert/embeddings/word_embeddings",
        "embeddings.segment": "bert/embeddings/token_type_embeddings",
        "embeddings.position": "bert/embeddings/position_embeddings",
        "embeddings.norm": "bert/embeddings/LayerNorm",
        "embedding_projection": "bert/encoder/embedding_hidden_mapping_in",
        "blocks.{i}.attention.query": "bert/encoder/layer_{i}/attention/self/query",
        "blocks.{i}.attention.key": "bert/encoder/layer_{i}/attention/self/key",
        "blocks.{i}.attention.value": "bert/encoder/layer_{i}/attention/self/value",
        "blocks.{i}.attention.output_projection": "bert/encoder/layer_{i}/attention/output/dense",
        "blocks.{i}.attention_norm": "bert/encoder/layer_{i}/attention/output/LayerNorm",
        "blocks.{i}.up": "bert/encoder/layer_{i}/intermediate/dense",
        "blocks.{i}.down": "bert/encoder/layer_{i}/output/dense",
        "blocks.{i}.ffn_norm": "bert/encoder/layer_{i}/output/LayerNorm",
    }
    has = ("bert/encoder/layer_0/attention/self/query/kernel", "bert/embeddings/position_embeddings")
    lacks = ("bert/embeddings/task_type_embeddings",)
    vocabulary_names = ("bert/embeddings/word_embeddings", "cls/predictions/output_bias")
    heads = {
        "masked_lm": {
            "dense": "cls/predictions/transform/dense",
            "norm": "cls/predictions/transform/LayerNorm",
            "bias": "cls/predictions/output_bias",
        },
        "pooler": {"dense": "bert/pooler/dense"},
        "next_sentence": {
            "kernel": Transposed("cls/seq_relationship/output_weights"),
            "bias": "cls/seq_relationship/output_bias",
        },
    }

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        alpha = config.hierarchical_position
        self.embeddings = self.new_embeddings(
            config.max_position_embeddings,
            hierarchical=0.4 if alpha is True else alpha or None,
            **self.embedding_options,
        )
        self.blocks = self.new_blocks(self.num_blocks, attention={"key_size": config.attention_key_size})

    @property
    def embedding_options(self):
        """Further options of `InputEmbeddings`, for what is built on BERT."""
        return {}

    @property
    def num_blocks(self):
        """How many blocks have weights of their own."""
        return self.config.num_hidden_layers
