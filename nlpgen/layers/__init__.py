from nlpgen.layers.activations import ACTIVATIONS
from nlpgen.layers.attention import MultiHeadAttention
from nlpgen.layers.block import TransformerBlock
from nlpgen.layers.embeddings import InputEmbeddings
from nlpgen.layers.masks import causal_mask, padding_mask, prefix_mask
from nlpgen.layers.norms import LayerNorm
from nlpgen.layers.positions import PositionEmbedding

__all__ = [
    "ACTIVATIONS",
    "InputEmbeddings",
    "LayerNorm",
    "MultiHeadAttention",
    "PositionEmbedding",
    "TransformerBlock",
    "causal_mask",
    "padding_mask",
    "prefix_mask",
]
