from nlpgen.layers.activations import ACTIVATIONS
from nlpgen.layers.attention import NORMALIZATIONS, MultiHeadAttention, attention_weights, written_cache
from nlpgen.layers.block import CrossAttentionBlock, PreNormBlock, TransformerBlock
from nlpgen.layers.embeddings import InputEmbeddings
from nlpgen.layers.gated_attention import GatedAttentionUnit
from nlpgen.layers.masks import causal_mask, padding_mask, prefix_mask
from nlpgen.layers.norms import LayerNorm, RMSNorm, make_norm
from nlpgen.layers.positions import (
    PositionEmbedding,
    RelativePositionBias,
    RelativeSinusoids,
    RotaryEmbedding,
    SinusoidalEmbedding,
    relative_position_buckets,
    rotary_speeds,
)

__all__ = [
    "ACTIVATIONS",
    "NORMALIZATIONS",
    "CrossAttentionBlock",
    "GatedAttentionUnit",
    "InputEmbeddings",
    "LayerNorm",
    "MultiHeadAttention",
    "PositionEmbedding",
    "PreNormBlock",
    "RMSNorm",
    "RelativePositionBias",
    "RelativeSinusoids",
    "RotaryEmbedding",
    "SinusoidalEmbedding",
    "TransformerBlock",
    "attention_weights",
    "causal_mask",
    "make_norm",
    "padding_mask",
    "prefix_mask",
    "relative_position_buckets",
    "rotary_speeds",
    "written_cache",
]
