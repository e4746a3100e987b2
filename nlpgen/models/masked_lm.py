"""A backbone with the masked-language-model head, for any architecture that has one."""

import warnings
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
from keras import ops

from nlpgen.checkpoints import under
from nlpgen.errors import CheckpointWarning, InputError, NonFiniteOutput, WeightsMismatch
from nlpgen.generation import MaskPredict
from nlpgen.layers import ACTIVATIONS, LayerNorm
from nlpgen.models.architectures import architecture_of
from nlpgen.models.backbone import check_backbone
from nlpgen.models.language_model import LanguageModel
from nlpgen.text import check_texts, length_batches, pad

# Sentences in which a trained model finds most masked characters among its first guesses.
PROBES = (
    "中华人民共和国",
    "他是一个很好的人。",
    "我们不知道为什么。",
    "春夏秋冬四季",
    "北京大学的学生",
    "今天天气很好。",
)


@dataclass(frozen=True)
class FilledMask:
    """What `MaskedLM.fill_mask` found for one text.

    Attributes:
        text: the text with the likeliest token at each mask.
        candidates: for each mask a list of `(token, probability)`, likeliest first.
    """

    text: str
    candidates: list


@keras.saving.register_keras_serializable("nlpgen")
class MaskedLMHead(keras.layers.Layer):
    """Hidden states to the space of the token embedding, and a bias for each token.

    Args:
        vocab_size, embedding_size: shape of the token embedding.
        activation: a name in `ACTIVATIONS`.
        initializer_range: standard deviation of a new kernel.
        norm: options of `LayerNorm`.
    """

    def __init__(self, vocab_size, embedding_size, activation, initializer_range=0.02, norm=None, **kwargs):
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size
        self.dense = keras.layers.Dense(
            embedding_size,
            ACTIVATIONS[activation],
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=initializer_range),
            name="dense",
            dtype=self.dtype_policy,
        )
        self.norm = LayerNorm(name="norm", dtype=self.dtype_policy, **(norm or {}))

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.norm.build((*input_shape[:-1], self.embedding_size))
        self.bias = self.add_weight(shape=(self.vocab_size,), initializer="zeros", name="bias")

    def call(self, x, condition=None):
        return self.norm(self.dense(x), condition)


@keras.saving.register_keras_serializable("nlpgen")
class MaskedLM(LanguageModel):
    """A masked language model: logits of every token of the vocabulary at every position, or at those asked for.

    Args:
        backbone: a built or unbuilt `Backbone`. Where its architecture has no weights for the head, hidden states and
            token embeddings are multiplied as they are.

    Call arguments:
        inputs: those of the backbone. With `positions` `(batch, n)` the head and the last block run only there.

    Returns:
        Logits `(batch, length, vocab_size)`, or `(batch, n, vocab_size)`.

    Example: `model.fit(batches)`, of `nlpgen.data.masked_lm_batch`, trains it further; see `LanguageModel`.
    """

    architecture = staticmethod(partial(architecture_of, head="masked_lm"))
    hugging_face_class = "{}ForMaskedLM"

    def __init__(self, backbone, **kwargs):
        check_backbone(type(self), backbone)
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        backbone.head_names("masked_lm")  # raises for one without
        self.backbone = backbone
        self.tokenizer = backbone.tokenizer
        c, self.head = backbone.config, None
        if backbone.head_names("masked_lm"):
            self.head = MaskedLMHead(
                c.vocab_size,
                backbone.embeddings.token.output_dim,
                c.hidden_act,
                c.initializer_range,
                norm=backbone.norm_options,
                dtype=self.dtype_policy,
                name="head",
            )

    @property
    def checkpoint_names(self):
        names = under("backbone", self.backbone.checkpoint_names)
        return names | under("head", self.backbone.head_names("masked_lm"))

    def build(self, input_shape=None):
        if not self.backbone.built:
            self.backbone.build()
        if self.head is not None:
            self.head.build((None, None, self.backbone.config.hidden_size))

    def call(self, inputs, training=None):
        return self.logits(self.backbone(inputs), condition=inputs.get("condition"))

    def logits(self, hidden, token_ids=None, condition=None):
        """Hidden states, at any positions, to logits.

        Args:
            hidden: `(batch, n, hidden_size)`.
            token_ids: `(k,)`; only the logits of these tokens.
            condition: see `LayerNorm`.

        Returns:
            `(batch, n, vocab_size)` or `(batch, n, k)`.
        """
        x = hidden if self.head is None else self.head(hidden, condition)
        table = self.backbone.embeddings.token.embeddings
        if token_ids is not None:
            table = ops.take(table, token_ids, axis=0)
        logits = ops.matmul(x, ops.transpose(ops.cast(table, x.dtype)))
        if self.head is None:
            return logits
        bias = self.head.bias if token_ids is None else ops.take(self.head.bias, token_ids)
        return logits + ops.cast(bias, x.dtype)

    def fill_mask(self, texts, top_k=5):
        """Guess what stands at each `[MASK]`.

        Args:
            texts: a string with one `[MASK]` or several, or a list of such strings.
            top_k: how many candidates a mask gets.

        Returns:
            A `FilledMask` for a string, a list of them for a list.

        Raises:
            InputError: if a text is no string, has no `[MASK]` or is too long for the model, or `top_k` is out of
                range.
            NonFiniteOutput: if the model gives NaN or infinity.
        """
        if isinstance(texts, str):
            return self.fill_mask([texts], top_k)[0]
        if not hasattr(texts, "__iter__"):
            raise InputError(f"`texts` must be a string or a list of strings. Received: {texts!r:.80}")
        texts, tokenizer = check_texts(texts), self._tokenizer()
        if not isinstance(top_k, int) or not 1 <= top_k <= len(tokenizer.vocab):
            raise InputError(f"`top_k` must be from 1 to {len(tokenizer.vocab):,}. Received: {top_k!r}")
        rows = [self._mask_row(text, i) for i, text in enumerate(texts)]
        results = [None] * len(texts)
        for indices, length in length_batches([len(row) for row in rows]):
            masks = [[at for at, id in enumerate(rows[i]) if id == tokenizer.mask_id] for i in indices]
            logits = self.predict_on_batch(
                {"token_ids": pad([rows[i] for i in indices], tokenizer.pad_id, length), "positions": pad(masks)}
            )
            for i, positions, row in zip(indices, masks, logits, strict=True):
                row = np.asarray(row[: len(positions), : len(tokenizer.vocab)], dtype="float32")
                if not np.isfinite(row).all():
                    raise NonFiniteOutput(f"The model gave NaN or infinity for `texts[{i}]`: its weights are damaged.")
                results[i] = self._filled(texts[i], _softmax(row), top_k)
        return results

    def write(self, texts, method=None):
        """Fill all masks of a text so that they fit one another.

        Args:
            texts: a string with one `[MASK]` or several, or a list of such strings.
            method: `MaskPredict()` by default, or `Gibbs(…)`.

        Returns:
            The text, or a list of texts.

        Raises:
            InputError: if a text is no string, has no `[MASK]` or is too long for the model.
            NonFiniteOutput: if the model gives NaN or infinity.

        Example:
            >>> mlm = MaskedLM.from_pretrained("bert-tiny-zh")
            >>> mlm.write("中华人民[MASK][MASK][MASK]")
            '中华人民政府。'
        """
        if isinstance(texts, str):
            return self.write([texts], method)[0]
        texts, tokenizer, method = check_texts(texts), self._tokenizer(), method or MaskPredict()
        rows = [self._mask_row(text, i) for i, text in enumerate(texts)]
        results = [None] * len(texts)
        hidden = [*sorted(tokenizer.special_ids), *range(len(tokenizer.vocab), self.backbone.config.vocab_size)]
        for indices, length in length_batches([len(row) for row in rows]):
            ids = pad([rows[i] for i in indices], tokenizer.pad_id, length)
            masks = [[at for at, id in enumerate(rows[i]) if id == tokenizer.mask_id] for i in indices]
            places = pad(masks, -1)

            def log_probs(ids, places=places):
                inputs = {"token_ids": ids, "positions": np.maximum(places, 0)}
                logits = np.array(self.predict_on_batch(inputs), dtype="float32")
                if not np.isfinite(logits).all():
                    raise NonFiniteOutput("The model gave NaN or infinity: its weights are damaged.")
                logits[:, :, hidden] = -np.inf
                return np.log(_softmax(logits) + 1e-30)

            filled, _ = method.fill(log_probs, ids, places, tokenizer.mask_id, indices)
            for i, row, mask in zip(indices, filled, masks, strict=True):
                first, *others = texts[i].split(tokenizer.special_tokens["mask"])
                tokens = [tokenizer.vocab.token(int(id)).removeprefix("##") for id in row[mask]]
                results[i] = first + "".join(t + o for t, o in zip(tokens, others, strict=True))
        return results

    def head_looks_random(self):
        """Whether the model guesses the characters of plain phrases no better than by chance.

        Every character of a few phrases is masked once. A trained model, even a tiny one, ranks the right ones among
        its first guesses; a head that was never trained ranks them anywhere, whatever its values look like.

        Returns:
            A bool, or `None` if the vocabulary has too few of the characters to tell (an English model's, say).
        """
        tokenizer = self._tokenizer()
        rows, targets = [], []
        for ids in tokenizer.ids(list(PROBES)):
            for i, target in enumerate(ids):
                if target != tokenizer.unk_id:
                    rows.append([tokenizer.cls_id, *ids[:i], tokenizer.mask_id, *ids[i + 1 :], tokenizer.sep_id])
                    targets.append(target)
        if len(rows) < 20:
            return None
        positions = np.array([[row.index(tokenizer.mask_id)] for row in rows])
        logits = self.predict_on_batch({"token_ids": pad(rows, tokenizer.pad_id), "positions": positions})
        logits = np.asarray(logits[:, 0], dtype="float32")
        ranks = (logits > np.take_along_axis(logits, np.array(targets)[:, None], axis=1)).sum(axis=1)
        return bool(np.median(ranks) > logits.shape[1] / 20)

    @classmethod
    def check_checkpoint(cls, folder, backbone_class):
        """Refuse a checkpoint without the head, and warn of one whose head was never trained.

        Only the values are looked at: an untrained head still has the first values of its layer normalization, or a
        bias that is one number. `head_looks_random` asks the loaded model itself.
        """
        table = backbone_class.head_names("masked_lm")
        if not table:
            return
        names = {part: getattr(scope, "scope", scope) for part, scope in table.items()}
        tensors = folder.tensors
        if "bias" in names and names["bias"] not in tensors and f"{names['dense']}/kernel" not in tensors:
            raise WeightsMismatch(
                f"{folder.path} has no masked-language-model head (`{names['bias']}` and its like), so it cannot fill "
                f"masks. Take a checkpoint with the head, or train a new one on the encoder: "
                f"MaskedLM({backbone_class.__name__}.from_pretrained({str(folder.path)!r}))."
            )
        norm, bias = names.get("norm"), names.get("bias")
        if (
            f"{norm}/gamma" in tensors
            and f"{norm}/beta" in tensors
            and np.all(tensors[f"{norm}/gamma"] == 1)
            and np.all(tensors[f"{norm}/beta"] == 0)
        ):
            reason = f"`{norm}` has its first values"
        elif bias in tensors and np.ptp(np.asarray(tensors[bias], dtype="float32")) == 0:
            reason = f"`{bias}` is the same for every token"
        else:
            return
        warnings.warn(
            f"The masked-language-model head of {folder.path} looks untrained ({reason}): what it fills into masks is "
            "noise. Known of HFL's RoBERTa-wwm-ext-large; use its encoder, or train the head.",
            CheckpointWarning,
            stacklevel=4,
        )

    def _tokenizer(self):
        if self.tokenizer is None:
            raise InputError("This model has no tokenizer. Load it from a folder with a vocab.txt, or set `tokenizer`.")
        return self.tokenizer

    def _mask_row(self, text, index):
        """`[CLS] text [SEP]` where only `[MASK]` is read as a special token."""
        tokenizer = self._tokenizer()
        mask = tokenizer.special_tokens["mask"]
        if mask is None:
            raise InputError("The tokenizer of this model has no mask token, so no text can name one. Call the model.")
        if mask not in text:
            raise InputError(f"`texts[{index}]` has no {mask}: {text[:40]!r}. Put {mask} where a token is to be found.")
        row = [tokenizer.cls_id]
        for piece in tokenizer.ids(text.split(mask)):
            row += [*piece, tokenizer.mask_id]
        row[-1] = tokenizer.sep_id
        longest = self.backbone.longest
        if longest is not None and len(row) > longest:
            raise InputError(
                f"`texts[{index}]` has {len(row):,} tokens, but the model reads {longest:,} at most. "
                f"Give only the part around the {mask}."
            )
        return row

    def _filled(self, text, probabilities, top_k):
        tokenizer, candidates = self._tokenizer(), []
        for row in probabilities:
            best = np.argsort(-row, kind="stable")[:top_k]
            candidates.append([(tokenizer.vocab.token(i), float(row[i])) for i in best])
        first, *others = text.split(tokenizer.special_tokens["mask"])
        tokens = [row[0][0].removeprefix("##") for row in candidates]
        return FilledMask(first + "".join(t + o for t, o in zip(tokens, others, strict=True)), candidates)


def _softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
