"""Qwen2 and Qwen2.5 (Yang et al., 2024, https://arxiv.org/abs/2407.10671): LLaMA with biases of query, key, value."""

from dataclasses import dataclass

import keras

from nlpgen.models.rotary_decoder import FIRST, RotaryDecoder, RotaryDecoderConfig


@dataclass(frozen=True)
class Qwen2Config(RotaryDecoderConfig):
    """The fields of Qwen2's `config.json`.

    Args:
        use_sliding_window, sliding_window, max_window_layers: whether layers from `max_window_layers` on see only the
            last `sliding_window` tokens. That is not built: it must change nothing.
    """

    use_sliding_window: bool = False
    sliding_window: int | None = None
    max_window_layers: int = 28

    def problems(self):
        window = self.sliding_window if self.use_sliding_window else None
        if window is None or window >= self.max_position_embeddings or self.max_window_layers >= self.num_hidden_layers:
            return super().problems()
        return [
            f"`use_sliding_window` must be false, attention within a window is not built. Received: true, {window:,} "
            f"tokens in layers from {self.max_window_layers} on",
            *super().problems(),
        ]


@keras.saving.register_keras_serializable("nlpgen")
class Qwen2(RotaryDecoder):
    """See `RotaryDecoder`, and `Decoder` for the call."""

    config_class = Qwen2Config
    model_type = "qwen2"
    has = (f"{FIRST}/self_attn/q_proj/bias", f"{FIRST}/mlp/gate_proj/kernel")
    lacks = (f"{FIRST}/self_attn/o_proj/bias", f"{FIRST}/self_attn/q_norm/gamma")

    @property
    def block_options(self):
        return {"use_bias": False, "attention": {"use_bias": True, "output_bias": False}}
