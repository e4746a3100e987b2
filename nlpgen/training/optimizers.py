"""The optimizer of pretraining."""

import keras
from keras import ops

NO_DECAY = ("bias", "gamma", "beta")


@keras.saving.register_keras_serializable("nlpgen")
class AdamW(keras.optimizers.AdamW):
    """Keras' AdamW, which clips by the true norm on TensorFlow too.

    There the gradient of an embedding comes as rows that are still to be summed, and Keras takes the norm before they
    are: with one segment, the norm of a batch's tokens instead of their sum's.
    """

    def apply(self, grads, trainable_variables=None):
        return super().apply([_dense(g) for g in grads], trainable_variables)


def _dense(gradient):
    """The gradient with its rows summed; reshaping is what makes TensorFlow do it."""
    return gradient if gradient is None else ops.reshape(gradient, gradient.shape)


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
            `None` for none.
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
