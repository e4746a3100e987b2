"""A latent vector, and the tokens so far, to what stands before the projection to the vocabulary."""

import keras
from keras import ops

from nlpgen.errors import InputError
from nlpgen.layers import PositionEmbedding, causal_mask, make_norm, written_cache
from nlpgen.vae.encoders import INITIALIZER, new_blocks, new_convolutions, new_lstm

CONDITION_STDDEV = 0.02  # at 0, nothing would pull at z in the first step but the KL


class Decoder(keras.layers.Layer):
    """Base of the decoders.

    Args:
        vocab_size: number of tokens.
        latent_size: width of z.
        embedding_size, hidden_size, num_layers: widths and depth.
        dropout: rate on the embeddings and on the result.
        longest: most tokens of a text.
        inject: how z enters, one of the class's `injections`:
            `"concat"`, beside every embedding (and, in an LSTM, as its first state);
            `"embedding"`, a projection added to every embedding;
            `"prefix"`, a projection as the vector of a token before the first;
            `"memory"`, projections as the key and value of a place before the first, in every block (Li et al., 2020,
            https://arxiv.org/abs/2004.04092);
            `"conditional"`, as the condition of every layer normalization.

    Call arguments:
        token_ids: `(batch, length)`.
        z: `(batch, latent_size)`.

    Returns:
        `(batch, length, hidden_size)`; what stands at a place knows no later token.

    Attributes:
        reads_tokens: whether the result depends on the tokens; otherwise all places are made at once from z.
    """

    injections = ("concat", "embedding", "prefix", "conditional")
    reads_tokens = True

    def __init__(
        self, vocab_size, latent_size, embedding_size, hidden_size, num_layers, dropout, longest, inject, **kwargs
    ):
        super().__init__(**kwargs)
        if inject not in self.injections:
            raise InputError(
                f"{type(self).__name__} takes `inject` of {', '.join(map(repr, self.injections))}. Received: {inject!r}"
            )
        self.latent_size, self.embedding_size, self.hidden_size = latent_size, embedding_size, hidden_size
        self.longest, self.inject = longest, inject
        self.embedding = keras.layers.Embedding(
            vocab_size, embedding_size, embeddings_initializer=INITIALIZER, name="embedding"
        )
        self.z_to_vector = None
        if inject in ("embedding", "prefix"):
            self.z_to_vector = keras.layers.Dense(embedding_size, name="z_to_vector")
        self.dropout = keras.layers.Dropout(dropout)

    @property
    def input_size(self):
        """Width of an embedding with what is beside it."""
        return self.embedding_size + (self.latent_size if self.inject == "concat" else 0)

    def build(self, ids_shape, *_, **__):
        self.embedding.build(ids_shape)
        if self.z_to_vector is not None:
            self.z_to_vector.build((None, self.latent_size))

    def with_z(self, x, z):
        """Embeddings `(batch, length, embedding_size)` with what z adds to each: `(batch, length, input_size)`."""
        if self.inject == "concat":
            beside = ops.broadcast_to(z[:, None], (ops.shape(x)[0], ops.shape(x)[1], self.latent_size))
            return ops.concatenate([x, ops.cast(beside, x.dtype)], axis=-1)
        if self.inject == "embedding":
            return x + self.z_to_vector(z)[:, None]
        return x

    def after_prefix(self, x, z):
        """`x` behind the vector of z, where it has one, and how many places that is."""
        if self.inject != "prefix":
            return x, 0
        return ops.concatenate([ops.cast(self.z_to_vector(z), x.dtype)[:, None], x], axis=1), 1

    def start(self, z):
        """The state before the first token: tensors in lists, with one row a text."""
        raise NotImplementedError

    def step(self, token_ids, index, z, state):
        """The result at one place.

        Args:
            token_ids: `(batch,)`.
            index: scalar, the place.
            z: `(batch, latent_size)`.
            state: what the place before left.

        Returns:
            `(batch, hidden_size)`, and the state.
        """
        raise NotImplementedError


@keras.saving.register_keras_serializable("nlpgen")
class LSTMDecoder(Decoder):
    """LSTMs. See `Decoder` for arguments."""

    def __init__(
        self, vocab_size, latent_size, embedding_size, hidden_size, num_layers, dropout, longest, inject, **kwargs
    ):
        super().__init__(
            vocab_size, latent_size, embedding_size, hidden_size, num_layers, dropout, longest, inject, **kwargs
        )
        self.lstms = [new_lstm(hidden_size, f"lstm_{i}") for i in range(num_layers)]
        self.z_to_state, self.norms = [], []
        if inject == "concat":
            dense = {"use_bias": False}
            self.z_to_state = [
                keras.layers.Dense(hidden_size, name=f"z_to_state_{i}", **dense) for i in range(num_layers)
            ]
        if inject == "conditional":
            self.norms = [_conditional_norm(latent_size, f"norm_{i}") for i in range(num_layers)]

    def build(self, ids_shape, *_, **__):
        super().build(ids_shape)
        for i, lstm in enumerate(self.lstms):
            lstm.build((*ids_shape, self.hidden_size if i else self.input_size))
        for dense in self.z_to_state:
            dense.build((None, self.latent_size))
        for norm in self.norms:
            norm.build((*ids_shape, self.hidden_size))

    def call(self, token_ids, z, training=False):
        x = self.with_z(self.dropout(self.embedding(token_ids), training=training), z)
        x, before = self.after_prefix(x, z)
        for i, lstm in enumerate(self.lstms):
            x = lstm(x, initial_state=self._first(i, z))
            x = self._normed(i, x, z)
        return self.dropout(x[:, before:], training=training)

    def start(self, z):
        state = [self._first(i, z) for i in range(len(self.lstms))]
        if self.inject == "prefix":
            _, state = self._advance(self.z_to_vector(z), z, state)
        return state

    def step(self, token_ids, index, z, state):
        return self._advance(self.with_z(self.embedding(token_ids)[:, None], z)[:, 0], z, state)

    def _advance(self, x, z, state):
        following = []
        for i, (lstm, before) in enumerate(zip(self.lstms, state, strict=True)):
            x, after = lstm.cell(x, list(before))
            x = self._normed(i, x[:, None], z)[:, 0]
            following.append(list(after))
        return x, following

    def _first(self, i, z):
        if not self.z_to_state:
            empty = ops.zeros((ops.shape(z)[0], self.hidden_size), self.compute_dtype)
            return [empty, empty]
        cell = self.z_to_state[i](z)
        return [ops.tanh(cell), cell]

    def _normed(self, i, x, z):
        return self.norms[i](x, ops.cast(z, x.dtype)) if self.norms else x


@keras.saving.register_keras_serializable("nlpgen")
class TransformerDecoder(Decoder):
    """Causal pre-norm Transformer blocks. See `Decoder` for arguments; `embedding_size` is not used."""

    injections = (*Decoder.injections, "memory")

    def __init__(
        self, vocab_size, latent_size, embedding_size, hidden_size, num_layers, dropout, longest, inject, **kwargs
    ):
        super().__init__(
            vocab_size, latent_size, hidden_size, hidden_size, num_layers, dropout, longest, inject, **kwargs
        )
        self.position = PositionEmbedding(longest, hidden_size, embeddings_initializer=INITIALIZER, name="position")
        self.narrow = keras.layers.Dense(hidden_size, name="narrow") if inject == "concat" else None
        condition = {"condition_size": latent_size, "condition_stddev": CONDITION_STDDEV}
        condition = condition if inject == "conditional" else {}
        self.blocks = new_blocks(hidden_size, num_layers, dropout, condition)
        self.norm = make_norm(name="norm", epsilon=1e-5, **condition)
        self.z_to_memory = None
        if inject == "memory":
            self.z_to_memory = keras.layers.Dense(num_layers * 2 * hidden_size, name="z_to_memory")

    def build(self, ids_shape, *_, **__):
        super().build(ids_shape)
        self.position.build(ids_shape)
        if self.narrow is not None:
            self.narrow.build((*ids_shape, self.input_size))
        for layer in (*self.blocks, self.norm):
            layer.build((*ids_shape, self.hidden_size))
        if self.z_to_memory is not None:
            self.z_to_memory.build((None, self.latent_size))

    def call(self, token_ids, z, training=False):
        x = self._inputs(token_ids, ops.arange(ops.shape(token_ids)[1]), z)
        x, before = self.after_prefix(self.dropout(x, training=training), z)
        caches, places = self._memory(z), int(self.inject == "memory")
        length = ops.shape(x)[1]
        mask = causal_mask(length, length + places, places)
        for block, cache in zip(self.blocks, caches, strict=True):
            x, *_ = block(x, attention_mask=mask, condition=self._condition(z), cache=cache, cache_index=None)
        x = self.norm(x, self._condition(z))
        return self.dropout(x[:, before:], training=training)

    def start(self, z):
        attention = self.blocks[0].attention
        shape = ops.shape(z)[0], attention.num_heads, self.longest + self._places, attention.head_size
        caches = [[ops.zeros(shape, self.compute_dtype)] * 2 for _ in self.blocks]
        if self.inject == "memory":
            caches = [list(written_cache(c, m, 0)) for c, m in zip(caches, self._memory(z), strict=True)]
        if self.inject == "prefix":
            _, caches = self._advance(ops.cast(self.z_to_vector(z), self.compute_dtype)[:, None], 0, z, caches)
        return caches

    def step(self, token_ids, index, z, state):
        return self._advance(self._inputs(token_ids[:, None], index[None], z), index + self._places, z, state)

    @property
    def _places(self):
        """Places before the first token."""
        return int(self.inject in ("memory", "prefix"))

    def _inputs(self, token_ids, positions, z):
        x = self.with_z(self.embedding(token_ids) + self.position(positions), z)
        return x if self.narrow is None else self.narrow(x)

    def _advance(self, x, index, z, caches):
        mask, following = causal_mask(1, self.longest + self._places, index), []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, _, cache = block(
                x, attention_mask=mask, condition=self._condition(z), cache=tuple(cache), cache_index=index
            )
            following.append(list(cache))
        return self.norm(x, self._condition(z))[:, 0], following

    def _memory(self, z):
        """For each block keys and values `(batch, heads, 1, head_size)`, or `None`."""
        if self.inject != "memory":
            return [None] * len(self.blocks)
        attention = self.blocks[0].attention
        shape = -1, len(self.blocks), 2, attention.num_heads, 1, attention.head_size
        memory = ops.reshape(self.z_to_memory(z), shape)
        return [(memory[:, i, 0], memory[:, i, 1]) for i in range(len(self.blocks))]

    def _condition(self, z):
        return ops.cast(z, self.compute_dtype) if self.inject == "conditional" else None


@keras.saving.register_keras_serializable("nlpgen")
class CNNDecoder(Decoder):
    """Gated convolutions over all places at once, from z and the places' numbers alone, as in Su's VAE of poems (2018,
    https://kexue.fm/archives/5332): what it writes cannot but depend on z. See `Decoder` for arguments.
    """

    injections = ("concat", "embedding", "conditional")
    reads_tokens = False

    def __init__(
        self, vocab_size, latent_size, embedding_size, hidden_size, num_layers, dropout, longest, inject, **kwargs
    ):
        # There is no token to embed; the table is that of the places.
        super().__init__(
            longest, latent_size, embedding_size, hidden_size, num_layers, dropout, longest, inject, **kwargs
        )
        self.widen = keras.layers.Dense(hidden_size, name="widen")
        self.convolutions = new_convolutions(hidden_size, num_layers)
        self.norms = []
        if inject == "conditional":
            self.norms = [_conditional_norm(latent_size, f"norm_{i}") for i in range(num_layers)]

    def build(self, ids_shape, *_, **__):
        super().build(ids_shape)
        self.widen.build((*ids_shape, self.input_size))
        for layer in (*self.convolutions, *self.norms):
            layer.build((*ids_shape, self.hidden_size))

    def call(self, token_ids, z, training=False):
        # All places of the longest text, so that what stands at one does not depend on the padding of a batch.
        places = ops.zeros_like(token_ids[:, :1]) + ops.arange(self.longest, dtype=token_ids.dtype)
        x = self.widen(self.with_z(self.dropout(self.embedding(places), training=training), z))
        for i, convolution in enumerate(self.convolutions):
            x = convolution(x)
            x = self.norms[i](x, ops.cast(z, x.dtype)) if self.norms else x
        return self.dropout(x[:, : ops.shape(token_ids)[1]], training=training)


DECODERS = {"lstm": LSTMDecoder, "cnn": CNNDecoder, "transformer": TransformerDecoder}


def _conditional_norm(latent_size, name):
    return make_norm(name=name, epsilon=1e-5, condition_size=latent_size, condition_stddev=CONDITION_STDDEV)
