"""What LLaMA and decoders after it share: RMS norms, rotary positions, gated feed-forward layers, few key heads."""

from dataclasses import dataclass

from nlpgen.layers import InputEmbeddings, PreNormBlock, make_norm
from nlpgen.models.backbone import untied_if_held
from nlpgen.models.config import Config
from nlpgen.models.decoder import Decoder

LAYER = "model/layers_{i}"
FIRST = LAYER.format(i=0)
# The numbers that each kind of `rope_scaling` has.
ROPE_TYPES = {
    "default": (),
    "linear": ("factor",),
    "yarn": ("factor", "original_max_position_embeddings"),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
}


@dataclass(frozen=True)
class RotaryDecoderConfig(Config):
    """The fields of Hugging Face's `config.json` that LLaMA, Qwen2 and Qwen3 have in common.

    Args:
        num_key_value_heads: `num_attention_heads` by default.
        head_dim: width of a head; `hidden_size / num_attention_heads` by default.
        tie_word_embeddings: whether the head is the token embedding; where a checkpoint has another head, that counts.
        rope_theta: the base of `RotaryEmbedding`.
        rope_scaling: see `rotary_speeds`; transformers 5's `rope_parameters` are read too.
        pad_token_id: the id that is padding; `None` if there is none.
        eos_token_id: the id, or the ids, that end a text.
    """

    only = {"partial_rotary_factor": 1.0, "quantization_config": None}
    is_abstract = True  # no architecture by itself
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: str = "silu"
    attention_dropout: float = 0.0
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = False
    rope_theta: float = 10000.0
    rope_scaling: dict | None = None
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list | None = None

    @property
    def key_value_heads(self):
        """Number of heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_size(self):
        """Width of a head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @classmethod
    def translated(cls, values):
        """Released values under our names: `rope_parameters`, and the older `type`, become `rope_scaling`."""
        values = super().translated(values)
        rope = values.get("rope_scaling") or values.get("rope_parameters")
        if not isinstance(rope, dict):
            return values
        scaling = {"rope_type": rope.get("type", "default"), **rope}
        scaling.pop("type", None)
        lifted = {name: scaling.pop(name) for name in ("rope_theta", "partial_rotary_factor") if name in scaling}
        if scaling["rope_type"] in ("llama3", "yarn"):
            scaling.setdefault("original_max_position_embeddings", values.get("max_position_embeddings"))
        return {**values, **lifted, "rope_scaling": None if scaling == {"rope_type": "default"} else scaling}

    def problems(self):
        given = [name for name in ("num_key_value_heads", "head_dim") if getattr(self, name) is not None]
        found = self._must_be_positive(
            "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", *given
        )
        found += self._must_be_above_zero("max_position_embeddings", "initializer_range", "rms_norm_eps", "rope_theta")
        found += self._must_be_rate("attention_dropout") + self._must_be_activation("hidden_act")
        found += _rope_problems(self.rope_scaling)
        if self.head_dim is None:
            found = found or self._must_divide("num_attention_heads", "hidden_size")
        if self.num_key_value_heads is not None:
            found = found or self._must_divide("num_key_value_heads", "num_attention_heads")
        if not found and self.head_size % 2:
            found.append(f"a head must have an even width, of which halves are turned. Received: {self.head_size}")
        return found

    def to_hugging_face(self):
        # Where these are not said, transformers has a default of its own.
        said = {"num_key_value_heads": self.key_value_heads, "head_dim": self.head_size}
        return super().to_hugging_face() | said


class RotaryDecoder(Decoder):
    """Token embeddings, pre-norm blocks of rotary attention and a gated feed-forward layer, and a norm.

    A subclass says in `block_options` what its blocks have beyond that.
    """

    tensorflow_form = False
    checkpoint_names = {
        "embeddings.token": "model/embed_tokens",
        "blocks.{i}.attention_norm.gamma": f"{LAYER}/input_layernorm/gamma",
        "blocks.{i}.attention.query": f"{LAYER}/self_attn/q_proj",
        "blocks.{i}.attention.key": f"{LAYER}/self_attn/k_proj",
        "blocks.{i}.attention.value": f"{LAYER}/self_attn/v_proj",
        "blocks.{i}.attention.output_projection": f"{LAYER}/self_attn/o_proj",
        "blocks.{i}.ffn_norm.gamma": f"{LAYER}/post_attention_layernorm/gamma",
        "blocks.{i}.gate": f"{LAYER}/mlp/gate_proj",
        "blocks.{i}.up": f"{LAYER}/mlp/up_proj",
        "blocks.{i}.down": f"{LAYER}/mlp/down_proj",
        "final_norm.gamma": "model/norm/gamma",
    }
    hugging_face_names = {"model/embed_tokens": "model.embed_tokens.weight"}
    vocabulary_names = ("model/embed_tokens", "lm_head/kernel")
    heads = {"causal_lm": {"projection": "lm_head"}}

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        c = config
        self.embeddings = InputEmbeddings(
            c.vocab_size,
            0,
            None,
            c.hidden_size,
            initializer_range=c.initializer_range,
            norm=False,
            dtype=self.dtype_policy,
            name="embeddings",
        )
        options = self.block_options
        attention = {
            "num_key_value_heads": c.key_value_heads,
            "head_size": c.head_size,
            "rotary": {"base": c.rope_theta, "interleaved": False, "scaling": c.rope_scaling},
            **options.pop("attention"),
        }
        self.blocks = [
            PreNormBlock(
                c.hidden_size,
                c.num_attention_heads,
                c.intermediate_size,
                activation=c.hidden_act,
                attention_dropout=c.attention_dropout,
                initializer_range=c.initializer_range,
                gated=True,
                norm=self.norm_options,
                attention=attention,
                dtype=self.dtype_policy,
                name=f"block_{i}",
                **options,
            )
            for i in range(c.num_hidden_layers)
        ]
        self.final_norm = make_norm(name="final_norm", dtype=self.dtype_policy, **self.norm_options)

    @property
    def block_options(self):
        """`use_bias` of the feed-forward layers, and options of the `attention`."""
        raise NotImplementedError

    @property
    def norm_options(self):
        return {"kind": "rms", "epsilon": self.config.rms_norm_eps}

    @classmethod
    def config_of(cls, folder):
        return untied_if_held(super().config_of(folder), folder, *cls.vocabulary_names)


def _rope_problems(scaling):
    if scaling is None:
        return []
    kind = scaling.get("rope_type")
    if not isinstance(kind, str) or kind not in ROPE_TYPES:
        return [f"the rope_type of `rope_scaling` must be one of {', '.join(ROPE_TYPES)}. Received: {kind!r:.60}"]
    names = ROPE_TYPES[kind]
    others = sorted(scaling.keys() - {"rope_type", *names})
    found = [f"`rope_scaling` of type {kind!r} has no field {', '.join(others)}"] if others else []
    found += [
        f"`{name}` of `rope_scaling` must be a number above 0. Received: {scaling.get(name)!r:.60}"
        for name in names
        if not isinstance(scaling.get(name), int | float) or not scaling[name] > 0
    ]
    if not found and "high_freq_factor" in names and scaling["high_freq_factor"] <= scaling["low_freq_factor"]:
        found.append("`high_freq_factor` of `rope_scaling` must be above `low_freq_factor`")
    return found
