"""Token ids to the features of a text: one vector, or several."""

import keras
from keras import ops

from nlpgen.layers import GatedConvolution, Pooling, PositionEmbedding, PreNormBlock, QueryPooling, make_norm

INITIALIZER = keras.initializers.RandomUniform(-0.1, 0.1, seed=0)  # only its width counts: `draw_weights` follows


class Encoder(keras.layers.Layer):
    """Base of the encoders that are trained from nothing.

    Args:
        vocab_size: number of tokens.
        embedding_size, hidden_size, num_layers: widths and depth.
        dropout: rate on the embeddings.
        longest: most tokens of a text.
        num_vectors: of a text. One is pooled as the class says; several are each a mean of the states with weights of
            its own, see `QueryPooling`.

    Call arguments:
        token_ids: `(batch, length)`.
        padding_mask: bool `(batch, length)`, `True` where there is a token.

    Returns:
        `(batch, hidden_size)`, or `(batch, num_vectors, hidden_size)` where that is not 1.
    """

    kind = "mean"

    def __init__(self, vocab_size, embedding_size, hidden_size, num_layers, dropout, longest, num_vectors=1, **kwargs):
        super().__init__(**kwargs)
        self.embedding_size, self.hidden_size = embedding_size, hidden_size
        self.embedding = keras.layers.Embedding(
            vocab_size, embedding_size, embeddings_initializer=INITIALIZER, name="embedding"
        )
        self.dropout = keras.layers.Dropout(dropout)
        self.pooling = new_pooling(self.kind, num_vectors)

    def build(self, ids_shape, *_, **__):
        self.embedding.build(ids_shape)
        self.pooling.build((*ids_shape, self.hidden_size))


@keras.saving.register_keras_serializable("nlpgen")
class LSTMEncoder(Encoder):
    """The state of an LSTM behind the last token."""

    kind = "last"

    def __init__(self, vocab_size, embedding_size, hidden_size, num_layers, dropout, longest, num_vectors=1, **kwargs):
        super().__init__(vocab_size, embedding_size, hidden_size, num_layers, dropout, longest, num_vectors, **kwargs)
        self.lstms = [new_lstm(hidden_size, f"lstm_{i}") for i in range(num_layers)]

    def build(self, ids_shape, *_, **__):
        super().build(ids_shape)
        for i, lstm in enumerate(self.lstms):
            lstm.build((*ids_shape, self.hidden_size if i else self.embedding_size))

    def call(self, token_ids, padding_mask, training=False):
        x = self.dropout(self.embedding(token_ids), training=training)
        for lstm in self.lstms:
            x = lstm(x)
        return self.pooling(x, padding_mask)


@keras.saving.register_keras_serializable("nlpgen")
class CNNEncoder(Encoder):
    """The mean of gated convolutions, of which each sees twice as far as the one before."""

    def __init__(self, vocab_size, embedding_size, hidden_size, num_layers, dropout, longest, num_vectors=1, **kwargs):
        super().__init__(vocab_size, embedding_size, hidden_size, num_layers, dropout, longest, num_vectors, **kwargs)
        self.widen = keras.layers.Dense(hidden_size, name="widen")
        self.convolutions = new_convolutions(hidden_size, num_layers)

    def build(self, ids_shape, *_, **__):
        super().build(ids_shape)
        self.widen.build((*ids_shape, self.embedding_size))
        for convolution in self.convolutions:
            convolution.build((*ids_shape, self.hidden_size))

    def call(self, token_ids, padding_mask, training=False):
        x = self.widen(self.dropout(self.embedding(token_ids), training=training))
        for convolution in self.convolutions:
            x = convolution(x, padding_mask)
        return self.pooling(x, padding_mask)


@keras.saving.register_keras_serializable("nlpgen")
class TransformerEncoder(Encoder):
    """The mean of the outputs of pre-norm Transformer blocks."""

    def __init__(self, vocab_size, embedding_size, hidden_size, num_layers, dropout, longest, num_vectors=1, **kwargs):
        super().__init__(vocab_size, hidden_size, hidden_size, num_layers, dropout, longest, num_vectors, **kwargs)
        self.position = PositionEmbedding(longest, hidden_size, embeddings_initializer=INITIALIZER, name="position")
        self.blocks = new_blocks(hidden_size, num_layers, dropout)
        self.norm = make_norm(name="norm", epsilon=1e-5)

    def build(self, ids_shape, *_, **__):
        super().build(ids_shape)
        self.position.build(ids_shape)
        for layer in (*self.blocks, self.norm):
            layer.build((*ids_shape, self.hidden_size))

    def call(self, token_ids, padding_mask, training=False):
        x = self.embedding(token_ids) + self.position(ops.arange(ops.shape(token_ids)[1]))
        x = self.dropout(x, training=training)
        for block in self.blocks:
            x, *_ = block(x, attention_mask=padding_mask[:, None, None, :])
        return self.pooling(self.norm(x), padding_mask)


@keras.saving.register_keras_serializable("nlpgen")
class BackboneEncoder(keras.layers.Layer):
    """The mean of the outputs of a pretrained backbone, which is trained further.

    Args:
        backbone: an encoder such as `Bert`, whose tokenizer is that of the texts.
        num_vectors: see `Encoder`.
    """

    def __init__(self, backbone, num_vectors=1, **kwargs):
        super().__init__(**kwargs)
        self.backbone = backbone
        self.hidden_size = backbone.config.hidden_size
        self.pooling = new_pooling("mean", num_vectors)

    def build(self, ids_shape, *_, **__):
        if not self.backbone.built:
            self.backbone.build()
        self.pooling.build((*ids_shape, self.hidden_size))

    def call(self, token_ids, padding_mask, training=False):
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        return self.pooling(self.backbone(inputs, training=training), padding_mask)


ENCODERS = {"lstm": LSTMEncoder, "cnn": CNNEncoder, "transformer": TransformerEncoder}


def new_pooling(kind, num_vectors):
    """States to the features of a text."""
    if num_vectors == 1:
        return Pooling(kind, name="pooling")
    return QueryPooling(num_vectors, name="pooling")


def new_lstm(hidden_size, name):
    """An LSTM that gives its state at every place."""
    return keras.layers.LSTM(hidden_size, return_sequences=True, name=name)


def new_convolutions(hidden_size, num_layers):
    """Gated convolutions that see further and further."""
    return [GatedConvolution(hidden_size, dilation=2**i, name=f"convolution_{i}") for i in range(num_layers)]


def new_blocks(hidden_size, num_layers, dropout, norm=None):
    """Pre-norm Transformer blocks with heads of about 64, at least two."""
    heads = max(2, hidden_size // 64)
    return [
        PreNormBlock(
            hidden_size,
            heads,
            4 * hidden_size,
            dropout=dropout,
            norm={"epsilon": 1e-5} | (norm or {}),
            name=f"block_{i}",
        )
        for i in range(num_layers)
    ]
