"""The config of T5 and mT5, whose names in Hugging Face's files are others."""

from dataclasses import dataclass

from nlpgen.errors import InputError
from nlpgen.layers import ACTIVATIONS
from nlpgen.models.config import Config

# Hugging Face's names of activations, where they are not ours; its "gated-gelu" alone means the tanh formula.
ACTIVATIONS_OF_HUGGING_FACE = {"gelu_tanh": "gelu_new", "gelu_erf": "gelu"}
GATED_OF_HUGGING_FACE = {"gelu": "gelu_python", "gelu_erf": "gelu_python", "gelu_tanh": "gelu", "gelu_new": "gelu"}


@dataclass(frozen=True)
class T5Config(Config):
    """The fields of bert4keras' config of T5; Hugging Face's names are read and written too.

    Args:
        attention_head_size: width of a head; `hidden_size / num_attention_heads` by default.
        num_decoder_layers: as many as `num_hidden_layers` by default.
        hidden_act: a name in `ACTIVATIONS`, or for a gated layer the list of such a name and `"linear"`. In this list
            `"gelu"` is the formula with the error function, as in bert4keras; Hugging Face's `"gated-gelu"` is read as
            `["gelu_tanh", "linear"]`.
        relative_attention_num_buckets, relative_attention_max_distance: see `relative_position_buckets`.
        tie_word_embeddings: whether the head is the token embedding. Where a checkpoint has a head that is not, that
            counts.
        scale_decoder_outputs: whether the head divides its input by `sqrt(hidden_size)`. By default a T5's does where
            it is tied and an mT5's never, as in Google's and Hugging Face's code; bert4keras' does always.
        cross_position_bias: whether attention to the source has the decoder's relative positions too, bert4keras'
            option of that name. T5-PEGASUS was trained with it; Google's releases have none.
        decoder_start_token_id: what a target starts with; `pad_token_id` by default.
        initializer_range: standard deviation of new weights, for layers that no checkpoint has. A T5 that is to be
            trained from nothing wants other values.
    """

    spellings = {
        "d_model": "hidden_size",
        "d_kv": "attention_head_size",
        "d_ff": "intermediate_size",
        "num_layers": "num_hidden_layers",
        "num_heads": "num_attention_heads",
        "layer_norm_epsilon": "layer_norm_eps",
        "dropout_rate": "hidden_dropout_prob",
        "feed_forward_proj": "hidden_act",
    }
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    attention_head_size: int | None = None
    num_decoder_layers: int | None = None
    hidden_act: str | list = "relu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    tie_word_embeddings: bool = True
    scale_decoder_outputs: bool | None = None
    cross_position_bias: bool = False
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-6
    pad_token_id: int = 0
    decoder_start_token_id: int | None = None
    eos_token_id: int | None = None

    @classmethod
    def translated(cls, values):
        said = values.get("feed_forward_proj")
        if isinstance(said, str) and said.startswith("gated-"):
            name = said.removeprefix("gated-")
            values = values | {"feed_forward_proj": ["gelu_tanh" if name == "gelu" else name, "linear"]}
        if "dropout_rate" in values:
            values = {"attention_probs_dropout_prob": values["dropout_rate"]} | values
        return super().translated(values)

    def to_hugging_face(self):
        if self.cross_position_bias:
            raise InputError(
                "Hugging Face's T5 has no `cross_position_bias`, so its outputs would be others. Save in the format "
                "'nlpgen' or 'tensorflow', or load the model with cross_position_bias=False."
            )
        name = self.activation
        if self.gated:
            name = "gated-" + GATED_OF_HUGGING_FACE.get(name, name)
        # Its own defaults of the last two are others.
        return super().to_hugging_face() | {
            "feed_forward_proj": ACTIVATIONS_OF_HUGGING_FACE.get(name, name),
            "d_kv": self.attention_head_size or self.hidden_size // self.num_attention_heads,
            "decoder_start_token_id": self.start_token_id,
        }

    def problems(self):
        sizes = ("attention_head_size", "num_decoder_layers")
        found = self._must_be_positive(
            "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"
        )
        found += self._must_be_positive(*(name for name in sizes if getattr(self, name) is not None))
        found += self._must_be_positive("relative_attention_max_distance")
        found += self._must_be_rate("hidden_dropout_prob", "attention_probs_dropout_prob")
        found += self._must_be_above_zero("layer_norm_eps", "initializer_range")
        names = [*ACTIVATIONS]
        if self.hidden_act not in names and self.hidden_act not in [[name, "linear"] for name in names]:
            found.append(
                f"`hidden_act` must be one of {', '.join(names)}, or for a gated layer the list of such a name and "
                f"'linear'. Received: {self.hidden_act!r}"
            )
        buckets = self.relative_attention_num_buckets
        if buckets < 4 or buckets % 2:
            found.append(f"`relative_attention_num_buckets` must be even and 4 or more. Received: {buckets}")
        elif self.relative_attention_max_distance <= buckets // 2:
            found.append(
                "`relative_attention_max_distance` must be above half of `relative_attention_num_buckets`. Received: "
                f"{self.relative_attention_max_distance} and {buckets}"
            )
        for name in ("pad_token_id", "decoder_start_token_id", "eos_token_id"):
            if getattr(self, name) is not None and not 0 <= getattr(self, name) < self.vocab_size:
                found.append(f"`{name}` must be an id of the vocabulary. Received: {getattr(self, name)}")
        if not found and self.attention_head_size is None:
            found += self._must_divide("num_attention_heads", "hidden_size")
        return found

    @property
    def gated(self):
        """Whether the feed-forward layer is `down(activation(gate(x)) * up(x))`."""
        return isinstance(self.hidden_act, list)

    @property
    def start_token_id(self):
        """The id that a target starts with."""
        return self.pad_token_id if self.decoder_start_token_id is None else self.decoder_start_token_id

    @property
    def activation(self):
        """The name of the feed-forward layer's activation."""
        return self.hidden_act[0] if self.gated else self.hidden_act
