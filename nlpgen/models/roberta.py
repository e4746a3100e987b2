"""RoBERTa (Liu et al., 2019, https://arxiv.org/abs/1907.11692) in the form of fairseq and Hugging Face.

The Chinese models named RoBERTa (RoBERTa-wwm-ext and its like) have BERT's form and are a `Bert`.
"""

from dataclasses import dataclass

import keras
from keras import ops

from nlpgen.errors import InputError
from nlpgen.models.bert import Bert, BertConfig

LAYER = "roberta/encoder/layer_{i}"


@dataclass(frozen=True)
class RobertaConfig(BertConfig):
    """The fields of RoBERTa's `config.json`; see `BertConfig` for the others.

    Args:
        position_padding_id: row of the position table for padding; the positions of tokens follow it. By default
            `pad_token_id`, as it was before the vocabulary was cut.
    """

    pad_token_id: int = 1
    position_padding_id: int | None = None

    def problems(self):
        found = super().problems()
        if not found and self.longest < 1:
            found.append(
                f"`max_position_embeddings` must be more than {self.position_padding + 1}, which are not for tokens. "
                f"Received: {self.max_position_embeddings}"
            )
        if self.hierarchical_position:
            found.append("`hierarchical_position` is not for RoBERTa, whose positions do not start at row 0")
        return found

    @property
    def position_padding(self):
        """The row of padding."""
        return self.pad_token_id if self.position_padding_id is None else self.position_padding_id

    @property
    def longest(self):
        """How many rows are for tokens."""
        return self.max_position_embeddings - self.position_padding - 1

    def to_hugging_face(self):
        if self.position_padding != self.pad_token_id:
            raise InputError(
                f"transformers counts RoBERTa's positions from `pad_token_id`, which is {self.pad_token_id} here, but "
                f"the weights count from {self.position_padding}. Keep [PAD] at id {self.position_padding} in "
                "`keep_tokens`, or save with format='nlpgen'."
            )
        return super().to_hugging_face()


@keras.saving.register_keras_serializable("nlpgen")
class Roberta(Bert):
    """BERT whose positions count only the tokens that are not padding. See `Bert` for the call.

    `position_ids`, where they are given, count from 0 as in the other models.
    """

    config_class = RobertaConfig
    model_type = "roberta"
    checkpoint_names = {
        "embeddings.token": "roberta/embeddings/word_embeddings",
        "embeddings.segment": "roberta/embeddings/token_type_embeddings",
        "embeddings.position": "roberta/embeddings/position_embeddings",
        "embeddings.norm": "roberta/embeddings/LayerNorm",
        "embedding_projection": "roberta/encoder/embedding_hidden_mapping_in",
        "blocks.{i}.attention.query": f"{LAYER}/attention/self/query",
        "blocks.{i}.attention.key": f"{LAYER}/attention/self/key",
        "blocks.{i}.attention.value": f"{LAYER}/attention/self/value",
        "blocks.{i}.attention.output_projection": f"{LAYER}/attention/output/dense",
        "blocks.{i}.attention_norm": f"{LAYER}/attention/output/LayerNorm",
        "blocks.{i}.up": f"{LAYER}/intermediate/dense",
        "blocks.{i}.down": f"{LAYER}/output/dense",
        "blocks.{i}.ffn_norm": f"{LAYER}/output/LayerNorm",
    }
    has = ("roberta/encoder/layer_0/attention/self/query/kernel",)
    lacks = ()
    vocabulary_names = ("roberta/embeddings/word_embeddings", "lm_head/bias")
    heads = {
        "masked_lm": {"dense": "lm_head/dense", "norm": "lm_head/layer_norm", "bias": "lm_head/bias"},
        "pooler": {"dense": "roberta/pooler/dense"},
    }

    @classmethod
    def config_of(cls, folder):
        config = super().config_of(folder)
        return config.replace(position_padding_id=config.position_padding)

    @property
    def longest(self):
        return self.config.longest

    def embedding_inputs(self, inputs):
        token_ids, segment_ids, position_ids, condition = super().embedding_inputs(inputs)
        padding = self.config.position_padding
        if position_ids is None:
            token = ops.cast(ops.not_equal(token_ids, self.config.pad_token_id), "int32")
            rows = padding + ops.cumsum(token, axis=1) * token
        else:
            rows = padding + 1 + position_ids
        return token_ids, segment_ids, rows, condition
