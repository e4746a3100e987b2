"""The CRF against the sum over all label sequences, written out, and against bert4keras."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from nlpgen.layers import CRF
from tests.helpers import GOLDEN, array, assert_close, random_weights

pytestmark = pytest.mark.backends
GOLD = np.load(GOLDEN / "b4k_layers" / "golden.npz")
MASKS = {
    "padding": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]],
    "special tokens": [[0, 1, 1, 1, 0], [0, 1, 0, 0, 0], [0, 1, 1, 0, 0]],
    "holes": [[1, 0, 1, 0, 1], [0, 0, 1, 1, 0], [0, 1, 0, 0, 1]],
}


def all_scores(emissions, transitions, start, end):
    """`{labels: score}` of every label sequence of one chain, from the definition."""
    n, k = emissions.shape
    return {
        y: start[y[0]]
        + end[y[-1]]
        + sum(emissions[t, y[t]] for t in range(n))
        + sum(transitions[y[t], y[t + 1]] for t in range(n - 1))
        for y in itertools.product(range(k), repeat=n)
    }


def weights(crf):
    return [array(x).astype("float64") for x in (crf.transitions, crf.start, crf.end)]


def example(seed, boundaries=True, labels=3, rows=3, length=5, **options):
    rng = np.random.default_rng(seed)
    crf = CRF(labels, boundaries, **options)
    crf.build()
    random_weights(crf, seed)
    return crf, rng.normal(0, 2, (rows, length, labels)).astype("float32"), rng.integers(0, labels, (rows, length))


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(("seed", "boundaries"), [(0, True), (1, True), (2, False)])
def test_every_sequence_by_hand(name, seed, boundaries):
    crf, emissions, labels = example(seed, boundaries)
    mask = np.array(MASKS[name], dtype=bool)
    labels = np.where(mask, labels, -100)  # what padded labels usually are
    found = array(crf(emissions, labels, mask))
    best = array(crf.decode(emissions, mask))
    for i in range(len(mask)):
        scores = all_scores(emissions[i, mask[i]].astype("float64"), *weights(crf))
        log_norm = np.log(np.sum(np.exp(list(scores.values()))))
        assert found[i] == pytest.approx(scores[tuple(labels[i, mask[i]])] - log_norm, rel=1e-5)
        assert tuple(best[i, mask[i]]) == max(scores, key=scores.get)
        assert not best[i, ~mask[i]].any()


def test_the_probabilities_of_all_sequences_sum_to_one():
    crf, emissions, _ = example(3, rows=1, length=4)
    every = np.array(list(itertools.product(range(3), repeat=4)))
    log_probabilities = array(crf(np.repeat(emissions, len(every), 0), every, np.ones_like(every, dtype=bool)))
    assert np.exp(log_probabilities.astype("float64")).sum() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("length", [1, 2])
def test_short_and_empty_rows(length):
    crf, emissions, labels = example(4, length=length)
    mask = np.array([[True], [False], [True]]) & np.ones((3, length), dtype=bool)
    found, best = array(crf(emissions, labels, mask)), array(crf.decode(emissions, mask))
    assert found[1] == 0
    scores = all_scores(emissions[0].astype("float64"), *weights(crf))
    log_norm = np.log(np.sum(np.exp(list(scores.values()))))
    assert found[0] == pytest.approx(scores[tuple(labels[0])] - log_norm, rel=1e-5)
    assert tuple(best[0]) == max(scores, key=scores.get)


def test_penalties_forbid():
    crf, emissions, _ = example(5, length=5)
    mask = np.array(MASKS["padding"], dtype=bool)
    forbidden = np.zeros((3, 3)), np.array([-1e9, 0, 0]), np.zeros(3)
    forbidden[0][1, 2] = forbidden[0][2, 2] = -1e9
    best = array(crf.decode(emissions, mask, forbidden))
    own = [a + b for a, b in zip(weights(crf), forbidden, strict=True)]
    for i in range(3):
        scores = all_scores(emissions[i, mask[i]].astype("float64"), *own)
        assert tuple(best[i, mask[i]]) == max(scores, key=scores.get)


class Chain(keras.Model):
    """Emissions that are learned and the CRF over them: a step of `fit` shows the gradients of a function of both."""

    def __init__(self, crf, emissions, loss):
        super().__init__()
        self.crf, self.loss_function, self.shape = crf, loss, emissions.shape
        self.emissions = keras.layers.Embedding(emissions.shape[0] * emissions.shape[1], emissions.shape[2])
        self.emissions.build()
        self.emissions.embeddings.assign(emissions.reshape(-1, emissions.shape[2]))

    def call(self, positions):
        return self.emissions(positions)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.sum(self.loss_function(y_pred))

    def step(self, optimizer=None):
        """The loss, and how far one step moved the transitions and the emissions."""
        before = [array(x) for x in (self.crf.kernel, self.emissions.embeddings)]
        self.compile(optimizer or keras.optimizers.SGD(1.0), jit_compile=False)
        positions = np.arange(self.shape[0] * self.shape[1]).reshape(self.shape[:2])
        value = float(self.train_on_batch(positions, np.zeros_like(positions)))
        kernel, table = (
            b - array(x) for b, x in zip(before, (self.crf.kernel, self.emissions.embeddings), strict=True)
        )
        return value, kernel, table.reshape(self.shape)


def test_gradient_is_that_of_the_sum_written_out():
    crf, emissions, labels = example(6)
    mask = np.array(MASKS["padding"], dtype=bool)
    parameters = [crf.kernel, crf._start, crf._end]
    before = [*(array(p).astype("float64") for p in parameters), emissions.astype("float64")]

    def loss(transitions, start, end, table):
        total = 0.0
        for i in range(3):
            scores = all_scores(table[i, mask[i]], transitions, start, end)
            total += np.log(np.sum(np.exp(list(scores.values())))) - scores[tuple(labels[i, mask[i]])]
        return total

    value, _, moved = Chain(crf, emissions, lambda e: -crf(e, labels, mask)).step()
    assert value == pytest.approx(loss(*before), rel=1e-5)
    found = [*(b - array(p) for b, p in zip(before, parameters, strict=False)), moved]
    for n in range(4):
        expected = np.zeros(found[n].shape)
        for at in np.ndindex(*expected.shape):
            for sign in (1, -1):
                values = [x.copy() for x in before]
                values[n][at] += sign * 1e-5
                expected[at] += sign * loss(*values) / 2e-5
        assert_close(found[n], expected)


@pytest.mark.parametrize("multiplier", [1, 100])
def test_bert4keras(multiplier):
    case = f"crf_lr{multiplier}"
    given, labels, mask = (GOLD[f"{case}/{name}"] for name in ("out_y_pred", "in2", "in1"))
    crf = CRF(5, lr_multiplier=multiplier)
    crf.build()
    crf.kernel.assign(GOLD[f"{case}/w0"])
    emissions = np.where(np.isfinite(given), given, 0)  # bert4keras marks masked positions by -inf
    assert_close(-array(crf(emissions, labels, mask)), GOLD[f"{case}/out_dense_loss"])
    # Row 0 as it was recorded later: a free label at position 0, the chain ends at position 7. See the golden's README.
    first, free, target = emissions[:1].copy(), np.ones((1, 9), dtype=bool), np.ones((1, 9), dtype=bool)
    first[0, 0], free[0, 8], target[0, [0, 8]] = 0, False, False
    other = GOLD[f"{case}/in0"][1:]

    def as_recorded(mask):
        value, kernel, _ = Chain(crf, first, lambda e: crf.log_norm(e, free) - crf.score(e, labels[:1], target)).step()
        crf.kernel.assign(GOLD[f"{case}/w0"])
        values, kernels, moved = Chain(crf, other, lambda e: -crf(e, labels[1:], mask)).step()
        crf.kernel.assign(GOLD[f"{case}/w0"])
        return value + values, kernel + kernels, moved

    for suffix, of_others in ("", mask[1:]), ("_nomask", np.ones((2, 9), dtype=bool)):
        loss, kernel, moved = as_recorded(of_others)
        assert loss == pytest.approx(GOLD[f"{case}/out_sparse_loss{suffix}"].sum(), rel=1e-5)
        assert_close(moved, GOLD[f"{case}/out_grad_emissions{suffix}"][1:])
        assert_close(kernel, GOLD[f"{case}/out_grad_trans{suffix}"], 2e-5)


@pytest.mark.parametrize("multiplier", [1, 100])
def test_viterbi_of_bert4keras(multiplier):
    case = f"crf_lr{multiplier}"
    crf = CRF(5, lr_multiplier=multiplier)
    crf.build()
    crf.kernel.assign(GOLD[f"{case}/w0"])
    emissions, mask = GOLD[f"{case}/out_y_pred"][:1], np.ones((1, 9), dtype=bool)
    only_zero = np.array([0, -1e9, -1e9, -1e9, -1e9])
    free, bound = crf.decode(emissions, mask), crf.decode(emissions, mask, (np.zeros((5, 5)), only_zero, only_zero))
    np.testing.assert_array_equal([array(free)[0], array(bound)[0]], GOLD[f"{case}/out_viterbi_row0"])


def test_lr_multiplier_moves_the_transitions_that_much_faster():
    moved = {}
    for multiplier in (1, 50):
        crf, emissions, labels = example(7, boundaries=False, lr_multiplier=multiplier)
        crf.kernel.assign(np.zeros((3, 3)))
        model = Chain(crf, emissions, lambda e, crf=crf, y=labels: -crf(e, y, np.ones((3, 5), dtype=bool)))
        model.step(keras.optimizers.Adam(1e-3, epsilon=1e-12))
        moved[multiplier] = array(crf.transitions)
    assert_close(moved[50], 50 * moved[1], 1e-4)


def test_float32_inside_a_half_precision_model():
    crf = CRF(4, name="crf")
    crf.build()
    emissions = ops.cast(np.random.default_rng(8).normal(0, 3, (2, 200, 4)), "float16")
    mask = np.ones((2, 200), dtype=bool)
    found = crf(emissions, np.zeros((2, 200), dtype="int32"), mask)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    e = array(ops.cast(emissions, "float32")).astype("float64")
    expected = (e[:, :, 0] - np.log(np.exp(e).sum(-1))).sum(-1)  # no transitions: the positions are independent
    assert_close(array(found), expected)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="only TensorFlow compiles for unknown lengths")
def test_unknown_lengths():
    import tensorflow as tf

    crf, emissions, labels = example(9)
    mask = np.array(MASKS["holes"], dtype=bool)
    signature = [
        tf.TensorSpec([None, None, 3]),
        tf.TensorSpec([None, None], tf.int64),
        tf.TensorSpec([None, None], tf.bool),
    ]
    compiled = tf.function(lambda e, y, m: (crf(e, y, m), crf.decode(e, m)), input_signature=signature)
    found, path = compiled(emissions, labels, mask)
    assert_close(array(found), array(crf(emissions, labels, mask)))
    np.testing.assert_array_equal(array(path), array(crf.decode(emissions, mask)))


def test_config_and_errors():
    config = keras.saving.serialize_keras_object(CRF(4, True, 10.0))
    assert (
        keras.saving.serialize_keras_object(keras.saving.deserialize_keras_object(config))["config"] == config["config"]
    )
    with pytest.raises(ValueError, match="above 0"):
        CRF(4, lr_multiplier=0)
