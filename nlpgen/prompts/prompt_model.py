"""A language model asked a cloze question: encoded patterns to label scores."""

import keras
import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.models import PretrainedModel
from nlpgen.prompts.auxiliary import token_loss

HIDDEN = -1e9  # of a label that an input does not have


@keras.saving.register_keras_serializable("nlpgen")
class PromptModel(keras.Model):
    """Label log scores from the slots of clozes, see `Plan`.

    A word scores the sum of its tokens' log probabilities, a label the log of the sum of its words' probabilities.

    Args:
        lm: a `MaskedLM` or `CausalLM`, which is shared, not copied.
        num_labels: columns of the result; `None` for the scores of the words themselves.
        columns: ids of the only tokens that are read, whose rows alone the head then computes; `word_tokens` are
            indices of them. `None` for all of the vocabulary.
        exact: whether log probabilities are normalized over the vocabulary; without, all words of an input must be
            read at the same slots of the same cloze, see `Plan.is_exact`.
        prompt: a layer that gives the vectors of the virtual tokens, `nlpgen.layers.PromptEncoder`; they have the ids
            from `first_virtual` on.
        prefix: a layer that gives keys and values for every block, `nlpgen.layers.PrefixEncoder`.
        classifier: a `Dense` that scores the labels of the first slot's hidden state, in place of words.
        trainable_part: `"all"`, but with `classifier` not the head that it replaces; `"prompt"`, only `prompt` and
            `prefix` are trained; or `"prompt+head"`, these and what of the language model is not its backbone. The
            backbone may be used by others too, so it is not frozen: its variables are left out.
        lm_dropout: whether the language model drops out units in training.

    Call arguments:
        inputs: a dict of arrays whose first axis is the batch:

            - `token_ids`, `segment_ids` (optional) `(batch, clozes, length)`, `slots` `(batch, clozes, n)`;
            - `word_clozes`, `word_slots`, `word_tokens`, `word_weights` `(batch, words, longest)`; `word_scale`,
              `word_bias` `(batch, words)`, by which a word's score is multiplied, and what is then added;
            - `word_labels` `(batch, words)`, the index of a word's label, -1 for none;
            - optional `masked_ids`, `masked_segments` `(rows, length)` and `masked_positions` `(rows, n)`: texts for
              the auxiliary masked-language-model loss;
            - optional `prefix_index` `(batch,)`, which of several prefixes.

    Returns:
        `(batch, labels)`, whose softmax are the labels' probabilities; with `masked_ids` a dict of it as `labels`, and
        of `tokens` `(rows, n, vocab_size)`, logits.
    """

    def __init__(
        self,
        lm,
        num_labels,
        columns=None,
        exact=True,
        prompt=None,
        prefix=None,
        first_virtual=None,
        classifier=None,
        trainable_part="all",
        lm_dropout=True,
        **kwargs,
    ):
        super().__init__(dtype=lm.dtype_policy, autocast=False, **kwargs)  # scores are in float32
        self.lm = lm
        self.num_labels = num_labels
        self.columns = None if columns is None else np.asarray(columns).tolist()
        self.exact = exact
        self.prompt, self.prefix = prompt, prefix
        self.first_virtual = first_virtual
        self.classifier = classifier
        self.trainable_part = trainable_part
        self.lm_dropout = lm_dropout
        self.jit_compile = lm.jit_compile

    def build(self, input_shape=None):
        for layer in (self.lm, self.prompt, self.prefix):
            if layer is not None and not layer.built:
                layer.build()
        if self.classifier is not None and not self.classifier.built:
            self.classifier.build((None, self.lm.backbone.config.hidden_size))

    def call(self, inputs, training=None):
        batch, _, length = ops.shape(inputs["token_ids"])
        prefix_index = inputs.get("prefix_index")
        if prefix_index is not None:  # one for each cloze
            prefix_index = prefix_index[:, None] + ops.zeros_like(inputs["token_ids"][:, :, 0])
        hidden = self.hidden(
            ops.reshape(inputs["token_ids"], (-1, length)),
            ops.reshape(inputs["slots"], (-1, ops.shape(inputs["slots"])[2])),
            None if inputs.get("segment_ids") is None else ops.reshape(inputs["segment_ids"], (-1, length)),
            None if prefix_index is None else ops.reshape(prefix_index, (-1,)),
        )  # (batch * clozes, slots, hidden_size)
        if self.classifier is None:
            labels = self.word_scores(hidden, inputs, batch)
        else:
            labels = ops.cast(self.classifier(hidden[:, 0]), "float32")
        if self.classifier is None and self.num_labels is not None:
            labels = self.label_scores(labels, inputs["word_labels"])
        if inputs.get("masked_ids") is None:
            return labels
        masked = self.hidden(inputs["masked_ids"], inputs["masked_positions"], inputs.get("masked_segments"))
        return {"labels": labels, "tokens": ops.cast(self.lm.logits(masked), "float32")}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Cross-entropy of the labels, and with `masked_ids` that of the tokens, whose targets are those of
        `token_loss`: the sum of both, each the mean over its weighted cells.

        Keras would keep a running mean of each, for which TensorFlow traces the step twice.
        """
        if not isinstance(y_pred, dict):
            return weighted_mean(label_loss(y, y_pred), sample_weight)
        losses = {"labels": label_loss, "tokens": token_loss}
        return sum(weighted_mean(loss(y[name], y_pred[name]), sample_weight[name]) for name, loss in losses.items())

    def hidden(self, token_ids, positions, segment_ids=None, prefix_index=None):
        """Hidden states at some positions: `(rows, n, hidden_size)`."""
        inputs = {"token_ids": token_ids, "positions": positions}
        if segment_ids is not None:
            inputs["segment_ids"] = segment_ids
        if self.prompt is not None:
            table = self.lm.backbone.embeddings.token.embeddings
            first = self.first_virtual
            is_virtual = token_ids >= first
            own = self.prompt(ops.clip(token_ids - first, 0, self.prompt.num_tokens - 1))
            # Any token that is no padding, so that it is seen.
            inputs["token_ids"] = ops.where(is_virtual, first - 1, token_ids)
            known = ops.take(ops.convert_to_tensor(table), inputs["token_ids"], axis=0)
            inputs["token_vectors"] = ops.where(is_virtual[..., None], ops.cast(own, known.dtype), known)
        if self.prefix is not None:
            index = ops.zeros_like(token_ids[:, 0]) if prefix_index is None else prefix_index
            inputs["prefix"] = self.prefix(index)
        return self.lm.backbone(inputs) if self.lm_dropout else self.lm.backbone(inputs, training=False)

    def token_scores(self, hidden):
        """Log probabilities, or without `exact` logits, of the tokens that are read, in float32."""
        if self.columns is None or self.exact:
            scores = ops.cast(self.lm.logits(hidden), "float32")
            scores = ops.log_softmax(scores) if self.exact else scores
            return scores if self.columns is None else ops.take(scores, self.columns, axis=-1)
        return ops.cast(self.lm.logits(hidden, np.array(self.columns, "int32")), "float32")

    def word_scores(self, hidden, inputs, batch):
        """The scores of words `(batch, words)`, from the hidden states of all clozes."""
        scores = self.token_scores(hidden)  # (batch * clozes, slots, columns)
        slots, columns = ops.shape(scores)[1], scores.shape[2]
        index = (inputs["word_clozes"] * slots + inputs["word_slots"]) * columns + inputs["word_tokens"]
        words, longest = ops.shape(index)[1], ops.shape(index)[2]
        read = ops.take_along_axis(ops.reshape(scores, (batch, -1)), ops.reshape(index, (batch, -1)), axis=1)
        read = ops.reshape(read, (-1, words, longest)) * inputs["word_weights"]
        return ops.sum(read, axis=-1) * inputs["word_scale"] + inputs["word_bias"]

    def label_scores(self, words, labels):
        """The log of the sum of the probabilities of each label's words: `(batch, words)` to `(batch, labels)`."""
        owned = ops.equal(labels[:, :, None], ops.arange(self.num_labels, dtype=labels.dtype))
        return ops.logsumexp(ops.where(owned, words[:, :, None], HIDDEN), axis=1)

    @property
    def trainable_variables(self):
        return self._chosen(super().trainable_variables)

    @property
    def trainable_weights(self):
        return self._chosen(super().trainable_weights)

    @property
    def non_trainable_variables(self):
        chosen = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in chosen]

    @property
    def non_trainable_weights(self):
        chosen = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in chosen]

    def _chosen(self, variables):
        if self.trainable_part == "all":
            unused = set() if self.classifier is None else {id(v) for v in head_variables(self.lm)}
            return [v for v in variables if id(v) not in unused]
        own = {
            id(v) for layer in (self.prompt, self.prefix, self.classifier) if layer is not None for v in layer.variables
        }
        if self.trainable_part == "prompt+head":
            own |= {id(v) for v in head_variables(self.lm)}
        return [v for v in variables if id(v) in own]

    stateless_call = PretrainedModel.stateless_call

    def get_config(self):
        layers = {name: getattr(self, name) for name in ("lm", "prompt", "prefix", "classifier")}
        plain = ("num_labels", "columns", "exact", "first_virtual", "trainable_part", "lm_dropout", "name")
        return {name: layer and keras.saving.serialize_keras_object(layer) for name, layer in layers.items()} | {
            name: getattr(self, name) for name in plain
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name in ("lm", "prompt", "prefix", "classifier"):
            config[name] = config[name] and keras.saving.deserialize_keras_object(config[name])
        return cls(**config)

    def get_build_config(self):
        return {"built": self.built}

    def build_from_config(self, config):
        self.build()


def label_loss(targets, logits):
    """Cross-entropy of `(batch,)` indices of labels under `(batch, labels)`: `(batch,)`."""
    return ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)


def weighted_mean(losses, weights):
    """The mean over all cells of losses times weights, arrays of one shape."""
    return ops.mean(ops.multiply(losses, weights))


def head_variables(lm):
    """The variables of a language model that are not its backbone's."""
    own = {id(v) for v in lm.backbone.variables}
    return [v for v in lm.variables if id(v) not in own]


def with_own_head(lm):
    """A language model on the backbone of another, with a copy of its head.

    Raises:
        InputError: if it has no weights besides its backbone's.
    """
    if not head_variables(lm):
        raise InputError("This language model has no head of its own. Use trainable='prompt' or 'all'.")
    twin = type(lm)(lm.backbone)
    twin.build()
    for ours, theirs in zip(head_variables(twin), head_variables(lm), strict=True):
        ours.assign(ops.convert_to_numpy(theirs))  # JAX would share the array, and training gives it away
    return twin
