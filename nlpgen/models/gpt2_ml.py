"""GPT2-ML (Zhang, 2019, https://github.com/imcaspar/gpt2-ml), Chinese Grover: neither GPT-2 nor GPT.

A block is `x + attention(x)`, then `norm_1(x + feed_forward(norm_0(x)))`, and the embeddings have a norm.
"""

from dataclasses import dataclass

import keras

from nlpgen.checkpoints import Conv1D
from nlpgen.layers import TransformerBlock
from nlpgen.models.decoder import Decoder
from nlpgen.models.gpt2 import GPT2Config, new_blocks, new_embeddings

LAYER, HF_LAYER = "newslm/layer{i:02d}", "transformer.h.{i}"


@dataclass(frozen=True)
class GPT2MLConfig(GPT2Config):
    """The fields of the release's `mega.json`; the names of its PyTorch port, GPT-2's, are read and written too.

    `vocab_size` is 8021 in the file of both releases, though one has 21128 tokens: the tensors decide.
    """

    hidden_act: str = "gelu"


@keras.saving.register_keras_serializable("nlpgen")
class GPT2MLBlock(TransformerBlock):
    """attention → add, then norm → feed-forward → add → norm. Arguments are those of `TransformerBlock`."""

    def call(
        self,
        x,
        attention_mask=None,
        bias=None,
        relative=None,
        positions=None,
        condition=None,
        position_ids=None,
        cache=None,
        cache_index=0,
    ):
        where = attention_mask, bias, relative, positions, position_ids, cache, cache_index
        x, attended, scores, keys_values = self.self_attention(x, x, *where)
        x = x + self.dropout(attended)
        x = x + self.dropout(self.feed_forward(self.attention_norm(x, condition)))
        return self.ffn_norm(x, condition), scores, keys_values


@keras.saving.register_keras_serializable("nlpgen")
class GPT2ML(Decoder):
    """Token and position embeddings, a norm, then blocks of its own kind. See `Decoder` for the call.

    Its PyTorch port says `model_type` "gpt2"; what is written says "gpt2_ml", since transformers would read the other
    as a GPT-2, with a norm at random.
    """

    config_class = GPT2MLConfig
    model_type = "gpt2_ml"
    other_types = ("gpt2",)
    causal_lm_class = "{}LMHeadModel"
    checkpoint_names = {
        "embeddings.token": "newslm/embeddings/word_embed",
        "embeddings.position": "newslm/embeddings/pos_embed",
        "embeddings.norm": "newslm/embeddings/LayerNorm_embed_norm",
        "blocks.{i}.attention.query": f"{LAYER}/query_layer",
        "blocks.{i}.attention.key": f"{LAYER}/key_layer",
        "blocks.{i}.attention.value": f"{LAYER}/value_layer",
        "blocks.{i}.attention.output_projection": f"{LAYER}/context_projection_layer",
        "blocks.{i}.attention_norm": f"{LAYER}/LayerNorm_mlp_ln0",
        "blocks.{i}.up": f"{LAYER}/intermediate",
        "blocks.{i}.down": f"{LAYER}/output",
        "blocks.{i}.ffn_norm": f"{LAYER}/LayerNorm_mlp_ln1",
    }
    hugging_face_names = {
        "newslm/embeddings/word_embed": "transformer.wte.weight",
        "newslm/embeddings/pos_embed": "transformer.wpe.weight",
        "newslm/embeddings/LayerNorm_embed_norm": "transformer.emb_norm",
        f"{LAYER}/query_layer": Conv1D(f"{HF_LAYER}.attn.c_attn", 0, 3),
        f"{LAYER}/key_layer": Conv1D(f"{HF_LAYER}.attn.c_attn", 1, 3),
        f"{LAYER}/value_layer": Conv1D(f"{HF_LAYER}.attn.c_attn", 2, 3),
        f"{LAYER}/context_projection_layer": Conv1D(f"{HF_LAYER}.attn.c_proj"),
        f"{LAYER}/LayerNorm_mlp_ln0": f"{HF_LAYER}.ln_1",
        f"{LAYER}/intermediate": Conv1D(f"{HF_LAYER}.mlp.c_fc"),
        f"{LAYER}/output": Conv1D(f"{HF_LAYER}.mlp.c_proj"),
        f"{LAYER}/LayerNorm_mlp_ln1": f"{HF_LAYER}.ln_2",
    }
    has = ("newslm/embeddings/word_embed", "newslm/embeddings/LayerNorm_embed_norm/gamma")
    vocabulary_names = ("newslm/embeddings/word_embed",)
    heads = {"causal_lm": {}}

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.embeddings = new_embeddings(self, norm=self.norm_options)
        self.blocks = new_blocks(self, GPT2MLBlock)
