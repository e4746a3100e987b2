"""What all decoders share: each position sees itself and what stands before it, and keys and values can be kept."""

from keras import ops

from nlpgen.layers import causal_mask, padding_mask, shared_mask
from nlpgen.models.backbone import Backbone


class Decoder(Backbone):
    """Token embeddings, causal blocks, and perhaps a norm at the end.

    A subclass makes `embeddings`, `blocks`, and `final_norm` or `None`; its config has `num_key_value_heads` if those
    differ from `num_attention_heads`.

    Call arguments:
        inputs: a dict of `token_ids` `(batch, length)` and, each optional, `position_ids` of the same shape,
            `padding_mask` `(batch, length)`, true where a token may be seen (by default where it is not
            `pad_token_id`), `positions` `(batch, n)` to compute only these positions of the last block,
            `token_vectors` `(batch, length, size)` in place of the token embeddings, and `prefix`
            `(batch, layers, 2, heads, n, head_size)`, keys and values that every token sees.

    Returns:
        Hidden states `(batch, length, hidden_size)`, or `(batch, n, hidden_size)`.
    """

    input_names = (
        "token_ids",
        "segment_ids",  # in the tokenizer's batches, though most decoders have no use for them
        "position_ids",
        "padding_mask",
        "positions",
        "token_vectors",
        "prefix",
    )
    causal_lm_class = "{}ForCausalLM"

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.final_norm = None

    @property
    def longest(self):
        """The most tokens that the model reads, or `None`."""
        return self.config.max_position_embeddings

    @property
    def norm_options(self):
        """The options of every norm of the model."""
        return {"epsilon": self.config.layer_norm_eps}

    def build(self, input_shape=None):
        self.embeddings.build((None, None))
        shape = None, None, self.config.hidden_size
        for block in self.blocks:
            block.build(shape)
        if self.final_norm is not None:
            self.final_norm.build(shape)

    def embed(self, inputs):
        given = (inputs.get(name) for name in ("segment_ids", "position_ids"))
        return self.embeddings(inputs["token_ids"], *given, token_vectors=inputs.get("token_vectors"))

    def encode(self, x, inputs):
        prefix = inputs.get("prefix")
        if prefix is None:
            return self.encode_cached(x, inputs)[0]
        prefix = ops.cast(prefix, x.dtype)
        cache, seen = [(prefix[:, i, 0], prefix[:, i, 1]) for i in range(len(self.blocks))], inputs.get("padding_mask")
        if seen is not None:
            before = ops.ones((ops.shape(x)[0], prefix.shape[4]), "bool")
            seen = ops.concatenate([before, ops.cast(seen, "bool")], axis=1)
        return self.encode_cached(x, {**inputs, "padding_mask": seen}, cache, None)[0]

    def empty_cache(self, batch, length):
        """Keys and values of no token yet: for each block a pair of `(batch, heads, length, head_size)`."""
        attention = self.blocks[0].attention
        shape = batch, attention.num_key_value_heads, length, attention.head_size
        return [(ops.zeros(shape, self.compute_dtype),) * 2 for _ in self.blocks]

    def encode_cached(self, x, inputs, cache=None, cache_index=0, before=None):
        """Input vectors to hidden states, after what a cache holds.

        Args:
            x: `(batch, n, hidden_size)`, from `embed`, whose `position_ids` must count from the start of the text.
            inputs: see the call. With a cache, `padding_mask` is over its places `(batch, length of the cache)`; with
                `before` over the places of that.
            cache: from `empty_cache` or an earlier call.
            cache_index: scalar, the place of the first of the n tokens; `None` for behind the cache.
            before: keys and values of each block that stand before the cache, those of an earlier call without one.
                They may have `batch / width` rows; each then belongs to `width` rows that follow each other.

        Returns:
            Hidden states, and the cache with these tokens.
        """
        length = ops.shape(x)[1]
        keys = 0 if cache is None else cache[0][0].shape[2]
        if cache is None or cache_index is None:
            keys, start = keys + length, keys
        else:
            start = cache_index
        mask = causal_mask(length, keys, start)
        if before is not None:
            mask = shared_mask(inputs["padding_mask"], mask, x.shape[0])
            cache = [(*own, *others) for own, others in zip(cache, before, strict=True)]
        elif inputs.get("padding_mask") is not None:
            mask = mask & ops.cast(inputs["padding_mask"], "bool")[:, None, None, :]
        elif cache is None and self.config.pad_token_id is not None:
            mask = mask & padding_mask(inputs["token_ids"], self.config.pad_token_id)
        kept, last = [], len(self.blocks) - 1
        for i, block in enumerate(self.blocks):
            x, _, keys_values = block(
                x,
                attention_mask=mask,
                position_ids=inputs.get("position_ids"),
                positions=inputs.get("positions") if i == last else None,
                cache=None if cache is None else cache[i],
                cache_index=cache_index,
            )
            kept.append(keys_values)
        return x if self.final_norm is None else self.final_norm(x), kept
