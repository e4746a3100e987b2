from nlpgen.layers.activations import ACTIVATIONS
from nlpgen.layers.attention import NORMALIZATIONS, MultiHeadAttention, attention_weights, written_cache
from nlpgen.layers.block import CrossAttentionBlock, PreNormBlock, TransformerBlock
from nlpgen.layers.crf import CRF, viterbi
from nlpgen.layers.embeddings import InputEmbeddings
from nlpgen.layers.gated_attention import GatedAttentionUnit
from nlpgen.layers.gated_convolution import GatedConvolution
from nlpgen.layers.global_pointer import EfficientGlobalPointer, GlobalPointer
from nlpgen.layers.losses import multilabel_categorical_crossentropy, sparse_multilabel_categorical_crossentropy
from nlpgen.layers.masks import causal_mask, padding_mask, prefix_mask, shared_mask
from nlpgen.layers.norms import LayerNorm, RMSNorm, make_norm
from nlpgen.layers.pooling import POOLINGS, Pooling, QueryPooling
from nlpgen.layers.positions import (
    PositionEmbedding,
    RelativePositionBias,
    RelativeSinusoids,
    RotaryEmbedding,
    SinusoidalEmbedding,
    relative_position_buckets,
    rotary_speeds,
)
from nlpgen.layers.soft_prompts import PROMPT_ENCODERS, PrefixEncoder, PromptEncoder

__all__ = [
    "ACTIVATIONS",
    "CRF",
    "NORMALIZATIONS",
    "POOLINGS",
    "PROMPT_ENCODERS",
    "CrossAttentionBlock",
    "EfficientGlobalPointer",
    "GatedAttentionUnit",
    "GatedConvolution",
    "GlobalPointer",
    "InputEmbeddings",
    "LayerNorm",
    "MultiHeadAttention",
    "Pooling",
    "PositionEmbedding",
    "PreNormBlock",
    "PrefixEncoder",
    "PromptEncoder",
    "QueryPooling",
    "RMSNorm",
    "RelativePositionBias",
    "RelativeSinusoids",
    "RotaryEmbedding",
    "SinusoidalEmbedding",
    "TransformerBlock",
    "attention_weights",
    "causal_mask",
    "make_norm",
    "multilabel_categorical_crossentropy",
    "padding_mask",
    "prefix_mask",
    "relative_position_buckets",
    "rotary_speeds",
    "shared_mask",
    "sparse_multilabel_categorical_crossentropy",
    "viterbi",
    "written_cache",
]
