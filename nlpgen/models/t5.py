"""T5 (Raffel et al., 2019, https://arxiv.org/abs/1910.10683) in its versions 1.0 and 1.1, and mT5 (Xue et al., 2020,
https://arxiv.org/abs/2010.11934), which has the form of 1.1.

The versions differ by config: 1.1 has a gated feed-forward layer and a head of its own. Chinese models of this form
are T5-PEGASUS and UER's T5, which have a BERT vocabulary.
"""

import re

import keras
from keras import ops

from nlpgen.checkpoints import Transposed, under
from nlpgen.errors import InputError
from nlpgen.layers import (
    CrossAttentionBlock,
    InputEmbeddings,
    PreNormBlock,
    RelativePositionBias,
    causal_mask,
    make_norm,
    padding_mask,
)
from nlpgen.models.backbone import Backbone, untied_if_held
from nlpgen.models.t5_config import T5Config

ENCODER, DECODER = "encoder/block_{i:03d}", "decoder/block_{i:03d}"
TABLE, HEAD = "shared/embedding", "decoder/logits"
# How the releases name the kernels of an attention.
KERNELS = {"query.kernel": "q", "key.kernel": "k", "value.kernel": "v", "output_projection.kernel": "o"}


def _attention(path, scope):
    """The rows of an attention."""
    return {f"{path}.{part}": f"{scope}/{name}" for part, name in KERNELS.items()}


def _feed_forward(scope):
    """The rows of a gated feed-forward layer."""
    return {
        "blocks.{i}.gate": f"{scope}/DenseReluDense/wi_0",
        "blocks.{i}.up": f"{scope}/DenseReluDense/wi_1",
        "blocks.{i}.down": f"{scope}/DenseReluDense/wo",
    }


def _names_of(config, table):
    """The table for a config: where nothing is gated, `wi_1` is `wi`."""
    if config.gated:
        return table
    return {
        path: scope.replace("wi_1", "wi") if path.endswith(".up") else scope
        for path, scope in table.items()
        if not path.endswith(".gate")
    }


def _hugging_face_names(table):
    """PyTorch's scopes by those of a table: `encoder/block_{i:03d}/layer_000/SelfAttention/q` is
    `encoder.block.{i}.layer.0.SelfAttention.q`.
    """
    scopes = {getattr(entry, "scope", entry) for entry in table.values()}
    scopes |= {scope.replace("wi_1", "wi") for scope in scopes}
    names = {TABLE: "shared.weight", HEAD: "lm_head"}
    for scope in scopes - names.keys():
        name = re.sub(r"_00(\d)", r".\1", scope.replace("_{i:03d}", ".{i}")).replace("/", ".")
        if name.endswith(".scale"):
            names[scope] = name.removesuffix("scale") + "weight"
        else:
            names[scope] = Transposed(f"{name}.weight") if "Attention" in name else name
    return names


def _of_mt5(scope):
    """mT5's release says `rms_norm` for every norm."""
    if isinstance(scope, Transposed):
        return scope
    return scope.replace("final_layer_norm", "rms_norm").replace("layer_norm", "rms_norm")


@keras.saving.register_keras_serializable("nlpgen")
class T5Encoder(Backbone):
    """The encoder of T5: token embeddings, pre-norm blocks with relative positions, and a norm.

    It may be loaded from a whole T5.

    Call arguments:
        inputs: a dict of `token_ids` `(batch, length)` and, each optional, `padding_mask` of the same shape, true where
            a token may be seen (by default where it is not `pad_token_id`), and `positions` `(batch, n)` to compute
            only these positions of the last block.

    Returns:
        Hidden states `(batch, length, hidden_size)`, or `(batch, n, hidden_size)`.
    """

    config_class = T5Config
    # Segments are in the tokenizer's batches, though there is no use for them.
    input_names = ("token_ids", "segment_ids", "padding_mask", "positions")
    model_type = "t5"
    checkpoint_names = {
        "embeddings.token": TABLE,
        "position": Transposed("encoder/block_000/layer_000/SelfAttention/relative_attention_bias"),
        "blocks.{i}.attention_norm.gamma": f"{ENCODER}/layer_000/layer_norm/scale",
        **_attention("blocks.{i}.attention", f"{ENCODER}/layer_000/SelfAttention"),
        "blocks.{i}.ffn_norm.gamma": f"{ENCODER}/layer_001/layer_norm/scale",
        **_feed_forward(f"{ENCODER}/layer_001"),
        "final_norm.gamma": "encoder/final_layer_norm/scale",
    }
    hugging_face_names = _hugging_face_names(checkpoint_names)
    vocabulary_names = (TABLE,)
    has = (TABLE, "encoder/final_layer_norm/scale")
    ignored = ("decoder", "lm_head")
    longest = None

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.checkpoint_names = _names_of(config, self.checkpoint_names)
        self.embeddings = InputEmbeddings(
            config.vocab_size,
            0,
            None,
            config.hidden_size,
            dropout=config.hidden_dropout_prob,
            initializer_range=config.initializer_range,
            norm=False,
            dtype=self.dtype_policy,
            name="embeddings",
        )
        self.position, self.blocks, self.final_norm = _stack(config, self.dtype_policy, PreNormBlock, True)
        self.dropout = keras.layers.Dropout(config.hidden_dropout_prob, dtype=self.dtype_policy)

    @property
    def norm_options(self):
        """The options of every norm of the model."""
        return {"kind": "rms", "epsilon": self.config.layer_norm_eps}

    def build(self, input_shape=None):
        self.embeddings.build((None, None))
        _build_stack(self)

    def embed(self, inputs):
        return self.embeddings(inputs["token_ids"])

    def encode(self, x, inputs):
        places = ops.arange(ops.shape(x)[1])
        mask, bias = self.attention_mask(inputs), self.position(places, places)
        for i, block in enumerate(self.blocks):
            x, _, _ = block(
                x,
                attention_mask=mask,
                bias=bias,
                positions=inputs.get("positions") if i == len(self.blocks) - 1 else None,
            )
        return self.dropout(self.final_norm(x))

    def attention_mask(self, inputs):
        """Which token is seen, `(batch, 1, 1, length)`."""
        if inputs.get("padding_mask") is not None:
            return ops.cast(inputs["padding_mask"], "bool")[:, None, None, :]
        return padding_mask(inputs["token_ids"], self.config.pad_token_id)


@keras.saving.register_keras_serializable("nlpgen")
class T5(Backbone):
    """The encoder for a source, and a decoder for a target: causal blocks that also attend to the encoder's output.

    Its `encoder` is a `T5Encoder`, which may stand alone. `scales_tied_head` says what `scale_decoder_outputs` is by
    default, where the head is the token embedding. The decoder's keys and values can be kept as those of
    `Decoder`; then `inputs` has `source_keys_values`, and `token_ids` or `padding_mask` of the source::

        kept = t5.source_keys_values(t5.encode_source(inputs))
        inputs = {"decoder_token_ids": first, "padding_mask": source_mask, "source_keys_values": kept}
        hidden, cache = t5.encode_cached(t5.embed_decoder(inputs), inputs, t5.empty_cache(batch, 64), 0)

    Call arguments:
        inputs: a dict of `token_ids` `(batch, source length)` and `decoder_token_ids` `(batch, length)` and, each
            optional, `padding_mask` and `decoder_padding_mask`, true where a token of source and target may be seen (by
            default where it is not `pad_token_id`; the target's first always, as it may start with this id),
            `positions` `(batch, n)` to compute only these positions of the target in the last block, and `source`
            `(batch, source length, hidden_size)`, what the encoder gave: the decoder then works alone.

    Returns:
        Hidden states of the target `(batch, length, hidden_size)`, or `(batch, n, hidden_size)`.
    """

    encoder_class = T5Encoder
    input_names = (*T5Encoder.input_names, "decoder_token_ids", "decoder_padding_mask", "source")
    config_class = T5Config
    model_type = "t5"
    checkpoint_names = {
        **under("encoder", T5Encoder.checkpoint_names),
        "position": Transposed("decoder/block_000/layer_000/SelfAttention/relative_attention_bias"),
        "blocks.{i}.attention_norm.gamma": f"{DECODER}/layer_000/layer_norm/scale",
        **_attention("blocks.{i}.attention", f"{DECODER}/layer_000/SelfAttention"),
        "blocks.{i}.source_norm.gamma": f"{DECODER}/layer_001/layer_norm/scale",
        **_attention("blocks.{i}.source_attention", f"{DECODER}/layer_001/EncDecAttention"),
        "blocks.{i}.ffn_norm.gamma": f"{DECODER}/layer_002/layer_norm/scale",
        **_feed_forward(f"{DECODER}/layer_002"),
        "final_norm.gamma": "decoder/final_layer_norm/scale",
    }
    hugging_face_names = _hugging_face_names(checkpoint_names)
    has = (TABLE, "encoder/final_layer_norm/scale")
    vocabulary_names = (TABLE, f"{HEAD}/kernel")
    heads = {"seq2seq_lm": {"projection": HEAD}}
    # Left in Hugging Face's first ports; its own classes pass it over too.
    ignored = ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias",)
    scales_tied_head = True
    longest = None

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.checkpoint_names = _names_of(config, self.checkpoint_names)
        self.encoder = self.encoder_class(config, dtype=self.dtype_policy, name="encoder")
        self.position, self.blocks, self.final_norm = _stack(config, self.dtype_policy, CrossAttentionBlock, False)
        self.dropout = keras.layers.Dropout(config.hidden_dropout_prob, dtype=self.dtype_policy)

    @classmethod
    def held_by(cls, folder):
        tensors = folder.tensors.named_by(cls.hugging_face_names)
        return cls if cls.checkpoint_names["final_norm.gamma"] in tensors else cls.encoder_class

    @classmethod
    def config_of(cls, folder):
        return untied_if_held(super().config_of(folder), folder, *cls.vocabulary_names)

    @property
    def export_inputs(self):
        return "token_ids", "decoder_token_ids"

    @property
    def embeddings(self):
        """The token embeddings, which encoder and decoder share."""
        return self.encoder.embeddings

    @property
    def norm_options(self):
        """The options of every norm of the model."""
        return self.encoder.norm_options

    def build(self, input_shape=None):
        self.encoder.build()
        _build_stack(self)

    def check_inputs(self, inputs):
        super().check_inputs(inputs)
        source, seen = inputs.get("source"), inputs.get("padding_mask")
        if source is None:
            return
        wanted = (*(inputs["token_ids"] if seen is None else seen).shape, self.config.hidden_size)
        pairs = zip(source.shape, wanted, strict=False)
        if len(source.shape) != 3 or any(None not in pair and pair[0] != pair[1] for pair in pairs):
            raise InputError(
                f"`source` must be (batch, source length, hidden_size), here {wanted}. "
                f"Received: shape {tuple(source.shape)}"
            )

    def embed(self, inputs):
        """`token_ids` to input vectors of the encoder `(batch, source length, hidden_size)`."""
        return self.encoder.embed(inputs)

    def encode(self, x, inputs):
        if "decoder_token_ids" not in inputs:
            raise InputError(
                f"{type(self).__name__} reads a source and a target: give `token_ids` and `decoder_token_ids`. "
                f"Received: {', '.join(inputs)}. `encode_source` and {self.encoder_class.__name__} read a source alone."
            )
        source = inputs.get("source")
        if source is None:
            source = self.encode_source(inputs, x)
        inputs = {**inputs, "source_keys_values": self.source_keys_values(source)}
        return self.encode_cached(self.embed_decoder(inputs), inputs)[0]

    def encode_source(self, inputs, x=None):
        """The encoder's output.

        Args:
            inputs: see the call; those of the target are left aside.
            x: input vectors from `embed`, or others; made from `token_ids` by default.

        Returns:
            `(batch, source length, hidden_size)`.
        """
        source = {name: inputs[name] for name in ("token_ids", "padding_mask") if name in inputs}
        return self.encoder.encode(self.embed(inputs) if x is None else x, source)

    def source_keys_values(self, source):
        """Keys and values of the encoder's output for every block, each `(batch, heads, source length, head_size)`."""
        return [block.source_keys_values(source) for block in self.blocks]

    def embed_decoder(self, inputs):
        """`decoder_token_ids` to input vectors of the decoder `(batch, length, hidden_size)`."""
        return self.embeddings(inputs["decoder_token_ids"])

    def empty_cache(self, batch, length):
        """Keys and values of no token yet: for each block a pair of `(batch, heads, length, head_size)`."""
        attention = self.blocks[0].attention
        shape = batch, attention.num_key_value_heads, length, attention.head_size
        return [(ops.zeros(shape, self.compute_dtype),) * 2 for _ in self.blocks]

    def encode_cached(self, x, inputs, cache=None, cache_index=0):
        """Input vectors of the decoder to hidden states, after what a cache holds.

        Args:
            x: `(batch, n, hidden_size)`, from `embed_decoder`. Of the source there may be `batch / width` rows; each
                then belongs to `width` rows that follow each other.
            inputs: see the call, with `source_keys_values`. With a cache, `decoder_padding_mask` is over its places
                `(batch, length of the cache)`.
            cache: from `empty_cache` or an earlier call.
            cache_index: scalar, the place of the first of the n tokens.

        Returns:
            Hidden states, and the cache with these tokens.
        """
        length, source = ops.shape(x)[1], inputs["source_keys_values"]
        queries, keys = cache_index + ops.arange(length), ops.arange(length if cache is None else cache[0][0].shape[2])
        mask = causal_mask(length, ops.shape(keys)[0], cache_index)
        if inputs.get("decoder_padding_mask") is not None:
            mask = mask & ops.cast(inputs["decoder_padding_mask"], "bool")[:, None, None, :]
        elif cache is None:
            mask = mask & (padding_mask(inputs["decoder_token_ids"], self.config.pad_token_id) | (keys == 0))
        source_mask, source_bias = self.encoder.attention_mask(inputs), None
        if None not in (x.shape[0], source_mask.shape[0]) and x.shape[0] > source_mask.shape[0]:
            source_mask = ops.repeat(source_mask, x.shape[0] // source_mask.shape[0], axis=0)
        if self.config.cross_position_bias:
            source_bias = self.position(queries, ops.arange(ops.shape(source[0][0])[2]))
        bias, kept, last = self.position(queries, keys), [], len(self.blocks) - 1
        for i, block in enumerate(self.blocks):
            x, _, keys_values = block(
                x,
                source[i],
                attention_mask=mask,
                source_mask=source_mask,
                bias=bias,
                source_bias=source_bias,
                positions=inputs.get("positions") if i == last else None,
                cache=None if cache is None else cache[i],
                cache_index=cache_index,
            )
            kept.append(keys_values)
        return self.dropout(self.final_norm(x)), kept


@keras.saving.register_keras_serializable("nlpgen")
class MT5Encoder(T5Encoder):
    """The encoder of mT5. See `T5Encoder`."""

    model_type = "mt5"
    checkpoint_names = {path: _of_mt5(scope) for path, scope in T5Encoder.checkpoint_names.items()}
    hugging_face_names = {_of_mt5(scope): name for scope, name in T5Encoder.hugging_face_names.items()}
    has = (TABLE, "encoder/rms_norm/scale")


@keras.saving.register_keras_serializable("nlpgen")
class MT5(T5):
    """mT5: a T5 1.1 whose release has other names. See `T5`."""

    encoder_class = MT5Encoder
    model_type = "mt5"
    scales_tied_head = False
    checkpoint_names = {path: _of_mt5(scope) for path, scope in T5.checkpoint_names.items()}
    hugging_face_names = {_of_mt5(scope): name for scope, name in T5.hugging_face_names.items()}
    has = (TABLE, "encoder/rms_norm/scale")


def _stack(config, dtype, block_class, bidirectional):
    """Relative positions, blocks and last norm of encoder or decoder."""
    c, norm = config, {"kind": "rms", "epsilon": config.layer_norm_eps}
    position = RelativePositionBias(
        c.relative_attention_num_buckets,
        c.num_attention_heads,
        c.relative_attention_max_distance,
        bidirectional,
        embeddings_initializer=keras.initializers.TruncatedNormal(stddev=c.initializer_range),
        dtype=dtype,
        name="position",
    )
    blocks = [
        block_class(
            c.hidden_size,
            c.num_attention_heads,
            c.intermediate_size,
            activation=c.activation,
            dropout=c.hidden_dropout_prob,
            attention_dropout=c.attention_probs_dropout_prob,
            initializer_range=c.initializer_range,
            use_bias=False,
            gated=c.gated,
            norm=norm,
            attention={
                "head_size": c.attention_head_size,
                "use_bias": False,
                "output_bias": False,
                "scale": 1.0,
            },
            dtype=dtype,
            name=f"block_{i}",
        )
        for i in range(c.num_hidden_layers if bidirectional else c.num_decoder_layers or c.num_hidden_layers)
    ]
    return position, blocks, make_norm(name="final_norm", dtype=dtype, **norm)


def _build_stack(model):
    shape = None, None, model.config.hidden_size
    for layer in (model.position, *model.blocks, model.final_norm):
        layer.build(shape)
