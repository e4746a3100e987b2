import keras
import numpy as np
import pytest

from nlpgen import Bert, BertConfig, MaskedLM
from nlpgen.training import adamw

to_numpy = keras.ops.convert_to_numpy
CONFIG = BertConfig(50, 8, 1, 2, 16, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    model = MaskedLM(Bert(CONFIG))
    model.build()
    return model


def batch(n, seed=0):
    rng = np.random.default_rng(seed)
    ids, positions = rng.integers(5, 50, (n, 6)).astype("int32"), np.tile([[1, 3]], (n, 1)).astype("int32")
    return {"token_ids": ids, "positions": positions}, rng.integers(5, 50, (n, 2)), np.ones((n, 2), "float32")


def weights_of(model):
    return {w.path.split("/", 1)[1]: to_numpy(w) for w in model.trainable_variables}


@pytest.mark.backends
def test_biases_scales_and_shifts_do_not_decay(model):
    optimizer = adamw(0.1, weight_decay=0.5)
    optimizer.build(model.trainable_variables)
    before = [to_numpy(w) + 1.0 for w in model.trainable_variables]
    for w, value in zip(model.trainable_variables, before, strict=True):
        w.assign(value)
    optimizer.apply([keras.ops.zeros(w.shape) for w in model.trainable_variables])
    names = {False: set(), True: set()}
    for w, b in zip(model.trainable_variables, before, strict=True):
        names[not np.array_equal(to_numpy(w), b)].add(w.path.rsplit("/", 1)[1])
    assert names == {True: {"kernel", "embeddings"}, False: {"bias", "gamma", "beta"}}


@pytest.mark.backends
def test_decay_is_as_large_as_it_says(model):
    optimizer = adamw(0.1, weight_decay=0.5)
    optimizer.build(model.trainable_variables)
    kernel = next(w for w in model.trainable_variables if w.path.endswith("up/kernel"))
    before = to_numpy(kernel)
    optimizer.apply([keras.ops.zeros(w.shape) for w in model.trainable_variables])
    np.testing.assert_allclose(to_numpy(kernel), before * (1 - 0.1 * 0.5), rtol=1e-6)


@pytest.mark.backends
def test_updates_are_those_of_pytorchs_adamw():
    """Five updates with decay, clipping and the same gradients; epsilon, which stands elsewhere there, is nothing."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start = [rng.normal(size=(4, 3)).astype("float32"), rng.normal(size=3).astype("float32")]
    gradients = [[rng.normal(size=w.shape).astype("float32") for w in start] for _ in range(5)]
    ours = [keras.Variable(start[0], name="kernel"), keras.Variable(start[1], name="bias")]
    optimizer = adamw(0.1, weight_decay=0.5, epsilon=1e-12)
    theirs = [torch.nn.Parameter(torch.tensor(w)) for w in start]
    groups = [{"params": theirs[:1], "weight_decay": 0.5}, {"params": theirs[1:], "weight_decay": 0.0}]
    peer = torch.optim.AdamW(groups, lr=0.1, betas=(0.9, 0.98), eps=1e-12)
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in step], ours)
        for parameter, gradient in zip(theirs, step, strict=True):
            parameter.grad = torch.tensor(gradient)
        torch.nn.utils.clip_grad_norm_(theirs, 1.0)
        peer.step()
    for w, truth in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(to_numpy(w), truth.detach().cpu().numpy(), atol=1e-5)


@pytest.mark.backends
def test_accumulated_batches_equal_one_large_batch(model):
    inputs, targets, weights = batch(8)
    halves = [({k: v[i : i + 4] for k, v in inputs.items()}, targets[i : i + 4], weights[i : i + 4]) for i in (0, 4)]
    start = model.get_weights()
    model.compile(adamw(1e-2))
    for _ in range(3):
        model.train_on_batch(inputs, targets, weights)
    large = weights_of(model)
    model.set_weights(start)
    model.compile(adamw(1e-2, accumulate=2))
    for _ in range(3):
        for half in halves:
            model.train_on_batch(*half)
    for name, value in weights_of(model).items():
        np.testing.assert_allclose(value, large[name], atol=2e-5, err_msg=name)


def test_clipping_bounds_the_norm_of_all_gradients():
    v = keras.Variable(np.zeros(4, "float32"))
    optimizer = adamw(1.0, weight_decay=0, clip=1.0)
    optimizer.build([v])
    clipped = optimizer._clip_gradients([keras.ops.convert_to_tensor(np.full(4, 50.0, "float32"))])
    np.testing.assert_allclose(np.linalg.norm(to_numpy(clipped[0])), 1.0, rtol=1e-5)


def test_ema_is_what_fit_leaves(model):
    inputs, targets, weights = batch(4)
    start = weights_of(model)
    model.compile(adamw(1e-2, weight_decay=0, ema=0.999))
    model.fit(inputs, targets, sample_weight=weights, epochs=3, verbose=0)
    moved = max(np.abs(value - start[name]).max() for name, value in weights_of(model).items())
    model.compile(adamw(1e-2, weight_decay=0))
    model.fit(inputs, targets, sample_weight=weights, epochs=3, verbose=0)
    plain = max(np.abs(value - start[name]).max() for name, value in weights_of(model).items())
    assert 0 < moved < plain / 2


@pytest.mark.backends
def test_rows_of_an_embedding_are_summed_before_they_are_squared():
    """The gradient of a table that is looked up twice at the same row, against Adam by hand."""
    table = keras.layers.Embedding(3, 2, embeddings_initializer="ones")
    model = keras.Sequential([keras.Input((3,), dtype="int32"), table])
    model.compile(adamw(0.1, weight_decay=0, clip=None, epsilon=0.01), "mse")
    ids, y = np.array([[0, 0, 2]]), np.array([[[3.0, 0.0], [-1.0, 0.0], [1.0, 5.0]]])
    model.train_on_batch(ids, y)
    each = 2 * (1 - y[0]) / y.size
    gradient = np.stack([each[0] + each[1], np.zeros(2), each[2]])
    epsilon = 0.01 / np.sqrt(1 - 0.98)  # Keras adds it before the bias is corrected
    expected = 1 - 0.1 * gradient / (np.abs(gradient) + epsilon)
    np.testing.assert_allclose(to_numpy(table.embeddings), expected, rtol=1e-4)
