"""How the learning rate moves."""

import itertools

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


@keras.saving.register_keras_serializable("nlpgen")
class PiecewiseLinear(keras.optimizers.schedules.LearningRateSchedule):
    """Straight lines between given points, from 0 at step 0 unless that is a point; flat after the last.

    Args:
        learning_rate: what the factors multiply.
        points: `{step: factor}`, or a list of such pairs.

    Raises:
        ValueError: if there is no point, or a step is negative.

    Example:
        >>> schedule = PiecewiseLinear(2.0, {2: 1.0, 4: 0.5})
        >>> [float(schedule(i)) for i in range(6)]
        [0.0, 1.0, 2.0, 1.5, 1.0, 1.0]
    """

    def __init__(self, learning_rate, points):
        super().__init__()
        self.learning_rate = learning_rate
        self.points = sorted((int(step), float(factor)) for step, factor in dict(points).items())
        if not self.points or self.points[0][0] < 0:
            raise ValueError(f"Expected one point or more, at step 0 or later. Received: points={points!r}")

    def __call__(self, step):
        step = ops.cast(step, "float32")
        points = self.points if self.points[0][0] == 0 else [(0, 0.0), *self.points]
        factor = ops.full_like(step, points[-1][1])
        for (start, first), (end, last) in reversed(list(itertools.pairwise(points))):
            factor = ops.where(step < end, first + (step - start) * ((last - first) / (end - start)), factor)
        return self.learning_rate * factor

    def get_config(self):
        return {"learning_rate": self.learning_rate, "points": self.points}
