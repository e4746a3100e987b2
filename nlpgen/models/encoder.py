"""What the encoders of BERT's kind share: post-norm blocks, and masks that make language models of them."""

import dataclasses
from dataclasses import dataclass

import keras
from keras import ops

from nlpgen.errors import InputError
from nlpgen.layers import InputEmbeddings, TransformerBlock, causal_mask, padding_mask, prefix_mask
from nlpgen.models.backbone import Backbone
from nlpgen.models.config import Config


@dataclass(frozen=True)
class EncoderConfig(Config):
    """The fields of `bert_config.json`, then options that bert4keras passes by hand.

    Args:
        type_vocab_size: rows of the segment table; 0 for none.
        embedding_size: width of the token, segment and position tables (ALBERT's factorization); `hidden_size` by
            default.
        application: `"encoder"` (every token sees all), `"lm"` (only what stands before it), `"unilm"` (segment 0 sees
            itself, segment 1 is causal).
        shared_segment_embeddings: whether segment ids are rows of the token table; there is then no segment table.
        residual_attention_scores: whether each block adds its attention scores to the next one's (RealFormer).
        condition_size, condition_hidden_size, condition_hidden_act: see `LayerNorm`.
    """

    only = {"is_decoder": False, "add_cross_attention": False}
    is_abstract = True  # no architecture by itself
    applications = ("encoder", "lm", "unilm")
    # What Hugging Face's classes cannot do.
    only_ours = (
        "application",
        "shared_segment_embeddings",
        "residual_attention_scores",
        "condition_size",
        "hierarchical_position",
        "embedding_size",
    )
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    embedding_size: int | None = None
    application: str = "encoder"
    shared_segment_embeddings: bool = False
    residual_attention_scores: bool = False
    condition_size: int | None = None
    condition_hidden_size: int | None = None
    condition_hidden_act: str = "linear"

    def to_hugging_face(self):
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        defaults |= {
            "embedding_size": self.hidden_size,
            "attention_key_size": self.hidden_size // self.num_attention_heads,
        }
        used = [name for name in self.only_ours if getattr(self, name, None) not in (None, False, defaults.get(name))]
        if not self.type_vocab_size:
            used.append("type_vocab_size")
        if used:
            raise InputError(
                f"Hugging Face's {type(self).__name__.removesuffix('Config')} has no "
                + ", ".join(f"`{name}` ({getattr(self, name)!r})" for name in used)
                + ": transformers would read another model. Save with format='nlpgen' or 'tensorflow'."
            )
        return super().to_hugging_face()

    def problems(self):
        found = self._must_be_positive(
            "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"
        )
        found += self._must_be_positive("max_position_embeddings")
        found += self._must_be_rate("hidden_dropout_prob", "attention_probs_dropout_prob")
        found += self._must_be_activation("hidden_act", "condition_hidden_act")
        found = found or self._must_divide("num_attention_heads", "hidden_size")
        found += self._must_be_above_zero("layer_norm_eps", "initializer_range")
        found += self._must_be_positive(
            *(
                name
                for name in ("embedding_size", "condition_size", "condition_hidden_size")
                if getattr(self, name) is not None
            )
        )
        if not 0 <= self.pad_token_id < self.vocab_size:
            found.append(f"`pad_token_id` must be an id of the vocabulary. Received: {self.pad_token_id}")
        if self.type_vocab_size < 0:
            found.append(f"`type_vocab_size` must be 0 or more. Received: {self.type_vocab_size}")
        if self.condition_hidden_size is not None and self.condition_size is None:
            found.append("`condition_hidden_size` needs `condition_size`")
        if self.application not in self.applications:
            found.append(
                f"`application` must be one of {', '.join(self.applications)}. Received: {self.application!r}."
                + self._having_application(self.application)
            )
        if self.application == "unilm" and self.shared_segment_embeddings:
            found.append(
                "`shared_segment_embeddings` must be false with `application` 'unilm', whose segments are 0 and 1; it "
                "may be true with 'encoder' and 'lm'"
            )
        return found

    def _must_have_even_heads(self):
        size = self.hidden_size // self.num_attention_heads
        return [] if size % 2 == 0 else [f"`hidden_size / num_attention_heads` must be even. Received: {size}"]


class Encoder(Backbone):
    """Input embeddings, then post-norm Transformer blocks.

    A subclass makes `embeddings` and `blocks`; its config is an `EncoderConfig`.

    Call arguments:
        inputs: a dict of `token_ids` `(batch, length)` and, each optional, `segment_ids` and `position_ids` of the same
            shape, `padding_mask` `(batch, length)`, true where a token may be seen (by default where it is not
            `pad_token_id`), `positions` `(batch, n)` to compute only these positions of the last block, `condition`
            `(batch, condition_size)`, `token_vectors` `(batch, length, size)` in place of the token embeddings, and
            `prefix` `(batch, layers, 2, heads, n, head_size)`, keys and values that every token sees. "unilm" needs
            `segment_ids`.

    Returns:
        Hidden states `(batch, length, hidden_size)`, or `(batch, n, hidden_size)`.
    """

    input_names = (
        "token_ids",
        "segment_ids",
        "position_ids",
        "padding_mask",
        "positions",
        "condition",
        "token_vectors",
        "prefix",
    )

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.embedding_projection = None
        if self.has_projection:
            self.embedding_projection = keras.layers.Dense(
                config.hidden_size,
                kernel_initializer=keras.initializers.TruncatedNormal(stddev=config.initializer_range),
                name="embedding_projection",
                dtype=self.dtype_policy,
            )

    @property
    def has_projection(self):
        """Whether there is a dense layer from the embeddings' width to `hidden_size`."""
        return self.config.embedding_size not in (None, self.config.hidden_size)

    @property
    def layer_blocks(self):
        """The block of each layer."""
        return self.blocks

    @property
    def norm_options(self):
        """The options of every norm of the model, its heads included."""
        c = self.config
        return {
            "epsilon": c.layer_norm_eps,
            "condition_size": c.condition_size,
            "condition_hidden_size": c.condition_hidden_size,
            "condition_hidden_act": c.condition_hidden_act,
        }

    @property
    def has_segments(self):
        c = self.config
        return c.type_vocab_size > 1 or c.shared_segment_embeddings or c.application == "unilm"

    @property
    def longest(self):
        """The most tokens that the model reads, or `None`."""
        return None if self.embeddings.position is None else self.embeddings.position.longest

    def new_embeddings(self, num_positions=None, **options):
        """The embeddings that the config describes, with further options of `InputEmbeddings`."""
        c = self.config
        return InputEmbeddings(
            c.vocab_size,
            c.type_vocab_size,
            num_positions,
            c.embedding_size or c.hidden_size,
            dropout=c.hidden_dropout_prob,
            initializer_range=c.initializer_range,
            norm=self.norm_options,
            shared_segments=c.shared_segment_embeddings,
            dtype=self.dtype_policy,
            name="embeddings",
            **options,
        )

    def new_blocks(self, count=None, **options):
        """The blocks that the config describes, with further options of `TransformerBlock`.

        Args:
            count: how many; one a layer by default.
        """
        c = self.config
        return [
            TransformerBlock(
                c.hidden_size,
                c.num_attention_heads,
                c.intermediate_size,
                activation=c.hidden_act,
                dropout=c.hidden_dropout_prob,
                attention_dropout=c.attention_probs_dropout_prob,
                initializer_range=c.initializer_range,
                norm=self.norm_options,
                dtype=self.dtype_policy,
                name=f"block_{i}",
                **options,
            )
            for i in range(c.num_hidden_layers if count is None else count)
        ]

    def build(self, input_shape=None):
        self.embeddings.build((None, None))
        if self.embedding_projection is not None:
            self.embedding_projection.build((None, None, self.embeddings.token.output_dim))
        for block in self.blocks:
            block.build((None, None, self.config.hidden_size))

    def check_inputs(self, inputs):
        super().check_inputs(inputs)
        if inputs.get("condition") is not None and self.config.condition_size is None:
            raise InputError(
                f"This {type(self).__name__} has no conditional norms, so `condition` would not be read: leave it "
                "away, or make the model with `condition_size`."
            )

    def embed(self, inputs):
        x = self.embeddings(*self.embedding_inputs(inputs), token_vectors=inputs.get("token_vectors"))
        return x if self.embedding_projection is None else self.embedding_projection(x)

    def embedding_inputs(self, inputs):
        """The arguments of `InputEmbeddings`."""
        return inputs["token_ids"], *(inputs.get(name) for name in ("segment_ids", "position_ids", "condition"))

    def encode(self, x, inputs):
        mask, relative, prefix = self.attention_mask(inputs), self.relative_positions(inputs), inputs.get("prefix")
        if prefix is None:
            return self.encode_with(x, inputs, mask, relative)[0]
        if relative is not None:
            raise InputError(f"{type(self).__name__} has relative positions, so that no prefix can stand before.")
        prefix = ops.cast(prefix, x.dtype)
        mask = ops.concatenate([ops.ones((*ops.shape(mask)[:3], prefix.shape[4]), "bool"), mask], axis=3)
        caches = [(prefix[:, i, 0], prefix[:, i, 1]) for i in range(len(self.layer_blocks))]
        return self.encode_with(x, inputs, mask, relative, caches, None)[0]

    def encode_with(self, x, inputs, mask, relative, caches=None, cache_index=0):
        """Input vectors to hidden states under a mask of any kind, after what a cache holds.

        Args:
            x: `(batch, n, hidden_size)`, from `embed`.
            inputs: see the call; the mask does not follow from them, nor do relative positions.
            mask, relative: see `MultiHeadAttention`; with a cache they are over its places.
            caches, cache_index: those of each layer, see `TransformerBlock`.

        Returns:
            Hidden states, and for each layer keys and values.
        """
        scores, kept, last = None, [], len(self.layer_blocks) - 1
        for i, block in enumerate(self.layer_blocks):
            x, scores, keys_values = block(
                x,
                attention_mask=mask,
                bias=scores if self.config.residual_attention_scores else None,
                relative=relative,
                positions=inputs.get("positions") if i == last else None,
                condition=inputs.get("condition"),
                position_ids=inputs.get("position_ids"),
                cache=None if caches is None else caches[i],
                cache_index=cache_index,
            )
            kept.append(keys_values)
        return x, kept

    def empty_cache(self, batch, length):
        """Keys and values of no token yet: for each layer a pair of `(batch, heads, length, head_size)`."""
        attention = self.layer_blocks[0].attention
        shape = batch, attention.num_key_value_heads, length, attention.head_size
        return [(ops.zeros(shape, self.compute_dtype),) * 2 for _ in self.layer_blocks]

    def relative_positions(self, inputs, key_position_ids=None):
        """A vector for each pair of positions, see `MultiHeadAttention`, or `None`.

        Args:
            key_position_ids: positions of the keys, where those are not the ones of the inputs.
        """

    def attention_mask(self, inputs):
        """Which token sees which, `(batch, 1, 1 or length, length)`."""
        if inputs.get("padding_mask") is None:
            mask = padding_mask(inputs["token_ids"], self.config.pad_token_id)
        else:
            mask = ops.cast(inputs["padding_mask"], "bool")[:, None, None, :]
        if self.config.application == "lm":
            return mask & causal_mask(ops.shape(mask)[-1])
        if self.config.application == "unilm":
            if inputs.get("segment_ids") is None:
                raise InputError(
                    "A model with application='unilm' needs `segment_ids`: 0 for the source, 1 for the rest."
                )
            return mask & prefix_mask(inputs["segment_ids"])
        return mask
