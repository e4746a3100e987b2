"""AdamW as pretraining uses it, and Adam with the options that bert4keras adds to it."""

import re

import keras
from keras import ops

NO_DECAY = ("bias", "gamma", "beta")


@keras.saving.register_keras_serializable("nlpgen")
class AdamW(keras.optimizers.AdamW):
    """Keras' AdamW, with the gradients of embeddings summed on TensorFlow too.

    There the gradient of an embedding comes as a row for each token of the batch. Keras 3.15 squares these rows, for
    the second moment and for the norm that clips, before those of the same token are summed: an embedding that is only
    looked up, such as that of the segments, gets other steps than on JAX and PyTorch.
    """

    def apply(self, grads, trainable_variables=None):
        return super().apply([_dense(g) for g in grads], trainable_variables)


def adamw(
    learning_rate,
    weight_decay=0.01,
    no_decay=NO_DECAY,
    beta_2=0.98,
    epsilon=1e-6,
    clip=1.0,
    accumulate=1,
    ema=None,
):
    """AdamW (Loshchilov & Hutter, 2017, https://arxiv.org/abs/1711.05101) as BERT is trained with it.

    Args:
        learning_rate: a number or a schedule.
        weight_decay: factor; 0 for none.
        no_decay: names of variables that do not decay: biases, scales and shifts.
        beta_2: decay of the second moment; RoBERTa's 0.98 by default.
        epsilon: BERT's 1e-6 by default.
        clip: largest norm of all gradients together; `None` for none.
        accumulate: batches whose gradients are averaged for one update.
        ema: momentum of an exponential moving average of the weights, which `fit` puts in their place when it ends;
            `None` for none. It moves with every batch, accumulated ones included.
    """
    optimizer = AdamW(
        learning_rate,
        weight_decay=float(weight_decay),
        beta_1=0.9,
        beta_2=beta_2,
        epsilon=epsilon,
        global_clipnorm=clip,
        use_ema=ema is not None,
        ema_momentum=0.99 if ema is None else ema,
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
    )
    # Keras hands over "bias" on JAX and PyTorch, "masked_lm/…/bias:0" or "masked_lm/…/bias_92" on TensorFlow.
    optimizer.exclude_from_weight_decay(var_names=[rf"(^|/){name}(_\d+)?(:\d+)?$" for name in no_decay])
    return optimizer


@keras.saving.register_keras_serializable("nlpgen")
class BertAdam(keras.optimizers.Optimizer):
    """Adam with decoupled weight decay, and what bert4keras' `extend_with_…` add to it, each by an argument.

    For a gradient g, `m` and `v` the averages of g and g², and the weight w, the step is::

        u = m / (sqrt(v) + epsilon) + weight_decay * w
        w = w - learning_rate * factor * ratio * u

    Patterns are regular expressions, searched in the path of a variable such as `masked_lm/bert/block_0/up/kernel`.

    Args:
        learning_rate: a number or a schedule.
        beta_1, beta_2: decay of m and v.
        epsilon: added to the square root, after the correction of v as in BERT's and PyTorch's code; `keras.optimizers`
            add it before.
        bias_correction: whether m and v are divided by what the zeros they start from take away. BERT's own code does
            not.
        weight_decay: factor; 0 for none.
        no_decay: patterns of the variables that do not decay.
        layer_adaptation: whether ratio is `|w| / |u|` (LAMB, You et al., 2019, https://arxiv.org/abs/1904.00962), else
            1; it is 1 too where either is 0.
        no_adaptation: patterns of the variables whose ratio is 1.
        factors: `{pattern: factor}` of the learning rate; where several patterns fit, their product.
        lazy: patterns of the variables of which a row without a gradient is left as it is, without decay too: for
            embeddings, of which a batch has few tokens. A row is what the last axis holds.
        lookahead: after how many updates the weights go back to slow ones (Zhang et al., 2019,
            https://arxiv.org/abs/1907.08610); `None` for never.
        slow_step: how far the slow weights come towards the others each time, from 0 to 1.
        clip: largest norm of all gradients together; `None` for none.
        accumulate: batches whose gradients are averaged for one update.
        ema: momentum of an average of the weights, see `adamw`; `None` for none.

    Raises:
        ValueError: if `lookahead` is below 1, or `slow_step` not above 0 and at most 1.
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-6,
        bias_correction=True,
        weight_decay=0.0,
        no_decay=NO_DECAY,
        layer_adaptation=False,
        no_adaptation=NO_DECAY,
        factors=None,
        lazy=(),
        lookahead=None,
        slow_step=0.5,
        clip=None,
        accumulate=1,
        ema=None,
        name="bert_adam",
    ):
        if (lookahead is not None and lookahead < 1) or not 0 < slow_step <= 1:
            raise ValueError(
                "Expected `lookahead` of 1 or more (or None), and `slow_step` above 0 and at most 1. "
                f"Received: lookahead={lookahead}, slow_step={slow_step}"
            )
        super().__init__(
            learning_rate,
            global_clipnorm=clip,
            use_ema=ema is not None,
            ema_momentum=0.99 if ema is None else ema,
            gradient_accumulation_steps=accumulate if accumulate > 1 else None,
            name=name,
        )
        self.beta_1, self.beta_2, self.epsilon, self.bias_correction = beta_1, beta_2, epsilon, bias_correction
        self.decay, self.no_decay = weight_decay, tuple(no_decay)
        self.layer_adaptation, self.no_adaptation = layer_adaptation, tuple(no_adaptation)
        self.factors, self.lazy = dict(factors or {}), tuple(lazy)
        self.lookahead, self.slow_step = lookahead, slow_step
        self.clip, self.accumulate, self.ema = clip, accumulate, ema

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._m, self._v = self.add_optimizer_variables(variables, ["m", "v"])
        self._slow = self.add_optimizer_variables(variables, "slow") if self.lookahead else []
        # By the order of the variables: TensorFlow hands over its own ones, which have other names.
        self._options = [self._options_of(variable.path) for variable in variables]

    def apply(self, grads, trainable_variables=None):
        grads = [_dense(gradient) for gradient in grads]
        if not self.lookahead:
            return super().apply(grads, trainable_variables)
        if not self.built:
            self.build(list(trainable_variables))
        pairs = list(zip(self._trainable_variables, self._slow, strict=True))
        starts = ops.equal(self.iterations, 0)
        for variable, slow in pairs:
            slow.assign(ops.where(starts, variable, slow))
        super().apply(grads, trainable_variables)
        # Between two updates of accumulated gradients this is done again, and changes nothing: both are the same.
        due = ops.equal(self.iterations % self.lookahead, 0)
        for variable, slow in pairs:
            slow.assign(ops.where(due, slow + self.slow_step * (variable - slow), slow))
            variable.assign(ops.where(due, slow, variable))

    def update_step(self, gradient, variable, learning_rate):
        index, dtype = self._get_variable_index(variable), variable.dtype
        m, v, options = self._m[index], self._v[index], self._options[index]
        gradient, weight = ops.cast(gradient, dtype), ops.convert_to_tensor(variable)
        self.assign(m, self.beta_1 * m + (1 - self.beta_1) * gradient)
        self.assign(v, self.beta_2 * v + (1 - self.beta_2) * ops.square(gradient))
        mean, square = ops.convert_to_tensor(m), ops.convert_to_tensor(v)
        if self.bias_correction:
            step = ops.cast(self.iterations + 1, dtype)
            mean, square = (x / (1 - beta**step) for x, beta in ((mean, self.beta_1), (square, self.beta_2)))
        update = mean / (ops.sqrt(square) + self.epsilon) + options["decay"] * weight
        if options["adapted"]:
            norms = [ops.sqrt(ops.sum(ops.square(x))) for x in (weight, update)]
            none = ops.equal(norms[0] * norms[1], 0)
            update = update * ops.where(none, 1.0, norms[0] / ops.where(none, 1.0, norms[1]))
        if options["lazy"]:
            update = update * ops.cast(ops.any(ops.not_equal(gradient, 0), axis=-1, keepdims=True), dtype)
        self.assign_sub(variable, ops.cast(learning_rate, dtype) * options["factor"] * update)

    def get_config(self):
        names = ("beta_1", "beta_2", "epsilon", "bias_correction", "no_decay", "layer_adaptation", "no_adaptation")
        names += ("factors", "lazy", "lookahead", "slow_step", "clip", "accumulate", "ema", "name")
        return {
            "learning_rate": super().get_config()["learning_rate"],
            "weight_decay": self.decay,
            **{name: getattr(self, name) for name in names},
        }

    def _options_of(self, path):
        factor = 1.0
        for pattern, each in self.factors.items():
            factor *= each if re.search(pattern, path) else 1.0
        return {
            "decay": 0.0 if _matches(self.no_decay, path) else self.decay,
            "adapted": self.layer_adaptation and not _matches(self.no_adaptation, path),
            "lazy": _matches(self.lazy, path),
            "factor": factor,
        }


def _matches(patterns, path):
    return any(re.search(pattern, path) for pattern in patterns)


def _dense(gradient):
    """The gradient with its rows summed; reshaping is what makes TensorFlow do it."""
    if gradient is None or len(gradient.shape) < 2:
        return gradient
    return ops.reshape(gradient, (-1, *gradient.shape[1:]))
