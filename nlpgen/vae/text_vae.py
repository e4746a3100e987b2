"""Text auto-encoders: lines of text in, a latent space and new lines out."""

import math

import keras
import numpy as np

from nlpgen.errors import InputError
from nlpgen.estimator import Estimator
from nlpgen.tasks.fine_tuning import check_seed, copy_of_backbone, seed_dropout
from nlpgen.text import check_texts
from nlpgen.vae.autoencoder import TextAutoencoder
from nlpgen.vae.decoders import DECODERS
from nlpgen.vae.decoding import Method
from nlpgen.vae.diagnostics import Diagnosis
from nlpgen.vae.encoders import ENCODERS, BackboneEncoder
from nlpgen.vae.fitting import draw_weights, train
from nlpgen.vae.latents import VonMisesFisher
from nlpgen.vae.lines import Lines, start_id, warn
from nlpgen.vae.options import annealing_of, check_count, check_options, is_number
from nlpgen.vae.priors import PRIORS, Standard
from nlpgen.vae.saving import load_vae, save_vae
from nlpgen.vae.seeding import seeded

BATCH = 64  # texts that are computed at a time after training


class TextVAE(Estimator):
    """An auto-encoder of texts with a latent space.

    Args:
        tokenizer: a `Tokenizer`; with a pretrained encoder, its tokenizer.
        latent: a `Latent`, of which each `fit` trains a copy whose seed is that of the TextVAE;
            `VonMisesFisher(32, target_kl=8.0)` by default.
        encoder: `"lstm"`, `"cnn"`, `"transformer"`, or a pretrained backbone such as `Bert`, of which a copy is trained
            further.
        decoder: `"lstm"`, `"transformer"`, or `"cnn"`, which writes all tokens at once from z alone.
        inject: how z enters the decoder, see `nlpgen.vae.decoders.Decoder`.
        embedding_size, hidden_size, num_layers: of encoder and decoder.
        dropout: rate on embeddings and before the last layer.
        word_dropout, bag_of_words: see `TextAutoencoder`.
        annealing: a callback of `nlpgen.vae` that says how much the KL counts, or a list of them; it counts fully by
            default.
        max_length: most tokens of a line, start and end included.
        epochs, batch_size: of the training.
        learning_rate: of Adam; it rises over the first twentieth of the steps, and falls to zero over the last third.
        clip: largest norm of all gradients together.
        patience: epochs without a better bound on the validation data after which training ends; `None` for all.
        seed: of first values, order of the lines, dropout, and the samples of the latent in training.
        verbose: whether a line is printed for each epoch.

    Attributes:
        model_: the trained `TextAutoencoder`.
        prior_: what `sample` draws from: the latent's own prior, or what `fit_prior` made.
        history_: a dict for each epoch.

    Example:
        >>> from nlpgen import TextVAE, WordPieceTokenizer
        >>> from nlpgen.text.vocab_builder import build_vocab
        >>> lines = ["白日依山尽，黄河入海流", "床前明月光，疑是地上霜", "春眠不觉晓，处处闻啼鸟"]
        >>> tokenizer = WordPieceTokenizer(build_vocab(lines, min_count=1))
        >>> vae = TextVAE(tokenizer, encoder="cnn", decoder="cnn", epochs=2)
        >>> vae.fit(lines).encode(lines).shape
        (3, 32)
    """

    def __init__(
        self,
        tokenizer,
        latent=None,
        encoder="lstm",
        decoder="lstm",
        inject="concat",
        embedding_size=128,
        hidden_size=256,
        num_layers=1,
        dropout=0.2,
        word_dropout=0.0,
        bag_of_words=0.0,
        annealing=(),
        max_length=64,
        epochs=10,
        batch_size=64,
        learning_rate=2e-3,
        clip=5.0,
        patience=None,
        seed=0,
        verbose=False,
    ):
        self.tokenizer = tokenizer
        self.latent = latent
        self.encoder = encoder
        self.decoder = decoder
        self.inject = inject
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.bag_of_words = bag_of_words
        self.annealing = annealing
        self.max_length = max_length
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.clip = clip
        self.patience = patience
        self.seed = seed
        self.verbose = verbose

    @classmethod
    def load(cls, name_or_folder):
        """Read what `save` wrote, or an embedded model such as `"poem-vae"`.

        Callbacks of `annealing` that are not of nlpgen are left out. A latent's class that is not of nlpgen must be
        registered by `keras.saving.register_keras_serializable`, and imported.

        Raises:
            CheckpointNotFound, CheckpointCorrupt, ConfigError, WeightsMismatch: with the file and what is wrong.
        """
        return load_vae(cls, name_or_folder)

    def save(self, folder, dtype="float32"):
        """Write the trained model, its tokenizer and prior; a reader finds the old folder or the new one, never a part.

        Args:
            folder: where; what `save` wrote there before is replaced.
            dtype: of the weights on disk, `"float32"` or `"float16"`.

        Raises:
            InputError: if nothing was learned yet, or a weight is too large for float16.
            OutputError: if the folder cannot be written; what was there is intact.
        """
        self._check_fitted()
        save_vae(self, folder, dtype)

    def fit(self, lines, validation_data=None, callbacks=(), state=None):
        """Train on lines of text, from nothing, whatever was learned before.

        Args:
            lines: strings.
            validation_data: further lines. Of the epochs that ended with the full weight of the KL, the weights of the
                one with the best bound there are kept: reconstruction and KL, or the former alone where the KL is not
                trained (`Latent.kl_in_loss`).
            callbacks: further callbacks of Keras.
            state: a folder that keeps the run after each epoch: called again with the same lines and options, `fit`
                goes on from there, and with `epochs` lowered to what was done it ends with its best.

        Returns:
            The TextVAE.

        Raises:
            InputError: if lines or options are wrong, or the state is of a run with others.
            TrainingDiverged: if the loss is no longer a number.

        Warns:
            InputWarning: if lines are cut, or an option changes nothing.
        """
        check_options(self)
        data = Lines(self.tokenizer, lines, self.max_length)
        held_out = None
        if validation_data is not None:
            held_out = Lines(self.tokenizer, validation_data, self.max_length, "validation_data")
        longest = max(int(each.lengths.max()) for each in (data, held_out) if each is not None)
        with seeded(self.seed):
            model = self.new_model(longest)
        draw_weights(model, self.seed)
        seed_dropout(model, self.seed)
        self.model_, self.longest_, self.history_, self._methods = model, longest, [], {}
        self.prior_ = Standard(model.latent)
        model.token_bias.assign(self._token_bias(data))
        train(self, data, held_out, [*annealing_of(self), *callbacks], state)
        return self

    def fit_prior(self, lines, kind="mixture", seed=0, **options):
        """Learn the distribution of the latent vectors of texts, one draw of q(z|x) of each, for `sample` to draw from.

        Args:
            lines: strings, those of the training for instance.
            kind: a key of `nlpgen.vae.priors.PRIORS`, `"standard"` for the latent's own prior.
            seed: of the draws and of the training.
            options: of its class.

        Returns:
            The TextVAE.

        Raises:
            InputError: if there is no such prior, it has no such option, or it does not fit the latent.
            NlpgenError: if it needs a package that is missing.
        """
        self._check_fitted()
        check_seed(seed)
        if kind not in PRIORS:
            raise InputError(f"`kind` must be one of {', '.join(map(repr, PRIORS))}. Received: {kind!r}")
        known = PRIORS[kind](self.model_.latent).options() if options else {}
        unknown = [name for name in options if name not in known]
        if unknown:
            raise InputError(f"The prior {kind!r} has no {', '.join(unknown)}. It has: {', '.join(known)}.")
        prior = PRIORS[kind](self.model_.latent, seed=seed, **options)
        prior.check_installed()
        self.prior_ = prior.fit(self.draw(self.posteriors(self._lines(lines)), seed))
        return self

    def encode(self, lines):
        """Texts to latent vectors: the mean of q(z|x), `(lines, size)`; `(size,)` of a string.

        Raises:
            InputError: if nothing was learned yet, or a line is no string or has no token.

        Warns:
            InputWarning: if lines are cut, since none of the training was so long, or have tokens that the tokenizer
                does not know. The methods that encode raise and warn alike.
        """
        single = isinstance(lines, str)
        posterior = self.posteriors(self._lines([lines] if single else lines))
        z = keras.ops.convert_to_numpy(self.model_.latent.mean(posterior)).copy()
        return z[0] if single else z

    def decode(self, z, temperature=0.0, top_p=1.0, seed=0):
        """Latent vectors to texts.

        Args:
            z: `(n, size)`, or `(size,)` for one string.
            temperature: 0 for the most likely token each time; else tokens are drawn from the softmax over it.
            top_p: tokens are drawn from the fewest that have this share together.
            seed: of the draws; the same seed gives the same texts.

        Returns:
            A list of strings, or one.

        Raises:
            InputError: if z has another width than the latent or is not finite, or an option is out of range.
        """
        self._check_fitted()
        check_seed(seed)
        size = self.model_.latent.size
        try:
            z, temperature, top_p = np.asarray(z, "float32"), float(temperature), float(top_p)
        except (TypeError, ValueError) as error:
            raise InputError(f"z, `temperature` and `top_p` must be numbers: {error}") from None
        wrong_z = z.ndim not in (1, 2) or z.shape[-1] != size or not np.isfinite(z).all()
        if wrong_z or not 0 <= temperature < math.inf or not 0 < top_p <= 1:
            raise InputError(
                f"Expected finite z of shape (n, {size}) or ({size},), `temperature` of 0 or more, `top_p` above 0 and "
                f"at most 1. Received: shape {z.shape}, temperature={temperature!r}, top_p={top_p!r}"
            )
        rows = z[None] if z.ndim == 1 else z
        noise = np.random.default_rng(seed).random((len(rows), self.longest_ - 1)).astype("float32")
        ones = np.ones(len(rows), "float32")
        inputs = {"z": rows, "noise": noise, "temperature": ones * (temperature or 1.0), "top_p": ones * top_p}
        choose = "greedy" if temperature == 0 else "sampled" if top_p == 1 else "nucleus"
        ids = self.compute("generate", inputs, choose=choose) if len(rows) else []
        texts = [self.tokenizer.decode(self._until_end(row)) for row in ids]
        return texts[0] if z.ndim == 1 else texts

    def reconstruct(self, lines, temperature=0.0, top_p=1.0, seed=0):
        """Texts through their latent vectors to texts; options and errors are those of `encode` and `decode`."""
        return self.decode(self.encode(lines), temperature, top_p, seed)

    def sample(self, n, seed=0, temperature=1.0, top_p=1.0):
        """New texts, from draws of `prior_`.

        Args:
            n: how many.
            seed: of the draws from the prior and of the tokens; the same seed gives the same texts.
            temperature, top_p: see `decode`.

        Returns:
            A list of strings.

        Raises:
            InputError: if nothing was learned yet, or an option is out of range.
        """
        self._check_fitted()
        check_seed(seed)
        check_count("n", n, 1)
        return self.decode(self.prior_.sample(n, seed), temperature, top_p, seed)

    def interpolate(self, a, b, steps=7, temperature=0.0, top_p=1.0, seed=0):
        """Texts on the way from a string to another: along a straight line, on a sphere along a great circle.

        Args:
            a, b: strings.
            steps: how many texts, 2 or more.
            temperature, top_p, seed: see `decode`.

        Returns:
            `steps` strings; the first and the last are the reconstructions of `a` and `b`.

        Raises:
            InputError: if nothing was learned yet, a text cannot be read, or an option is out of range.
        """
        self._check_fitted()
        check_count("steps", steps, 2)
        path = self.model_.latent.interpolate(*self.encode([a, b]), steps)
        return self.decode(path, temperature, top_p, seed)

    def shift(self, lines, towards, away_from, strength=1.0, temperature=0.0, top_p=1.0, seed=0):
        """Texts moved by the difference of two groups of texts: latent arithmetic.

        `z + strength * (mean z of towards - mean z of away_from)`, brought back to the latent space.

        Args:
            lines: a string or a list.
            towards, away_from: lists of strings.
            strength: how far.
            temperature, top_p, seed: see `decode`.

        Returns:
            A string or a list, as `lines`.

        Raises:
            InputError: if nothing was learned yet, texts cannot be read, or an option is out of range.
        """
        towards, away_from = check_texts(towards, "towards"), check_texts(away_from, "away_from")
        if not towards or not away_from or not is_number(strength):
            raise InputError(
                "Give one text or more in `towards` and in `away_from`, and a number as `strength`. "
                f"Received: {len(towards)}, {len(away_from)}, {strength!r}"
            )
        direction = self.encode(towards).mean(axis=0) - self.encode(away_from).mean(axis=0)
        moved = self.model_.latent.nearest(self.encode(lines) + strength * direction)
        return self.decode(moved, temperature, top_p, seed)

    def score(self, lines):
        """The mean lower bound of log p(x), nats a text: higher is better. Without the KL where a latent has none, as
        `Entropic` without noise.

        Raises:
            InputError: if nothing was learned yet, or a line cannot be read.
        """
        terms = {name: float(values.mean()) for name, values in self.terms(self._lines(lines)).items()}
        return -terms["reconstruction"] - (0.0 if math.isinf(terms["kl"]) else terms["kl"])

    def diagnose(self, lines, **options):
        """What the latent space holds, and whether the decoder uses it; see `Diagnosis` for options and results."""
        self._check_fitted()
        return Diagnosis(self, lines, **options)

    def new_model(self, longest):
        """The Keras model, built, with random weights.

        Args:
            longest: most tokens of a text.
        """
        latent = VonMisesFisher(32, target_kl=8.0) if self.latent is None else self.latent
        latent = type(latent).from_config(latent.get_config())
        sizes = self.embedding_size, self.hidden_size, self.num_layers, self.dropout, longest
        vocab_size, tokenizer = len(self.tokenizer.vocab), self.tokenizer
        if isinstance(self.encoder, str):
            encoder = ENCODERS[self.encoder](vocab_size, *sizes, latent.num_vectors, name="encoder")
        else:
            encoder = BackboneEncoder(copy_of_backbone(self.encoder), latent.num_vectors, name="encoder")
        decoder = DECODERS[self.decoder](vocab_size, latent.size, *sizes, self.inject, name="decoder")
        model = TextAutoencoder(
            encoder,
            latent,
            decoder,
            vocab_size,
            start_id(tokenizer),
            tokenizer.eos_id,
            tokenizer.unk_id,
            word_dropout=self.word_dropout,
            bag_of_words=self.bag_of_words,
        )
        model.build()
        return model

    def posteriors(self, data):
        """The parameters of q(z|x) of all rows of `Lines`: `{name: tensor}`."""
        found = self.over_rows(data, lambda batch: self.compute("posterior", batch))
        return {name: keras.ops.convert_to_tensor(x) for name, x in found.items()}

    def draw(self, posterior, seed=0, times=None):
        """One z of each row of a posterior, an array `(n, size)`, or several, `(times, n, size)`; equal calls give
        equal draws, and what training draws next stays the same.
        """
        state = self.model_.latent.seed_generator.state
        before = keras.ops.convert_to_numpy(state).copy()
        # Drawn, since PyTorch takes the sum of both numbers, and none above 2³¹.
        state.assign(np.array([np.random.default_rng(seed).integers(2**31), 0], before.dtype))
        z = [keras.ops.convert_to_numpy(self.model_.latent.sample(posterior)).copy() for _ in range(times or 1)]
        state.assign(before)
        return z[0] if times is None else np.stack(z)

    def token_losses(self, data, z):
        """-log p of every token given z `(n, size)`: for each row of `Lines` an array of its tokens."""
        found = [None] * len(data)
        for indices, batch in data.in_order(BATCH):
            losses = self.compute("token_losses", batch | {"z": z[indices].astype("float32")})
            for i, row in zip(indices, losses, strict=True):
                found[i] = row[: data.lengths[i] - 1]
        return found

    def terms(self, data):
        """Reconstruction and KL of every row, nats."""
        posterior = self.posteriors(data)
        kl = keras.ops.convert_to_numpy(self.model_.latent.kl(posterior)).copy()
        losses = self.token_losses(data, self.draw(posterior))
        return {"reconstruction": np.array([row.sum() for row in losses]), "kl": kl}

    def over_rows(self, data, function):
        """A function of batches, over all rows of `Lines`: arrays with one row for each."""
        parts, order = [], []
        for indices, batch in data.in_order(BATCH):
            parts.append(function(batch))
            order.append(indices)
        back = np.argsort(np.concatenate(order))
        return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays)[back], *parts)

    def compute(self, method, inputs, **options):
        """A method of the model over rows, in parts of few sizes so that it is compiled for few shapes."""
        key = method, *options.values()
        if key not in self._methods:
            self._methods[key] = Method(self.model_, method, **options)
        n, parts = len(next(iter(inputs.values()))), []
        for at in range(0, n, BATCH):
            part = {name: np.asarray(x[at : at + BATCH]) for name, x in inputs.items()}
            rows = min(BATCH, n - at)
            wanted = min(BATCH, 2 ** math.ceil(math.log2(rows)))
            filled = {name: np.concatenate([x, np.repeat(x[-1:], wanted - rows, axis=0)]) for name, x in part.items()}
            parts.append(self._methods[key].predict_on_batch(filled))
        return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays)[:n], *parts)

    def _lines(self, lines):
        self._check_fitted()
        data = Lines(self.tokenizer, lines, self.longest_, limit="none of the training was longer")
        unknown = sum(row.count(self.tokenizer.unk_id) for row in data.rows)
        if unknown:
            warn(f"{unknown} of {data.num_tokens - len(data)} tokens are unknown to the tokenizer.")
        return data

    def _token_bias(self, data):
        """What no line has, and special tokens but the end, are not written."""
        bias = np.full(len(self.tokenizer.vocab), -1e9, "float32")
        seen = {i for row in data.rows for i in row[1:]}
        bias[sorted(seen - self.tokenizer.special_ids | {self.tokenizer.eos_id})] = 0.0
        return bias

    def _until_end(self, ids):
        ends = np.flatnonzero(np.asarray(ids) == self.tokenizer.eos_id)
        return ids[: ends[0]] if len(ends) else ids

    def _check_fitted(self):
        if not hasattr(self, "model_"):
            raise InputError("This TextVAE has learned nothing yet. Call `fit`, or load one by `load`.")
