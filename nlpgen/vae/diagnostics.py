"""What a latent space holds, and whether the decoder uses it."""

import math
import warnings

import keras
import numpy as np

from nlpgen.errors import CollapseWarning, InputError
from nlpgen.metrics import BigramModel, bleu, distinct_n, self_bleu, token_f1
from nlpgen.tasks.fine_tuning import check_seed
from nlpgen.text import check_texts
from nlpgen.vae.information import importance_weighted, mutual_information
from nlpgen.vae.latents import DiscreteLatent, Entropic, knn_entropy
from nlpgen.vae.latents.sphere import SphericalLatent
from nlpgen.vae.priors import Standard
from nlpgen.vae.report import plot, report

IGNORED = 0.1  # nats a text: with a smaller shuffle gap, z makes no difference that counts
ACTIVE = 0.01  # variance of a unit's means from which it counts as active (Burda et al., 2016)


class Diagnosis:
    """Measures of a trained `TextVAE` on lines of text; all in nats a text unless said otherwise.

    Args:
        vae: a fitted `TextVAE`.
        lines: strings, not those of the training.
        most_lines: of how many lines, evenly spread.
        samples: of z for each text in the importance-weighted likelihood; published numbers have 500.
        generated: texts drawn from the prior; 0 for none.
        seed: of the shuffle, and of what is drawn from q(z|x) and the prior: equal calls give equal results.

    Attributes:
        num_lines, num_tokens: what was measured: lines, and their tokens, ends included and starts not.
        prior: class of the prior that texts are drawn from, `"Standard"` for the latent's own.
        nll_prior: class of the prior that `nll` is under: `prior`, or `"Standard"` where that has no density over z.
        reconstruction: -log p(x|z), of a z drawn from q(z|x).
        kl: KL(q(z|x) ‖ p(z)); for codes, the logarithm of their number.
        kl_terms: the same by dimension, `(dimensions,)`.
        bound: reconstruction + kl, an upper bound of -log p(x).
        nll: the importance-weighted bound, under `nll_prior`; tighter than `bound` if that is the latent's own. NaN
            where q has no density.
        num_samples: samples of z for each text in `nll`, as asked for.
        perplexity: `exp` of nll a token, ends included.
        mi: the mutual information of texts and z; at most `mi_ceiling`, the logarithm of the number of lines.
        marginal_kl: kl - mi, how far all posteriors together are from the prior.
        active_units: dimensions whose means vary by more than 0.01 over the texts; see `Latent.unit_note`.
        shuffle_gap, shuffle_error: how much worse a text is guessed from the z of another, and the standard error. At 0
            the decoder makes no use of z, whatever the KL.
        gap_by_position: the same by token, nats.
        exact, token_f1, bleu: of greedy reconstructions, from 0 to 1.
        forward_perplexity, reverse_perplexity: of generated texts under a bigram model of the lines, and the reverse;
            where texts all look alike, the second is high.
        samples: the generated texts.
        self_bleu, distinct_1, distinct_2: of generated texts.
        entropy_gap: of `Entropic`: how much less entropy the draws of all texts have than as many draws of N(0, I), by
            the same estimate, `knn_entropy`, which is biased alike; else `None`.
        code_perplexity, used_codes: of a discrete latent: how many codes are in use, evenly counted, and their share.

    Raises:
        InputError: if there are no two lines, or an option is no count.

    Warns:
        CollapseWarning: if the shuffle gap is below 0.1 nats.
    """

    def __init__(self, vae, lines, most_lines=500, samples=20, generated=500, seed=0):
        least = {"most_lines": (most_lines, 2), "samples": (samples, 1), "generated": (generated, 0)}
        wrong = [f"{name}={n!r}" for name, (n, low) in least.items() if not isinstance(n, int | np.integer) or n < low]
        if wrong:
            raise InputError(f"Expected most_lines >= 2, samples >= 1 and generated >= 0. Received: {', '.join(wrong)}")
        check_seed(seed)
        lines = check_texts(lines, "lines")
        if len(lines) < 2:
            raise InputError(f"Give two lines or more. Received: {len(lines)}")
        chosen = np.unique(np.linspace(0, len(lines) - 1, min(most_lines, len(lines))).astype(int))
        self._vae, self._latent, self.num_lines = vae, vae.model_.latent, len(chosen)
        data = vae._lines([lines[i] for i in chosen])
        self._posterior = posterior = vae.posteriors(data)
        z, *more = vae.draw(posterior, seed, 1 + samples)
        self._measure_bounds(data, posterior, z, more)
        self._measure_information(posterior, z, seed)
        self._measure_use(data, z, seed)
        self._measure_texts(data, generated, seed)
        if self.shuffle_gap < IGNORED:
            advice = "Take a latent that cannot collapse (BatchNormGaussian, VonMisesFisher), anneal the KL, or weaken"
            if self.kl > 1:
                advice = "z does hold something, so train longer, or weaken"
            warnings.warn(
                f"The decoder ignores the latent: from the z of another text it guesses a text only "
                f"{self.shuffle_gap:.3f} nats worse (KL {self.kl:.2f}). Samples do not depend on z. {advice} the "
                "decoder with word_dropout.",
                CollapseWarning,
                stacklevel=3,
            )

    def report(self):
        """All of it as text, with what to know of each number."""
        return report(self)

    def plot(self, path):
        """Draw training curves, KL by dimension, use of z by position, and a map of the latent space in two dimensions
        with the balls of the posteriors and the way between two texts.

        Args:
            path: a file in an existing folder; its ending says the format, e.g. `.png` or `.pdf`.

        Raises:
            NlpgenError: if matplotlib is missing (extra `plot`).
            OutputError: if there is no such folder, or matplotlib knows no such format.
        """
        plot(self, path)

    def means(self):
        """The means of the posteriors `(lines, size)`, and the radius of each ball `(lines,)`."""
        mean, spread = (
            keras.ops.convert_to_numpy(x)
            for x in (self._latent.mean(self._posterior), self._latent.spread(self._posterior))
        )
        return mean, spread.mean(axis=1)

    def path(self):
        """Points on the way between the first text and the one furthest from it, `(steps, size)`."""
        mean, _ = self.means()
        far = int(np.argmax(np.square(mean - mean[0]).sum(axis=1)))
        return self._latent.interpolate(mean[0], mean[far], 9)

    def _measure_bounds(self, data, posterior, z, more):
        vae, latent = self._vae, self._latent
        self._own = vae.token_losses(data, z)
        terms = keras.ops.convert_to_numpy(latent.kl_terms(posterior))
        self.kl_terms = terms.mean(axis=0)
        self.reconstruction = float(np.mean([row.sum() for row in self._own]))
        self.kl = float(terms.sum(axis=1).mean())
        self.bound = self.reconstruction + self.kl
        self.num_tokens = data.num_tokens
        self.prior = self.nll_prior = type(vae.prior_).__name__
        if not hasattr(vae.prior_, "log_prob") or isinstance(latent, SphericalLatent):
            self.nll_prior = Standard.__name__
        nll = self._importance_weighted(data, posterior, more) if math.isfinite(self.kl) else np.nan
        self.nll = float(np.mean(nll))
        with np.errstate(over="ignore"):  # infinite under a prior that does not know such z
            self.perplexity = float(np.exp(self.nll * len(data) / data.num_tokens))
        self.num_samples = len(more)

    def _importance_weighted(self, data, posterior, draws):
        """-log p(x) of every text, from several draws of z."""
        log_joint, log_q = [], []
        for z in draws[:1] if isinstance(self._latent, DiscreteLatent) else draws:
            likelihood = -np.array([row.sum() for row in self._vae.token_losses(data, z)])
            log_joint.append(likelihood + self._log_prior(z))
            log_q.append(keras.ops.convert_to_numpy(self._latent.log_q(keras.ops.convert_to_tensor(z), posterior)))
        return -importance_weighted(np.stack(log_joint, axis=1), np.stack(log_q, axis=1))

    def _log_prior(self, z):
        if self.nll_prior != Standard.__name__:
            return self._vae.prior_.log_prob(z)
        return keras.ops.convert_to_numpy(self._latent.log_p(keras.ops.convert_to_tensor(z)))

    def _measure_information(self, posterior, z, seed):
        latent = self._latent
        self.mi_ceiling = math.log(self.num_lines)
        self.mi = mutual_information(latent, posterior, z) if math.isfinite(self.kl) else math.nan
        self.marginal_kl = self.kl - self.mi
        self.entropy_gap = None
        if isinstance(latent, Entropic):
            normal, ours = (
                float(knn_entropy(keras.ops.convert_to_tensor(x))) for x in (latent.sample_prior(len(z), seed), z)
            )
            self.entropy_gap = normal - ours
        means = keras.ops.convert_to_numpy(latent.mean(posterior))
        self.active_units = int((means.var(axis=0) > ACTIVE).sum())
        self.code_perplexity = self.used_codes = None
        if isinstance(latent, DiscreteLatent):
            counts = np.bincount(keras.ops.convert_to_numpy(posterior["codes"]).ravel(), minlength=latent.num_codes)
            shares = counts[counts > 0] / counts.sum()
            self.code_perplexity = float(np.exp(-(shares * np.log(shares)).sum()))
            self.used_codes = float((counts > 0).mean())

    def _measure_use(self, data, z, seed):
        order = np.random.default_rng(seed).permutation(len(z))
        other = np.empty(len(z), int)
        other[order] = np.roll(order, 1)  # nobody keeps its own
        gaps = [theirs - own for own, theirs in zip(self._own, self._vae.token_losses(data, z[other]), strict=True)]
        totals = np.array([gap.sum() for gap in gaps])
        self.shuffle_gap = float(totals.mean())
        self.shuffle_error = float(totals.std() / math.sqrt(len(totals)))
        longest = max(map(len, gaps))
        self.gap_by_position = np.array([np.mean([gap[i] for gap in gaps if len(gap) > i]) for i in range(longest)])

    def _measure_texts(self, data, generated, seed):
        vae, tokens = self._vae, self._vae.tokenizer.tokens
        cut = [tokens(row[1:-1]) for row in data.rows]
        again = [tokens(row) for row in vae.tokenizer.ids(vae.decode(self.means()[0]))]
        pairs = list(zip(again, cut, strict=True))
        self.exact = float(np.mean([a == b for a, b in pairs]))
        self.token_f1 = float(np.mean([token_f1(a, b) for a, b in pairs]))
        self.bleu = float(np.mean([bleu(a, [b]) for a, b in pairs]))
        names = ("forward_perplexity", "reverse_perplexity", "self_bleu", "distinct_1", "distinct_2")
        self.samples = vae.sample(generated, seed) if generated else []
        for name in names:
            setattr(self, name, math.nan)
        if self.samples:
            drawn, size = [tokens(row) for row in vae.tokenizer.ids(self.samples)], len(vae.tokenizer.vocab)
            self.forward_perplexity = BigramModel(cut, size).perplexity(drawn)
            self.reverse_perplexity = BigramModel(drawn, size).perplexity(cut)
            self.self_bleu = self_bleu(drawn)
            self.distinct_1, self.distinct_2 = distinct_n(drawn, 1), distinct_n(drawn, 2)
