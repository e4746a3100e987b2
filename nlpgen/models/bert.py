"""BERT (Devlin et al., 2018, https://arxiv.org/abs/1810.04805).

Also RoBERTa-wwm-ext, MacBERT and ERNIE in BERT's form, which are BERT with other pretraining.
"""

from dataclasses import dataclass

import keras

from nlpgen.checkpoints import Transposed
from nlpgen.layers import InputEmbeddings, TransformerBlock, causal_mask, padding_mask, prefix_mask
from nlpgen.models.config import Config
from nlpgen.models.pretrained import Backbone

APPLICATIONS = ("encoder", "lm", "unilm")


@dataclass(frozen=True)
class BertConfig(Config):
    """The fields of `bert_config.json`, then options that bert4keras passes by hand.

    Args:
        application: `"encoder"` (every token sees all), `"lm"` (only what stands before it), `"unilm"` (segment 0 sees
            itself, segment 1 is causal).
        hierarchical_position: alpha of `PositionEmbedding`; `True` is 0.4.
        residual_attention_scores: whether each block adds its attention scores to the next one's (RealFormer).
        condition_size, condition_hidden_size, condition_hidden_act: see `LayerNorm`.
    """

    only = {"position_embedding_type": "absolute", "is_decoder": False}
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    application: str = "encoder"
    hierarchical_position: bool | float | None = None
    residual_attention_scores: bool = False
    condition_size: int | None = None
    condition_hidden_size: int | None = None
    condition_hidden_act: str = "linear"

    def problems(self):
        found = self._must_be_positive(
            "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"
        )
        found += self._must_be_positive("max_position_embeddings")
        found += self._must_be_rate("hidden_dropout_prob", "attention_probs_dropout_prob")
        found += self._must_be_activation("hidden_act", "condition_hidden_act")
        found = found or self._must_divide("num_attention_heads", "hidden_size")
        found += self._must_be_above_zero("layer_norm_eps", "initializer_range")
        found += self._must_be_positive(
            *(name for name in ("condition_size", "condition_hidden_size") if getattr(self, name) is not None)
        )
        if not 0 <= self.pad_token_id < self.vocab_size:
            found.append(f"`pad_token_id` must be an id of the vocabulary. Received: {self.pad_token_id}")
        if self.type_vocab_size < 0:
            found.append(f"`type_vocab_size` must be 0 or more. Received: {self.type_vocab_size}")
        alpha = self.hierarchical_position
        if alpha is not None and not isinstance(alpha, bool) and not 0 < alpha < 1:
            found.append(f"`hierarchical_position` must lie between 0 and 1. Received: {alpha}")
        if self.condition_hidden_size is not None and self.condition_size is None:
            found.append("`condition_hidden_size` needs `condition_size`")
        if self.application not in APPLICATIONS:
            found.append(f"`application` must be one of {', '.join(APPLICATIONS)}. Received: {self.application!r}")
        return found


@keras.saving.register_keras_serializable("nlpgen")
class Bert(Backbone):
    """Token, segment and position embeddings, then post-norm Transformer blocks.

    Call arguments:
        inputs: a dict of `token_ids` `(batch, length)` and, each optional, `segment_ids` and `position_ids` of the same
            shape, `positions` `(batch, n)` to compute only these positions of the last block, and `condition`
            `(batch, condition_size)`. `pad_token_id` is padding; "unilm" needs `segment_ids`.

    Returns:
        Hidden states `(batch, length, hidden_size)`, or `(batch, n, hidden_size)`.
    """

    config_class = BertConfig
    model_type = "bert"
    checkpoint_names = {
        "embeddings.token": "bert/embeddings/word_embeddings",
        "embeddings.segment": "bert/embeddings/token_type_embeddings",
        "embeddings.position": "bert/embeddings/position_embeddings",
        "embeddings.norm": "bert/embeddings/LayerNorm",
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
        c = config
        self.embeddings = InputEmbeddings(
            c.vocab_size,
            c.type_vocab_size,
            c.max_position_embeddings,
            c.hidden_size,
            hierarchical=0.4 if c.hierarchical_position is True else c.hierarchical_position or None,
            dropout=c.hidden_dropout_prob,
            initializer_range=c.initializer_range,
            norm=self.norm_options,
            dtype=self.dtype_policy,
            name="embeddings",
        )
        self.blocks = [
            TransformerBlock(
                c.hidden_size,
                c.num_attention_heads,
                c.intermediate_size,
                activation=c.hidden_act,
                dropout=c.hidden_dropout_prob,
                attention_dropout=c.attention_probs_dropout_prob,
                initializer_range=c.initializer_range,
                norm=self.norm_options,
                dtype=self.dtype_policy,
                name=f"block_{i}",
            )
            for i in range(c.num_hidden_layers)
        ]

    @property
    def norm_options(self):
        """The options of every `LayerNorm` of the model, its heads included."""
        c = self.config
        return {
            "epsilon": c.layer_norm_eps,
            "condition_size": c.condition_size,
            "condition_hidden_size": c.condition_hidden_size,
            "condition_hidden_act": c.condition_hidden_act,
        }

    @property
    def longest(self):
        """The most tokens that the model reads."""
        return self.embeddings.position.longest

    def build(self, input_shape=None):
        self.embeddings.build((None, None))
        for block in self.blocks:
            block.build((None, None, self.config.hidden_size))

    def embed(self, inputs):
        return self.embeddings(
            inputs["token_ids"], inputs.get("segment_ids"), inputs.get("position_ids"), inputs.get("condition")
        )

    def encode(self, x, inputs):
        mask, scores = self.attention_mask(inputs), None
        for i, block in enumerate(self.blocks):
            x, scores, _ = block(
                x,
                attention_mask=mask,
                bias=scores if self.config.residual_attention_scores else None,
                positions=inputs.get("positions") if i == len(self.blocks) - 1 else None,
                condition=inputs.get("condition"),
            )
        return x

    def attention_mask(self, inputs):
        """Which token sees which, `(batch, 1, 1 or length, length)`."""
        mask = padding_mask(inputs["token_ids"], self.config.pad_token_id)
        if self.config.application == "lm":
            return mask & causal_mask(mask.shape[-1])
        if self.config.application == "unilm":
            if inputs.get("segment_ids") is None:
                raise ValueError(
                    "A model with application='unilm' needs `segment_ids`: 0 for the source, 1 for the rest."
                )
            return mask & prefix_mask(inputs["segment_ids"])
        return mask
