"""The Keras model of a text auto-encoder: encoder, latent, decoder, and what is minimised."""

import keras
from keras import ops

from nlpgen.vae.decoding import CHOICES, decode

FORMS = ("sentence", "dimension", "batch")


class TextAutoencoder(keras.Model):
    """Texts through a latent vector to themselves.

    Args:
        encoder, latent, decoder: see their classes.
        vocab_size: number of tokens.
        start_id, end_id, unk_id: tokens.
        word_dropout: rate at which the decoder reads `unk_id` in place of a token while it is trained (Bowman et al.,
            2016, https://arxiv.org/abs/1511.06349).
        bag_of_words: weight of the loss of all tokens guessed from z alone, in any order (Zhao et al., 2017,
            https://arxiv.org/abs/1703.10960).

    Call arguments:
        inputs: `token_ids` `(batch, length)`, start and end included, and `padding_mask`, bool, of the same shape.

    Returns:
        The terms of the loss: `reconstruction` and `bag_of_words` `(batch,)`, nats a text, `kl` by dimension, and
        `penalty`, a scalar.

    Attributes:
        kl_weight: variable, what the KL is multiplied by; schedules set it.
        encoder_gradient: variable; at 0, encoder and latent are not trained.
        token_bias: variable, what is added to the logits when texts are written: very low for what is never written.
        free_bits: `None`, or `(nats, form)`, see `nlpgen.vae.FreeBits`.
    """

    def __init__(
        self,
        encoder,
        latent,
        decoder,
        vocab_size,
        start_id,
        end_id,
        unk_id,
        word_dropout=0.0,
        bag_of_words=0.0,
    ):
        # Encoder and decoder follow the policy; latent and losses are in float32.
        super().__init__(name="text_autoencoder", dtype="float32")
        self.encoder, self.latent, self.decoder = encoder, latent, decoder
        self.start_id, self.end_id, self.unk_id = start_id, end_id, unk_id
        self.word_dropout, self.bag_of_words, self.free_bits = word_dropout, bag_of_words, None
        self.projection = keras.layers.Dense(vocab_size, name="projection")
        self.bag = keras.layers.Dense(vocab_size, name="bag_of_words") if bag_of_words else None
        self.seed_generator = keras.random.SeedGenerator(0)
        options = {"shape": (), "initializer": "ones", "trainable": False, "dtype": "float32"}
        self.kl_weight = self.add_weight(name="kl_weight", **options)
        self.encoder_gradient = self.add_weight(name="encoder_gradient", **options)
        self.token_bias = self.add_weight(
            name="token_bias", shape=(vocab_size,), initializer="zeros", trainable=False, dtype="float32"
        )
        self.trackers = {name: keras.metrics.Mean(name=name) for name in ("reconstruction", "kl")}
        # Texts come in many lengths, and XLA would compile each anew.
        self.jit_compile = keras.config.backend() == "jax"

    def build(self, input_shape=None):
        self.encoder.build((None, None))
        vectors = () if self.latent.num_vectors == 1 else (self.latent.num_vectors,)
        self.latent.build((None, *vectors, self.encoder.hidden_size))
        self.decoder.build((None, None))
        self.projection.build((None, None, self.decoder.hidden_size))
        if self.bag is not None:
            self.bag.build((None, self.latent.size))

    def call(self, inputs, training=False):
        posterior = self.posterior(inputs, training)
        z = self.latent.sample(posterior, training)
        given = {"token_ids": inputs["token_ids"], "padding_mask": inputs["padding_mask"], "z": z}
        terms = {
            "reconstruction": ops.sum(self.token_losses(given, training), axis=-1),
            "kl": self.latent.kl_terms(posterior),
            "penalty": self.latent.penalty(posterior),
        }
        if self.bag is not None:
            terms["bag_of_words"] = self._bag_losses(given)
        return terms

    def features(self, inputs, training=False):
        """What the encoder says of the texts: `(batch, n)`, or `(batch, latent.num_vectors, n)`."""
        return self.encoder(inputs["token_ids"], inputs["padding_mask"], training=training)

    def posterior(self, inputs, training=False):
        """The parameters of q(z|x), see `Latent.posterior`."""
        features = ops.cast(self.features(inputs, training), "float32")
        if training:
            features = self._gated(features)
        posterior = self.latent.posterior(features, training)
        return {name: self._gated(x) for name, x in posterior.items()} if training else posterior

    def token_losses(self, inputs, training=False):
        """-log p(token | tokens before it, z) of every token but the first, 0 for padding: `(batch, length - 1)`.

        Args:
            inputs: those of the call, and `z` `(batch, size)`.
        """
        ids, seen = inputs["token_ids"], ops.cast(inputs["padding_mask"], "float32")
        read = ids[:, :-1]
        if training and self.word_dropout:
            dropped = keras.random.uniform(ops.shape(read), seed=self.seed_generator) < self.word_dropout
            dropped = dropped & (ops.arange(ops.shape(read)[1]) > 0)
            read = ops.where(dropped, ops.cast(self.unk_id, read.dtype), read)
        hidden = self.decoder(read, inputs["z"] * self.latent.scale, training=training)
        logits = ops.cast(self.projection(hidden), "float32")
        losses = ops.sparse_categorical_crossentropy(ids[:, 1:], logits, from_logits=True)
        return losses * seen[:, 1:]

    def generate(self, inputs, choose="greedy"):
        """Latent vectors to token ids; `inputs` has `z`, `noise`, `temperature` and `top_p`, see `decode`."""
        options = {name: inputs[name] for name in ("noise", "temperature", "top_p")}
        z = inputs["z"] * self.latent.scale

        def project(x):
            return ops.cast(self.projection(x), "float32") + self.token_bias.value

        return decode(self.decoder, project, z, self.start_id, self.end_id, choose=CHOICES[choose], **options)

    def objective(self, terms):
        """The loss, a scalar, from the terms of the call."""
        loss = ops.mean(terms["reconstruction"]) + terms["penalty"]
        if self.latent.kl_in_loss:
            loss = loss + self.kl_weight.value * free_bits(terms["kl"], *(self.free_bits or ()))
        if self.bag is not None:
            loss = loss + self.bag_of_words * ops.mean(terms["bag_of_words"])
        return loss

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        self.trackers["reconstruction"].update_state(y_pred["reconstruction"])
        self.trackers["kl"].update_state(ops.sum(y_pred["kl"], axis=-1))
        return self.objective(y_pred)

    @property
    def encoder_variables(self):
        """What the aggressive encoder trains alone."""
        return [*self.encoder.trainable_variables, *self.latent.trainable_variables]

    def _bag_losses(self, inputs):
        z = inputs["z"] * self.latent.scale
        scores = ops.log_softmax(ops.cast(self.bag(z), "float32"), axis=-1)
        losses = -ops.take_along_axis(scores, ops.cast(inputs["token_ids"][:, 1:], "int32"), axis=-1)
        return ops.sum(losses * ops.cast(inputs["padding_mask"][:, 1:], "float32"), axis=-1)

    def _gated(self, x):
        """`x`, with its gradient times `encoder_gradient`."""
        if "int" in keras.backend.standardize_dtype(x.dtype):
            return x
        fixed = ops.stop_gradient(x)
        return fixed + self.encoder_gradient.value * (x - fixed)


def free_bits(kl, nats=0.0, form="sentence"):
    """The KL of a batch, of which `nats` cost nothing less.

    Args:
        kl: by text and dimension, `(batch, dimensions)`.
        nats: in all.
        form: what has a least value: `"sentence"`, the KL of each text; `"dimension"`, each dimension of each text, an
            equal share of the nats (Li et al., 2019, https://arxiv.org/abs/1909.00868); `"batch"`, each dimension's
            average over the batch (Kingma et al., 2016, https://arxiv.org/abs/1606.04934).

    Returns:
        The mean over the batch, a scalar.
    """
    share = nats / kl.shape[-1]
    if form == "sentence":
        return ops.mean(ops.maximum(ops.sum(kl, axis=-1), nats))
    if form == "dimension":
        return ops.mean(ops.sum(ops.maximum(kl, share), axis=-1))
    return ops.sum(ops.maximum(ops.mean(kl, axis=0), share))


class EncoderTrainer(keras.Model):
    """A `TextAutoencoder` of which only encoder and latent are trained."""

    def __init__(self, model):
        super().__init__(dtype="float32")
        self.model = model
        self.jit_compile = keras.config.backend() == "jax"
        self.built = True

    def call(self, inputs, training=False):
        return self.model(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.model.objective(y_pred)

    @property
    def trainable_variables(self):
        return self.model.encoder_variables

    trainable_weights = trainable_variables

    @property
    def non_trainable_variables(self):
        trained = {id(variable) for variable in self.trainable_variables}
        return [variable for variable in self.variables if id(variable) not in trained]
