"""Optimizers step by step against those of bert4keras 0.11.5, recorded in tests/golden/b4k_optimizers.

Where ours differ on purpose, a few lines of NumPy say how, and the same lines with bert4keras' rule give its numbers.
"""

import keras
import numpy as np
import pytest

from nlpgen.training import BertAdam, PiecewiseLinear
from tests.helpers import GOLDEN, array, assert_close

pytestmark = pytest.mark.backends
STEPS = 14
NAMES = ("dense/kernel", "LayerNorm/gamma", "dense/bias")
NO_NORM = ("Norm", "bias")


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "b4k_optimizers" / "golden.npz") as file:
        return {name: file[name].astype("float64") for name in file.files}


def gradient(golden, name, w, step, lazy=False):
    g = golden[f"A/{name}"] * (w - golden[f"c/{name}"]) * (2 if step % 3 == 0 else 1)
    if lazy and name == "dense/kernel" and step % 2:
        g[[1, 3]] = 0
    return g


def variables(golden):
    found = []
    for name in NAMES:
        scope, leaf = name.split("/")
        with keras.name_scope(scope):
            found.append(keras.Variable(golden[f"init/{name}"], dtype="float32", name=leaf))
    return found


def trajectory(golden, optimizer, lazy=False):
    """`{name: (steps + 1, …)}`, the variables before the first step and after each."""
    weights = variables(golden)
    optimizer.build(weights)
    path = [[array(w) for w in weights]]
    for step in range(STEPS):
        grads = [gradient(golden, name, w, step, lazy) for name, w in zip(NAMES, path[-1], strict=True)]
        optimizer.apply([keras.ops.convert_to_tensor(g.astype("float32")) for g in grads])
        path.append([array(w) for w in weights])
    return {name: np.stack(values) for name, values in zip(NAMES, zip(*path, strict=True), strict=True)}


def assert_equals(golden, found, key, names=NAMES):
    for name in names:
        assert_close(found[name], golden[f"{key}/{name}"])


EQUAL = {
    "adam": lambda: BertAdam(0.05),
    "adam_nobc": lambda: BertAdam(0.05, bias_correction=False),
    "adamw": lambda: BertAdam(0.05, weight_decay=0.05, no_decay=NO_NORM),
    "adam_lr": lambda: BertAdam(PiecewiseLinear(0.05, {4: 1, 10: 0.1})),
    "adamw_lr": lambda: BertAdam(PiecewiseLinear(0.05, {4: 1, 10: 0.1}), weight_decay=0.05, no_decay=NO_NORM),
    "lamb": lambda: BertAdam(0.05, weight_decay=0.05, no_decay=NO_NORM, layer_adaptation=True, no_adaptation=NO_NORM),
    "lazy": lambda: BertAdam(0.05, lazy=["kernel"]),
    "paramwise": lambda: BertAdam(0.05, factors={"kernel": 2, "dense": 0.5, "gamma": 10}),
    "ema": lambda: BertAdam(0.05, ema=0.9),
    "lion": lambda: keras.optimizers.Lion(0.01, beta_1=0.95, beta_2=0.98),
}


@pytest.mark.parametrize("key", EQUAL)
def test_every_step_equals_bert4keras(golden, key):
    assert_equals(golden, trajectory(golden, EQUAL[key](), lazy=key == "lazy"), key)


def adam(golden, epsilon_before=False, apply_at=None, rate=lambda step: 0.05, decay=0.0):
    """Adam in NumPy; `apply_at(step, sum, g)` says with which gradient a step is made, and what is left of the sum.

    `decay` is that of the kernel, as with `NO_NORM`.
    """
    found = {}
    for name in NAMES:
        w = golden[f"init/{name}"]
        m, v, total, path = 0.0, 0.0, np.zeros_like(w), [w]
        for step in range(STEPS):
            g = gradient(golden, name, w, step)
            g, total, t = (g, total, step + 1) if apply_at is None else apply_at(step, total, g)
            if g is not None:
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
                square = np.sqrt(v / (1 - 0.999**t))
                epsilon = 1e-2 / np.sqrt(1 - 0.999**t) if epsilon_before else 1e-6
                update = m / (1 - 0.9**t) / (square + epsilon) + (decay * w if name == "dense/kernel" else 0.0)
                w = w - rate(step) * update
            path.append(w)
        found[name] = np.stack(path)
    return found


def largest_difference(golden, found, key):
    """Between what is found and what bert4keras gave, over all steps and variables, in shares of the scale."""
    return max(np.abs(found[n] - golden[f"{key}/{n}"]).max() / np.abs(golden[f"{key}/{n}"]).max() for n in NAMES)


def piecewise(step):
    """`PiecewiseLinear(0.05, {4: 1, 10: 0.1})` in NumPy."""
    return 0.05 * np.interp(step, [0, 4, 10], [0, 1, 0.1])


# Batches for an update, ours, the same for Adam in NumPy, and how far ours are from bert4keras.
ACCUMULATED = {
    "adam_ga2": (2, lambda: BertAdam(0.05, accumulate=2), {}, 0.125),
    "adam_ga3": (3, lambda: BertAdam(0.05, accumulate=3), {}, 0.115),
    "adamw_lr_ga2": (
        2,
        lambda: BertAdam(PiecewiseLinear(0.05, {4: 1, 10: 0.1}), weight_decay=0.05, no_decay=NO_NORM, accumulate=2),
        {"rate": piecewise, "decay": 0.05},
        0.045,
    ),
}


@pytest.mark.parametrize("key", ACCUMULATED)
def test_accumulated_gradients_are_applied_with_the_last_of_them(golden, key):
    """bert4keras applies them before it adds the batch at hand: late by one, the first time none at all.

    The time of Adam's correction counts batches there, updates here; that of a schedule counts batches in both.
    """
    k, optimizer, options, difference = ACCUMULATED[key]

    def theirs(step, total, g):
        return (total / k, g, step + 1) if step % k == 0 else (None, total + g, None)

    def ours(step, total, g):
        return ((total + g) / k, 0 * g, (step + 1) // k) if step % k == k - 1 else (None, total + g, None)

    assert_equals(golden, adam(golden, apply_at=theirs, **options), key)
    expected, found = adam(golden, apply_at=ours, **options), trajectory(golden, optimizer())
    for name in NAMES:
        assert_close(found[name], expected[name])
    assert round(largest_difference(golden, found, key), 3) == difference


def test_sgd_accumulates_where_bert4keras_does_not(golden):
    """Keras' own SGD moves with every batch there: by half of what was kept, the first batch of two twice."""
    found = trajectory(golden, keras.optimizers.SGD(0.05, gradient_accumulation_steps=2))
    for name in NAMES:
        w = ours = golden[f"init/{name}"]
        kept, total, path, our_path = 0.0, 0.0, [w], [w]
        for step in range(STEPS):
            g = gradient(golden, name, w, step)
            w = w - 0.05 * kept / 2
            kept = g + (kept if step % 2 else 0.0)
            path.append(w)
            total = total + gradient(golden, name, ours, step)
            if step % 2:
                ours, total = ours - 0.05 * total / 2, 0.0
            our_path.append(ours)
        assert_close(np.stack(path), golden[f"sgd_ga2/{name}"])
        assert_close(found[name], np.stack(our_path))
    assert round(largest_difference(golden, found, "sgd_ga2"), 3) == 0.502


def lookahead(golden, start, due):
    """Adam in NumPy, whose weights go back to slow ones."""
    found = {}
    for name in NAMES:
        w = golden[f"init/{name}"]
        m, v, slow, path = 0.0, 0.0, start(w), [w]
        for step in range(STEPS):
            g = gradient(golden, name, w, step)
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            w = w - 0.05 * m / (1 - 0.9 ** (step + 1)) / (np.sqrt(v / (1 - 0.999 ** (step + 1))) + 1e-6)
            if due(step):
                w = slow = slow + 0.5 * (w - slow)
            path.append(w)
        found[name] = np.stack(path)
    return found


def test_lookahead_starts_at_the_weights(golden):
    """bert4keras starts its slow weights at zero and goes back at once: the first step halves the model."""
    assert_equals(golden, lookahead(golden, np.zeros_like, lambda step: step % 3 == 0), "lookahead")
    expected = lookahead(golden, np.array, lambda step: step % 3 == 2)
    found = trajectory(golden, BertAdam(0.05, lookahead=3, slow_step=0.5))
    for name in NAMES:
        assert_close(found[name], expected[name])


def test_the_average_starts_at_the_weights(golden):
    """Keras starts it at the first value; bert4keras at zero, for which it corrects in the end."""
    optimizer = BertAdam(0.05, ema=0.9)
    path = trajectory(golden, optimizer)
    for name, found in zip(NAMES, optimizer._model_variables_moving_average, strict=True):
        theirs, ours = 0.0, path[name][1].astype("float64")
        for w in path[name][1:]:
            theirs, ours = 0.9 * theirs + 0.1 * w, 0.9 * ours + 0.1 * w
        assert_close(theirs / (1 - 0.9**STEPS), golden[f"ema_applied/{name}"])
        assert_close(array(found), ours)


def adafactor(golden, name, factored, rate=0.05, beta_1=0.0):
    """Adafactor (Shazeer & Stern, 2018, https://arxiv.org/abs/1804.04235) in NumPy."""
    w = golden[f"init/{name}"]
    rows, columns, v, m, path = 0.0, 0.0, 0.0, 0.0, [w]
    for step in range(STEPS):
        g = gradient(golden, name, w, step)
        keep = 1 - (step + 1) ** -0.8
        rows, columns, v = (
            keep * old + (1 - keep) * new
            for old, new in ((rows, (g**2).mean(-1)), (columns, (g**2).mean(0)), (v, g**2))
        )
        u = g / np.sqrt(np.outer(rows, columns) / rows.mean() if factored else v)
        u = u / max(1, np.sqrt((u**2).mean()))
        m = beta_1 * m + (1 - beta_1) * u
        w = w - rate * max(1e-3, np.sqrt((w**2).mean())) * m
        path.append(w)
    return np.stack(path)


def test_adafactor_is_keras_own(golden):
    """Equal for vectors. Keras factors every matrix, bert4keras those of two axes of 128 or more."""
    found = trajectory(golden, keras.optimizers.Adafactor(0.05))
    assert_equals(golden, found, "adafactor", ["LayerNorm/gamma", "dense/bias"])
    assert_close(adafactor(golden, "dense/kernel", factored=False), golden["adafactor/dense/kernel"])
    assert_close(adafactor(golden, "dense/kernel", factored=True), found["dense/kernel"])
    assert round(largest_difference(golden, found, "adafactor"), 3) == 0.182


def test_adafactor_of_keras_has_no_beta1(golden):
    """Without a rate bert4keras' is at most 0.01, as Keras' is at 0.01; its matrix is factored here too."""
    found = trajectory(golden, keras.optimizers.Adafactor(0.01))
    for name in NAMES:
        factored = name == "dense/kernel"
        assert_close(adafactor(golden, name, factored, 0.01, beta_1=0.9), golden[f"adafactor_lrNone_beta1/{name}"])
        assert_close(found[name], adafactor(golden, name, factored, 0.01))
    assert round(largest_difference(golden, found, "adafactor_lrNone_beta1"), 3) == 0.059


def test_epsilon_of_keras_adam_stands_before_the_correction(golden):
    """Why there is a `BertAdam`: with a large epsilon the two are far apart."""
    expected = adam(golden, epsilon_before=True)
    found = trajectory(golden, keras.optimizers.Adam(0.05, epsilon=1e-2))
    ours = trajectory(golden, BertAdam(0.05, epsilon=1e-2))
    for name in NAMES:
        assert_close(found[name], expected[name])
        assert np.abs(ours[name] - found[name]).max() > 1e-2


def test_sgd_decays_where_bert4keras_forgot(golden):
    """bert4keras' extensions have no effect on Keras' own SGD, which does not call `K.update`."""
    assert_equals(golden, trajectory(golden, keras.optimizers.SGD(0.05)), "sgd_wd")
    decayed = trajectory(golden, keras.optimizers.SGD(0.05, weight_decay=0.05))
    w = golden["init/dense/kernel"]
    expected = w - 0.05 * (gradient(golden, "dense/kernel", w, 0) + 0.05 * w)
    assert_close(decayed["dense/kernel"][1], expected)


def test_all_options_together_in_a_compiled_fit_and_through_a_file(tmp_path):
    """Saved in the middle, a run goes on as if nothing had been."""
    options = {
        "weight_decay": 0.1,
        "layer_adaptation": True,
        "factors": {"dense_b": 0.3},
        "lazy": ["embeddings"],
        "lookahead": 2,
        "accumulate": 2,
        "ema": 0.9,
        "clip": 1.0,
    }
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(7, 4, name="table"),
            keras.layers.Dense(4, name="dense_a"),
            keras.layers.Dense(2, name="dense_b"),
        ]
    )
    rng = np.random.default_rng(0)
    ids, y = rng.integers(1, 4, (8, 3)), rng.normal(size=(8, 3, 2))
    model.compile(BertAdam(PiecewiseLinear(0.05, {2: 1}), **options), "mse")
    first = array(model.layers[0].embeddings)
    for _ in range(4):
        model.train_on_batch(ids, y)
    moved = np.abs(array(model.layers[0].embeddings) - first).max(axis=1) > 0
    assert moved.tolist() == [False, True, True, True, False, False, False]  # only what stands in the batch
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for each in (model, again):
        each.fit(ids, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("options", [{"lookahead": 0}, {"slow_step": 0}, {"slow_step": 1.5}])
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match="Expected `lookahead`"):
        BertAdam(0.1, **options)
