"""Checks that every architecture must pass, and gradients on any backend."""

import atexit
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import ops

from nlpgen.checkpoints import dump_weights, load_weights, rows, unnamed_weights


def _unpacked(source):
    """A copy of the golden folders with their checkpoints, which are kept in one archive; it goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="golden-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(source, folder, dirs_exist_ok=True)
    with tarfile.open(source / "weights.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


GOLDEN = _unpacked(Path(__file__).parent / "golden")
SHARED = Path(os.environ.get("NLPGEN_TEST_DATA", Path(__file__).parents[2] / "shared"))  # see the marker `needs_data`
IDS = np.array([[2, 5, 6, 7, 3, 0, 0], [2, 8, 9, 10, 11, 12, 3]], dtype="int32")
SEGMENTS = np.array([[0, 0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 1]], dtype="int32")
CHARACTERS = [*range(0, 0x250), *range(0x4E00, 0x4F00), 0x3000, 0x2028, 0x1F600, 0x200D, 0xFF21, 0x130, 0x301, 0xFB01]
CHARACTERS += [0x3300, 0x337F, 0x1F468, 0xAC00, 0x1100, 0x1161, 0x20000, 0xFFFD, 0xE000, 0x2581, 0x2582, 0x2583]
TARGET_IDS = np.array([[0, 15, 16, 17, 3, 0, 0], [0, 18, 19, 8, 5, 12, 3]], dtype="int32")
SMALL = dict(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=32,
    max_position_embeddings=20,
)


def released(name):
    """A released vocabulary file; what reads one is marked `needs_data`."""
    return SHARED / "vocab" / name


def shared_data(name):
    """A folder of public data that nlpgen may not ship; what reads one is marked `needs_data`."""
    return SHARED / "data" / name


def random_text(generator, length=20):
    """Characters of many scripts, emoji, combining marks and controls."""
    return "".join(chr(generator.choice(CHARACTERS)) for _ in range(generator.randrange(length)))


def array(x):
    return ops.convert_to_numpy(x).copy()


def assert_close(actual, expected, tolerance=1e-5):
    """Equal up to `tolerance` of the expected values' scale."""
    actual, expected = np.asarray(actual, dtype="float64"), np.asarray(expected, dtype="float64")
    assert actual.shape == expected.shape
    scale = np.abs(expected).max()
    worst = np.abs(actual - expected).max() / scale
    assert worst <= tolerance, f"differs by {worst:.2e} of the scale {scale:.3g}"


def random_weights(model, seed=0):
    """Give a built model weights that are not small, so that no mistake hides."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        centre = 1.0 if weight.path.endswith("gamma") else 0.0
        weight.assign(centre + generator.normal(0, 0.3, weight.shape))
    return model


def check_model(model, tmp_path, inputs=None):
    """The contract of a `PretrainedModel`: names, saving, padding, gradients.

    Args:
        model: a built model with an output for each position.
        inputs: ids with the padding of `IDS`; token and segment ids by default.
    """
    random_weights(model)
    x = {"token_ids": IDS, "segment_ids": SEGMENTS} if inputs is None else inputs
    out = array(model(x))
    assert out.shape[:2] == IDS.shape
    assert unnamed_weights(model) == []

    # A released checkpoint round-trips.
    twin = type(model).from_config(model.get_config())
    twin.build()
    load_weights(twin, dump_weights(model))
    np.testing.assert_array_equal(array(twin(x)), out)

    # So does a Keras file.
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(keras.saving.load_model(tmp_path / "model.keras")(x)), out)

    # Padding and the rest of the batch change nothing.
    assert_close(array(model({name: ids[:1, :5] for name, ids in x.items()})), out[:1, :5])
    other = {name: ids.copy() for name, ids in x.items()}
    for name in other.keys() - {"segment_ids"}:
        other[name][1, 1:6] = 20
    np.testing.assert_array_equal(array(model(other))[0], out[0])

    # Only the positions that are asked for, in any order, repeated or not.
    positions = np.array([[4, 0, 0], [1, 6, 2]])
    some = array(model({**x, "positions": positions}))
    assert_close(some, np.take_along_axis(out, positions[..., None] if out.ndim == 3 else positions, axis=1))

    # Every weight is trained.
    target = np.random.default_rng(0).normal(size=out.shape).astype(out.dtype)
    assert untrained(model, x, lambda y: ops.sum(ops.square(ops.subtract(y, target)))) == []


def untrained(model, inputs, loss):
    """Paths of the weights that no gradient reaches; a key's bias is left out, since softmax does not see it."""
    weights = model.trainable_weights
    _, found = _gradients(model, inputs, loss, weights)
    return [
        w.path
        for w, g in zip(weights, found, strict=True)
        if (g is None or not _dense(g).any()) and not w.path.endswith("key/bias")
    ]


def gradients(model, inputs, loss):
    """`{tensor name: gradient}` of `loss(model(inputs))`, and the loss, on whatever backend is in use."""
    variables = {row.name: row for row in rows(model)}
    weights = [row.variable for row in variables.values()]
    value, grads = _gradients(model, inputs, loss, weights)
    arrays = (np.zeros(w.shape) if g is None else _dense(g) for g, w in zip(grads, weights, strict=True))
    pairs = zip(variables.items(), arrays, strict=True)
    return float(value), {name: g if row.from_tensor(g).shape == g.shape else g.T for (name, row), g in pairs}


def _gradients(model, inputs, loss, weights):
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(model(inputs))
        return value, tape.gradient(value, [w.value for w in weights])
    if backend == "jax":
        import jax

        order = [next(i for i, t in enumerate(model.trainable_variables) if t is w) for w in weights]
        state = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]

        def function(trainable):
            return loss(model.stateless_call(trainable, state[1], inputs)[0])

        value, grads = jax.value_and_grad(function)(state[0])
        return value, [grads[i] for i in order]
    value = loss(model(inputs))
    value.backward()
    return value.detach(), [None if w.value.grad is None else w.value.grad.detach() for w in weights]


def _dense(gradient):
    if hasattr(gradient, "dense_shape"):  # tf.IndexedSlices
        out = np.zeros(gradient.dense_shape.numpy())
        np.add.at(out, gradient.indices.numpy(), gradient.values.numpy())
        return out
    return array(gradient)
