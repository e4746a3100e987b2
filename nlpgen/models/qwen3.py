"""Qwen3, the dense ones (Yang et al., 2025, https://arxiv.org/abs/2505.09388): LLaMA with norms of queries and keys."""

from dataclasses import dataclass

import keras

from nlpgen.models.qwen2 import Qwen2Config
from nlpgen.models.rotary_decoder import FIRST, LAYER, RotaryDecoder


@dataclass(frozen=True)
class Qwen3Config(Qwen2Config):
    """The fields of Qwen3's `config.json`: those of Qwen2's, and `attention_bias`.

    Args:
        attention_bias: whether query, key, value and output have biases.
    """

    head_dim: int | None = 128
    attention_bias: bool = False


@keras.saving.register_keras_serializable("nlpgen")
class Qwen3(RotaryDecoder):
    """See `RotaryDecoder`, and `Decoder` for the call."""

    config_class = Qwen3Config
    model_type = "qwen3"
    checkpoint_names = RotaryDecoder.checkpoint_names | {
        "blocks.{i}.attention.query_norm.gamma": f"{LAYER}/self_attn/q_norm/gamma",
        "blocks.{i}.attention.key_norm.gamma": f"{LAYER}/self_attn/k_norm/gamma",
    }
    has = (f"{FIRST}/self_attn/q_norm/gamma", f"{FIRST}/mlp/gate_proj/kernel")

    @property
    def block_options(self):
        c = self.config
        attention = {"use_bias": c.attention_bias, "output_bias": c.attention_bias, "head_norm": c.rms_norm_eps}
        return {"use_bias": False, "attention": attention}
