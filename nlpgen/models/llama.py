"""LLaMA (Touvron et al., 2023, https://arxiv.org/abs/2302.13971), LLaMA 2 and 3, and what has their form."""

from dataclasses import dataclass

import keras

from nlpgen.models.rotary_decoder import FIRST, RotaryDecoder, RotaryDecoderConfig


@dataclass(frozen=True)
class LlamaConfig(RotaryDecoderConfig):
    """The fields of LLaMA's `config.json`.

    Args:
        attention_bias: whether query, key, value and output have biases.
        mlp_bias: whether the feed-forward layers have.
    """

    attention_bias: bool = False
    mlp_bias: bool = False


@keras.saving.register_keras_serializable("nlpgen")
class Llama(RotaryDecoder):
    """See `RotaryDecoder`, and `Decoder` for the call."""

    config_class = LlamaConfig
    model_type = "llama"
    has = (f"{FIRST}/self_attn/q_proj/kernel", f"{FIRST}/mlp/gate_proj/kernel")
    lacks = (f"{FIRST}/self_attn/q_proj/bias", f"{FIRST}/self_attn/q_norm/gamma")

    @property
    def block_options(self):
        c = self.config
        return {"use_bias": c.mlp_bias, "attention": {"use_bias": c.attention_bias, "output_bias": c.attention_bias}}
