"""How the learning rate moves."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("nlpgen")
class WarmupStableDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, a plateau, and a linear decay to zero (Hu et al., 2024, https://arxiv.org/abs/2404.06395).

    With `decay = steps - warmup` there is no plateau: BERT's schedule. A run on the plateau can be given more steps at
    any time; it ends when its decay begins.

    Args:
        peak: the learning rate of the plateau.
        steps: after how many updates it is zero.
        warmup, decay: updates of the rise and of the fall.
        accumulate: batches an update, as the optimizer counts batches.

    Raises:
        ValueError: if warm-up and decay do not fit into the steps.

    Example:
        >>> schedule = WarmupStableDecay(1.0, steps=10, warmup=2, decay=4)
        >>> [round(float(schedule(i)), 2) for i in range(11)]
        [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    def __init__(self, peak, steps, warmup=0, decay=0, accumulate=1):
        super().__init__()
        if not (peak > 0 and warmup >= 0 and decay >= 0 and accumulate >= 1 and warmup + decay <= steps):
            raise ValueError(
                "Expected peak > 0, accumulate >= 1 and warmup + decay <= steps, none of them negative. "
                f"Received: peak={peak}, steps={steps}, warmup={warmup}, decay={decay}, accumulate={accumulate}"
            )
        self.peak, self.steps, self.warmup, self.decay, self.accumulate = peak, steps, warmup, decay, accumulate

    def __call__(self, step):
        update = ops.cast(ops.floor_divide(step, self.accumulate), "float32")
        rise = (update + 1) / max(self.warmup, 1)
        fall = (self.steps - update) / max(self.decay, 1)
        return self.peak * ops.maximum(ops.minimum(ops.minimum(rise, fall), 1.0), 0.0)

    def get_config(self):
        names = ("peak", "steps", "warmup", "decay", "accumulate")
        return {name: getattr(self, name) for name in names}
