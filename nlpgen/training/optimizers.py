"""The optimizer of pretraining."""

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


def _dense(gradient):
    """The gradient with its rows summed; reshaping is what makes TensorFlow do it."""
    if gradient is None or len(gradient.shape) < 2:
        return gradient
    return ops.reshape(gradient, (-1, *gradient.shape[1:]))


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
