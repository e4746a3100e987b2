import keras
import numpy as np
import pytest

from nlpgen.training import PiecewiseLinear, WarmupStableDecay
from tests.helpers import GOLDEN


def values(schedule, n):
    return [float(schedule(i)) for i in range(n)]


def test_without_a_plateau_it_is_berts():
    rates = values(WarmupStableDecay(1.0, 100, warmup=10, decay=90), 101)
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10, rtol=1e-6)
    np.testing.assert_allclose(rates[10:], (100 - np.arange(10, 101)) / 90, rtol=1e-6)


def test_plateau_does_not_depend_on_the_end():
    short = values(WarmupStableDecay(0.5, 50, warmup=5, decay=0), 50)
    long = values(WarmupStableDecay(0.5, 500, warmup=5, decay=100), 50)
    assert short == long


def test_accumulated_batches_are_one_step():
    one, three = WarmupStableDecay(1.0, 20, 4, 8), WarmupStableDecay(1.0, 20, 4, 8, accumulate=3)
    assert values(three, 60)[::3] == values(three, 60)[2::3] == values(one, 20)


def test_it_is_saved_with_an_optimizer():
    optimizer = keras.optimizers.AdamW(WarmupStableDecay(1.0, 20, 4, 8))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert float(again.learning_rate) == float(optimizer.learning_rate) == 0.25


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="warmup=8, decay=8"):
        WarmupStableDecay(1.0, 10, 8, 8)


def test_piecewise_linear_equals_bert4keras():
    golden = np.load(GOLDEN / "b4k_layers" / "golden.npz")
    steps = golden["piecewise_linear/in0"]
    for name, points in (("a", {4: 1, 10: 0.1}), ("from_zero_key", {0: 0.5, 5: 2.0})):
        schedule = PiecewiseLinear(1.0, points)
        schedule = PiecewiseLinear.from_config(schedule.get_config())
        found = [float(schedule(step)) for step in steps]
        np.testing.assert_allclose(found, golden[f"piecewise_linear/out_{name}"], rtol=1e-6)
