from nlpgen.layers.activations import ACTIVATIONS
from nlpgen.layers.attention import MultiHeadAttention, written_cache
from nlpgen.layers.block import PreNormBlock, TransformerBlock
from nlpgen.layers.embeddings import InputEmbeddings
from nlpgen.layers.masks import causal_mask, padding_mask, prefix_mask
from nlpgen.layers.norms import LayerNorm, RMSNorm, make_norm
from nlpgen.layers.positions import PositionEmbedding, RotaryEmbedding, rotary_speeds

__all__ = [
    "ACTIVATIONS",
    "InputEmbeddings",
    "LayerNorm",
    "MultiHeadAttention",
    "PositionEmbedding",
    "PreNormBlock",
    "RMSNorm",
    "RotaryEmbedding",
    "TransformerBlock",
    "causal_mask",
    "make_norm",
    "padding_mask",
    "prefix_mask",
    "rotary_speeds",
    "written_cache",
]
