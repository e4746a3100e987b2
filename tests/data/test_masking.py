"""Statistics of masks over 2,000 rows of 64 tokens; bounds are at least five standard errors from what is expected."""

import numpy as np
import pytest

from nlpgen.data import Masking
from nlpgen.data.masking import LONGEST_SPAN, random_starts
from nlpgen.errors import InputError
from nlpgen.text import Vocab, WordPieceTokenizer

VOCAB, MASK, FIRST = 1000, 103, 104
SPECIAL = (0, 100, 101, 102, 103)
ROWS, LENGTH = 2000, 64


def masking(**options):
    return Masking(VOCAB, MASK, SPECIAL, FIRST, **options)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    rows = rng.integers(FIRST, VOCAB, (ROWS, LENGTH)).astype("int32")
    rows[:, 0], rows[:, -1], rows[:, 40] = 101, 102, 102
    return rows


@pytest.fixture(scope="module")
def starts(rows):
    """Words of two tokens."""
    starts = np.ones(rows.shape, bool)
    starts[:, 2:40:2] = False
    starts[:, 42:63:2] = False
    return starts


@pytest.mark.parametrize("scheme", ["random", "whole_word", "span"])
def test_targets_are_what_stood_there(rows, starts, scheme):
    inputs, positions, targets, weights = masking(scheme=scheme)(rows, np.random.default_rng(2), starts)
    assert positions.shape == targets.shape == weights.shape == (ROWS, 10)
    real = weights > 0
    np.testing.assert_array_equal(targets[real], np.take_along_axis(rows, positions, axis=1)[real])
    assert not np.isin(targets[real], SPECIAL).any()
    assert np.all(np.diff(positions, axis=1)[real[:, 1:]] > 0)  # ascending, each once
    elsewhere = np.ones(rows.shape, bool)
    np.put_along_axis(elsewhere, np.where(real, positions, 0), False, axis=1)
    np.testing.assert_array_equal(inputs[elsewhere], rows[elsewhere])


def test_rate_and_80_10_10(rows):
    inputs, positions, targets, weights = masking()(rows, np.random.default_rng(3))
    assert set(weights.sum(axis=1)) == {9.0}  # 15 % of 61 tokens; the row has places for 15 % of 64
    real = weights > 0
    n = real.sum()  # 18,000 chosen tokens
    put, targets = np.take_along_axis(inputs, positions, axis=1)[real], targets[real]
    masked, kept = (put == MASK).sum() / n, (put == targets).sum() / n
    assert abs(masked - 0.8) < 0.015  # standard error 0.0028
    assert abs(kept - 0.1) < 0.012  # 0.0021, and one random token in 896 is the same
    noise = put[(put != MASK) & (put != targets)]
    assert FIRST <= noise.min() <= noise.max() < VOCAB
    assert abs(noise.mean() - (FIRST + VOCAB) / 2) < 30  # 5.8


@pytest.mark.parametrize(("scheme", "least"), [("random", 1.0), ("whole_word", 0.95), ("span", 0.9)])
@pytest.mark.parametrize("tokens", [61, 30, 10, 1])
def test_the_rate_is_of_tokens_and_not_of_padding(rows, starts, scheme, least, tokens):
    """Each row has its share of its own tokens, filled but for what no word or span of the row fits into."""
    padded = np.where(np.arange(LENGTH) <= tokens, rows, 0)
    padded[:, 0], padded[:, 40] = 101, rows[:, 40]
    n = (~np.isin(padded, SPECIAL)).sum(axis=1)
    _, positions, _, weights = masking(scheme=scheme, rate=0.2)(padded, np.random.default_rng(11), starts)
    assert positions.shape == (ROWS, 13)
    chosen, budget = weights.sum(axis=1), np.maximum(1, np.round(0.2 * n))
    assert np.all(chosen <= budget)
    if scheme == "random":
        np.testing.assert_array_equal(chosen, budget)
    elif tokens == 61:
        assert chosen.mean() / budget.mean() > least


def test_longer_words_give_way_to_shorter_ones():
    """20 % of a row of words of 1 to 4 tokens: all is filled, and each length comes as often as in BERT's loop."""
    rows, starts = np.full((ROWS, LENGTH), 200, "int32"), np.zeros((ROWS, LENGTH), bool)
    sizes = np.tile([1, 2, 3, 4], 6)
    rows[:, 0], rows[:, 61:] = 101, 0
    starts[:, np.cumsum([1, *sizes])] = True
    chosen = masking(scheme="whole_word", rate=0.2).choose(rows, np.random.default_rng(12), starts)
    assert set(chosen.sum(axis=1)) == {12}

    rng, counts = np.random.default_rng(13), np.zeros(5)
    for _ in range(ROWS):
        left = 12
        for size in rng.permutation(sizes):
            if size <= left:
                counts[size], left = counts[size] + 1, left - size
    of_length = np.repeat(sizes, sizes)
    rates = [chosen[:, 1:61][:, of_length == n].mean() for n in (1, 2, 3, 4)]
    np.testing.assert_allclose(rates, counts[1:] / (6 * ROWS), atol=0.03)  # five standard errors of the difference


def test_every_free_place_is_equally_likely(rows):
    _, positions, _, weights = masking()(rows, np.random.default_rng(4))
    counts = np.bincount(positions[weights > 0], minlength=LENGTH)
    expected = ROWS * 9 / 61
    assert counts[0] == counts[40] == counts[63] == 0
    free = np.delete(counts, [0, 40, 63])
    assert np.abs(free - expected).max() < 6 * np.sqrt(expected)


def test_whole_words_are_chosen_whole(rows, starts):
    chosen = masking(scheme="whole_word", rate=0.25).choose(rows, np.random.default_rng(5), starts)
    pairs = [(i, i + 1) for i in range(1, 39, 2)] + [(i, i + 1) for i in range(41, 62, 2)]
    for first, second in pairs:
        np.testing.assert_array_equal(chosen[:, first], chosen[:, second])
    assert set(chosen.sum(axis=1)) <= {14, 15}  # 25 % of 61 tokens, and all words but one have two


def test_words_that_do_not_fit_stay_out():
    rows = np.full((50, 16), 200, "int32")
    rows[:, 0], rows[:, -1] = 101, 102
    starts = np.zeros(rows.shape, bool)
    starts[:, [0, 1, 9, 15]] = True  # words of 8 and 6 tokens
    _, _, _, weights = masking(scheme="whole_word", rate=0.4)(rows, np.random.default_rng(6), starts)
    assert set(weights.sum(axis=1)) == {6.0}


def test_span_lengths_are_geometric():
    starts = random_starts((ROWS, 512), np.random.default_rng(7))
    flat = np.flatnonzero(starts.ravel())
    lengths = np.diff(flat)
    assert lengths.max() == LONGEST_SPAN
    expected = sum(min(k, 10) * 0.2 * 0.8 ** (k - 1) for k in range(1, 200))  # 4.463
    assert abs(lengths.mean() - expected) < 0.05
    assert abs((lengths == 1).mean() - 0.2) < 0.01


def test_spans_are_longer_than_random_tokens(rows):
    def neighbours(scheme):
        chosen = masking(scheme=scheme, rate=0.2).choose(rows, np.random.default_rng(8))
        return (chosen[:, 1:] & chosen[:, :-1]).sum() / chosen.sum()

    assert neighbours("span") > 0.6
    assert neighbours("random") < 0.25


def test_a_seed_decides(rows):
    first, again, other = (masking()(rows, np.random.default_rng(seed)) for seed in (9, 9, 10))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[1], other[1])


def test_random_tokens_are_of_the_tokenizers_vocabulary():
    """No special token and no `[unused…]`, wherever the vocabulary has them; with Google's from id 104 on."""
    head = ["[PAD]", *(f"[unused{i}]" for i in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    google = Masking.for_tokenizer(WordPieceTokenizer(Vocab([*head, *"天地玄黄"])), rate=0.3)
    assert (google.mask_id, google.rate, google.random_ids.tolist()) == (103, 0.3, [104, 105, 106, 107])
    ernie = WordPieceTokenizer(Vocab(["[PAD]", "[CLS]", "[SEP]", "[MASK]", *"天地玄黄", "[UNK]"]))
    masking = Masking.for_tokenizer(ernie, mask_share=0.0, random_share=1.0)
    assert masking.random_ids.tolist() == [4, 5, 6, 7]
    inputs, *_ = masking(np.full((200, 16), 4, "int32"), np.random.default_rng(13))
    assert set(inputs.ravel()) == {4, 5, 6, 7}


def test_for_judging_every_chosen_token_is_masked():
    tokenizer = WordPieceTokenizer(Vocab(["[PAD]", "[CLS]", "[SEP]", "[MASK]", *"天地玄黄", "[UNK]"]))
    masking = Masking.for_judging(tokenizer)
    inputs, _, _, weights = masking(np.full((50, 20), 4, "int32"), np.random.default_rng(14))
    assert masking.rate == 0.15
    assert (inputs == 3).sum() == weights.sum() == 50 * 3


def test_only_padding_gives_no_targets():
    rows = np.zeros((3, 16), "int32")
    inputs, positions, targets, weights = masking()(rows, np.random.default_rng(0))
    assert weights.sum() == targets.sum() == positions.sum() == inputs.sum() == 0


def test_errors():
    with pytest.raises(InputError, match="`scheme` is one of random, whole_word, span"):
        masking(scheme="word")
    with pytest.raises(InputError, match=r"0\.95, 0\.1$"):
        masking(mask_share=0.95)
    with pytest.raises(InputError, match="`first_random_id`"):
        Masking(50, 4, SPECIAL, 50)
    with pytest.raises(InputError, match="needs `starts`"):
        masking(scheme="whole_word")(np.ones((1, 8), "int32"), np.random.default_rng(0))
