import numpy as np
import pytest

from nlpgen.prompts.ipet import labelled_by_others


def next_set(said, weights=None, index=0, generation=0, targets=(0, 0, 0, 1), texts=200, seed=0):
    columns = {"text": [f"l{i}" for i in range(len(targets))]}
    pool = {"text": [f"u{i}" for i in range(texts)]}
    weights = np.ones(len(said)) if weights is None else weights
    generator = np.random.default_rng(seed)
    return labelled_by_others(said, weights, index, generation, columns, np.array(targets, int), pool, generator)


def certain(labels):
    return np.eye(2)[labels] * 0.8 + 0.1


@pytest.mark.parametrize("generation", [0, 1])
def test_five_times_as_many_with_the_shares_of_the_labels(generation):
    columns, targets = next_set([certain(np.arange(200) % 2)] * 2, generation=generation)
    size = 4 * 5 ** (generation + 1)
    assert len(columns["text"]) == len(targets) == size
    assert np.bincount(targets).tolist() == [0.75 * size, 0.25 * size]
    assert columns["text"][:4] == ["l0", "l1", "l2", "l3"]
    assert len(set(columns["text"])) == size


def test_a_model_never_labels_for_itself():
    own, other = certain(np.zeros(200, int)), certain(np.arange(200) % 2)
    for index, said in enumerate(([own, other], [other, own])):
        columns, targets = next_set(said, index=index)
        right = [int(text[1:]) % 2 for text in columns["text"][4:]]
        assert targets[4:].tolist() == right


def test_a_quarter_of_the_others_says_the_labels():
    """Of nine models two label: where each says another label, two labels at most are given."""
    said = [np.eye(9)[np.full(300, i)] * 0.5 + 0.01 * np.eye(9)[(np.arange(300) + i) % 9] for i in range(9)]
    weights = np.array([9.0, *range(1, 9)])
    given = set()
    for seed in range(20):
        _, targets = next_set(said, weights, targets=tuple(range(9)), texts=300, seed=seed)
        assert set(targets[9:].tolist()) <= set(range(1, 9))
        given |= set(targets[9:].tolist())
    assert len(given) >= 5


def test_texts_are_drawn_in_proportion_to_their_probability():
    sure = np.where(np.arange(200) < 100, 0.9, 0.6)
    said = [np.stack([sure, 1 - sure], axis=1)] * 2
    drawn = [text for seed in range(300) for text in next_set(said, targets=(0, 0, 0, 0), seed=seed)[0]["text"][4:]]
    high = sum(int(text[1:]) < 100 for text in drawn) / len(drawn)
    assert abs(high - 0.6) < 0.03  # 0.9 / (0.9 + 0.6); few of many are drawn


def test_without_labels_each_label_gets_a_hundred_that_are_likeliest():
    """Even of a label that the untrained models never choose, as a pattern without calibration often has one."""
    second = np.linspace(0.01, 0.4, 500)
    columns, targets = next_set([np.stack([1 - second, second], axis=1)] * 2, targets=(), texts=500)
    assert np.bincount(targets).tolist() == [100, 100]
    assert columns["text"] == [f"u{i}" for i in [*range(100), *range(499, 399, -1)]]
    _, targets = next_set([np.stack([1 - second, second], axis=1)] * 2, targets=(), texts=500, generation=1)
    assert set(targets) == {0}  # the models are trained by then, and what they choose counts


def test_of_few_texts_without_labels_none_gets_two():
    second = np.linspace(0.01, 0.4, 30)
    columns, targets = next_set([np.stack([1 - second, second], axis=1)] * 2, targets=(), texts=30)
    assert np.bincount(targets).tolist() == [15, 15]
    assert len(set(columns["text"])) == 30
