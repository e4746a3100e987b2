import numpy as np
import pytest

from nlpgen.data import (
    Corpus,
    Masking,
    PackedRows,
    TokenCache,
    causal_lm_batch,
    corpus_vocab,
    endless,
    find_cache,
    make_cache,
    masked_lm_batch,
    unilm_batch,
)
from nlpgen.errors import InputError
from nlpgen.text import Vocab, WordPieceTokenizer
from nlpgen.text.vocab_builder import HEAD

TEXT = "我们今天去图书馆看书，明天在家里写作业。"


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(Vocab([*HEAD, *sorted(set(TEXT))]))


@pytest.fixture(scope="module")
def cache(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for name, n in (("a", 300), ("b", 60)):
        lines = [TEXT[: rng.integers(3, 21)] for _ in range(n)]
        (folder / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    return make_cache(folder / "cache", Corpus(folder), tokenizer, words=True)


@pytest.fixture(scope="module")
def rows(cache, tokenizer):
    return PackedRows(cache, tokenizer, 16, seed=3)


def test_the_cache_holds_ids_and_words(cache, tokenizer):
    texts = cache.texts("a")
    assert texts.tokens.dtype == "uint16"
    assert len(texts.ends) == 294
    assert texts.ends[-1] == len(texts.tokens) == len(texts.words)
    first = texts.tokens[: texts.ends[0]]
    assert tokenizer.decode(first) == TEXT[: len(first)]
    assert texts.words[: texts.ends[0]].tolist()[:2] == [True, False]  # 我们


def test_a_cache_is_made_once_and_again_for_another_vocabulary(tmp_path, tokenizer):
    (tmp_path / "a.txt").write_text("今天\n明天\n在家\n", encoding="utf-8")
    made = []
    for vocab in (tokenizer.vocab, tokenizer.vocab, Vocab([*tokenizer.vocab.tokens, "猫"])):
        make_cache(tmp_path / "cache", Corpus(tmp_path), WordPieceTokenizer(vocab), progress=made.append)
    assert len(made) == 4  # two splits, twice
    (tmp_path / "a.txt").write_text("今天\n明天\n看书\n", encoding="utf-8")  # as long as before
    make_cache(tmp_path / "cache", Corpus(tmp_path), WordPieceTokenizer(vocab), progress=made.append)
    assert len(made) == 6
    assert not list(tmp_path.glob(".cache*"))


def test_a_cache_is_found_only_if_it_fits(tmp_path, cache, tokenizer):
    corpus, other = Corpus(cache.folder.parent), WordPieceTokenizer(Vocab([*tokenizer.vocab.tokens, "猫"]))
    assert find_cache(cache.folder, corpus, tokenizer, words=True).meta == cache.meta
    assert find_cache(cache.folder, corpus, tokenizer).meta == cache.meta
    assert find_cache(cache.folder, corpus, other) is None
    assert find_cache(cache.folder, Corpus(cache.folder.parent, ["a"]), tokenizer) is None
    assert find_cache(tmp_path, corpus, tokenizer) is None


def test_a_vocabulary_is_built_once_from_the_training_lines(tmp_path):
    (tmp_path / "a.txt").write_text("天天\n" * 49 + "气气气气气\n", encoding="utf-8")
    vocab = corpus_vocab(tmp_path / "run" / "vocab.txt", Corpus(tmp_path), 200)
    assert "天" in vocab
    assert "气" not in vocab  # held out
    (tmp_path / "b.txt").write_text("猫\n" * 100, encoding="utf-8")
    assert corpus_vocab(tmp_path / "run" / "vocab.txt", Corpus(tmp_path), 200) == vocab
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["vocab.txt"]


def test_a_missing_or_cut_cache_is_named(tmp_path, tokenizer):
    with pytest.raises(InputError, match="no tokenised corpus"):
        TokenCache(tmp_path)
    (tmp_path / "a.txt").write_text("今天\n明天\n", encoding="utf-8")
    cache = make_cache(tmp_path / "cache", Corpus(tmp_path), tokenizer)
    with pytest.raises(InputError, match="has no 'train' of 'b'"):
        cache.texts("b")
    path = tmp_path / "cache" / "a.train.tokens.npy"
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(InputError, match="cannot be read"):
        cache.texts("a")


def test_a_genre_is_gone_through_before_it_comes_again(rows):
    n = len(rows.rows["a"])
    seen = [rows._at(*divmod(i, int(rows._draws.sum()))) for i in range(len(rows))]
    of_a = [row for name, row in seen if name == "a"]
    assert sorted(of_a) == sorted(range(n))  # with genre_power=1 a round is each row once


def test_genre_power_levels_the_genres(cache, tokenizer):
    level = PackedRows(cache, tokenizer, 16, genre_power=0.0)
    batch, _ = level.batch(0, len(level))
    assert abs(level._draws[0] - level._draws[1]) <= 1
    assert batch.shape == (len(level), 16)


def test_batches_depend_on_seed_and_number_only(rows, cache, tokenizer):
    masking = Masking.for_tokenizer(tokenizer)
    again = PackedRows(cache, tokenizer, 16, seed=3)
    other = PackedRows(cache, tokenizer, 16, seed=4)
    far = 1000  # many rounds on
    first = masked_lm_batch(rows, masking, far, 8, seed=1)
    same = masked_lm_batch(again, masking, far, 8, seed=1)
    for a, b in zip(_flat(first), _flat(same), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[1], masked_lm_batch(other, masking, far, 8, seed=1)[1])
    assert not np.array_equal(first[1], masked_lm_batch(rows, masking, far, 8, seed=2)[1])


def test_masks_are_new_when_a_row_comes_again(rows, tokenizer):
    masking = Masking.for_tokenizer(tokenizer)
    ids = rows.rows["a"][:1].repeat(8, axis=0)
    first, second = (masking(ids, np.random.default_rng((0, index)))[1] for index in (0, 1))
    assert not np.array_equal(first, second)


def test_shards_make_up_the_batch(rows, tokenizer):
    masking = Masking.for_tokenizer(tokenizer, scheme="whole_word")
    whole = masked_lm_batch(rows, masking, 5, 8)
    parts = [masked_lm_batch(rows, masking, 5, 8, shard=(i, 2)) for i in range(2)]
    for of_whole, *of_parts in zip(_flat(whole), *map(_flat, parts), strict=True):
        np.testing.assert_array_equal(of_whole, np.concatenate(of_parts))
    with pytest.raises(InputError, match="8 rows cannot be shared by 3"):
        masked_lm_batch(rows, masking, 5, 8, shard=(0, 3))


def test_causal_targets_are_the_next_tokens(rows):
    inputs, targets, weights = causal_lm_batch(rows, 0, 8)
    assert inputs["token_ids"].shape == targets.shape == weights.shape == (8, 15)
    np.testing.assert_array_equal(inputs["token_ids"][:, 1:], targets[:, :-1])
    np.testing.assert_array_equal(weights, targets != 0)


def test_unilm_guesses_the_target_segment(rows, tokenizer):
    inputs, targets, weights = unilm_batch(rows, 0, 64)
    ids, segments = inputs["token_ids"], inputs["segment_ids"]
    packed, _ = rows.batch(0, 64)
    for row in range(64):
        border = int(np.flatnonzero(segments[row])[0])
        assert ids[row, border - 1] == tokenizer.sep_id
        source, target = ids[row, : border - 1], targets[row][weights[row] > 0]
        n = int((packed[row] != 0).sum())
        expected = packed[row, : min(n, 15)]
        np.testing.assert_array_equal(np.concatenate([source, target]), expected)
    np.testing.assert_array_equal(segments[:, 1:], weights[:, :-1])


def test_endless_starts_anywhere():
    numbers = endless(lambda index: index, 7)
    assert [next(numbers) for _ in range(3)] == [7, 8, 9]


def _flat(batch):
    inputs, targets, weights = batch
    return [*inputs.values(), targets, weights]
