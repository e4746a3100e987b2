"""RoFormerV2 (Su et al., 2022, https://github.com/ZhuiyiTechnology/roformer-v2): RoFormer without biases, its norms a
division by the root mean square, and no weights in the head.
"""

from dataclasses import dataclass

import keras

from nlpgen.models.encoder import Encoder
from nlpgen.models.roformer import RoFormer, RoFormerConfig

# Rows of RoFormer's table whose layers have a kernel, or a table of embeddings.
KEPT = {path: scope for path, scope in RoFormer.checkpoint_names.items() if not path.endswith("norm")}


@dataclass(frozen=True)
class RoFormerV2Config(RoFormerConfig):
    """The fields of RoFormer's config; see `EncoderConfig` for the options beside them.

    Args:
        layer_norm_eps: 1e-7, as bert4keras has it, unless the config says another.
    """

    only = RoFormerConfig.only | {"norm_type": "rms_norm", "use_bias": False}
    layer_norm_eps: float = 1e-7

    def problems(self):
        found = super().problems()
        if self.condition_size is not None:
            found.append(
                f"`condition_size` must be null: these norms are not conditional. Received: {self.condition_size}"
            )
        return found

    def to_hugging_face(self):
        return super().to_hugging_face() | {"norm_type": "rms_norm", "use_bias": False}


@keras.saving.register_keras_serializable("nlpgen")
class RoFormerV2(Encoder):
    """Token and segment embeddings, then blocks with rotary positions. See `Encoder` for the call.

    PyTorch ports say `model_type` "roformer"; what is written says "roformer_v2", since transformers would read the
    other as the first RoFormer, with biases and norms at random.
    """

    config_class = RoFormerV2Config
    model_type = "roformer_v2"
    other_types = ("roformer",)
    checkpoint_names = KEPT
    hugging_face_names = RoFormer.hugging_face_names
    has = ("bert/encoder/layer_0/attention/self/query/kernel",)
    lacks = (
        "bert/embeddings/position_embeddings",
        "bert/embeddings/LayerNorm/gamma",
        "bert/encoder/layer_0/attention/self/query/bias",
    )
    vocabulary_names = ("bert/embeddings/word_embeddings",)
    heads = {"masked_lm": {}}

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.embeddings = self.new_embeddings()
        attention = {"rotary": {}, "use_bias": False, "output_bias": False}
        self.blocks = self.new_blocks(use_bias=False, attention=attention)

    @property
    def norm_options(self):
        return {"kind": "rms", "epsilon": self.config.layer_norm_eps, "scale": False}
