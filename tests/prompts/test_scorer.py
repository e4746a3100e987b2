"""Scores of label words against their definition, computed word by word from the full softmax."""

import itertools

import numpy as np
import pytest

from nlpgen import CausalLM
from nlpgen.errors import InputError
from nlpgen.prompts import Candidates, Pattern, Scorer, Verbalizer, load_preset
from nlpgen.prompts.verbalizer import plan
from nlpgen.tasks import softmax
from tests.helpers import array, assert_close

TEXTS = ["房间很干净，服务也好，下次还来。", "太差了，等了一个小时，再也不来。", "书" * 300, "股市大涨"]
WORDS = {"体育": ["体育", "足球赛"], "财经": "财经", "车": ["车", "汽车行业"]}
PATTERN = "这是[MASK]新闻：{text}"


def log_probabilities(lm, cloze):
    logits = array(lm({"token_ids": np.array([cloze])}))[0].astype("float64")
    return (
        logits
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )


def word_score(lm, pattern, text, word, order, max_length=128, longest=4):
    """The definition, one word at a time."""
    tokenizer, ids = lm.tokenizer, lm.tokenizer.ids(word)
    mask = tokenizer.mask_id
    fills = [[mask] * len(ids), [mask] * longest]  # the second keeps the text as long as for the longest word
    ((cloze, _),) = Pattern(pattern).encode(tokenizer, {"text": [text]}, fills, max_length)
    row, total, left = list(cloze.token_ids), 0.0, list(range(len(ids)))
    while left:
        found = log_probabilities(lm, row)
        read = [found[cloze.slots[i], ids[i]] for i in left]
        if order == "independent":
            return sum(read)
        best = 0 if order == "left_to_right" else int(np.argmax(read))
        total += read[best]
        row[cloze.slots[left[best]]] = ids[left[best]]
        del left[best]
    return total


def by_hand(lm, pattern, words, text, order="independent", normalization=None):
    rows = []
    for table in words.values():
        scores = []
        for word in [table] if isinstance(table, str) else table:
            n = len(lm.tokenizer.ids(word)) if normalization == "length" else 1
            score = word_score(lm, pattern, text, word, order) / n
            if normalization == "pmi":
                score -= word_score(lm, pattern, "", word, order)
            scores.append(score)
        rows.append(np.logaddexp.reduce(scores))
    return softmax(np.array(rows))


@pytest.mark.parametrize("order", ["independent", "left_to_right", "most_confident_first"])
@pytest.mark.parametrize("normalization", [None, "length", "pmi"])
def test_words_of_unequal_length_in_one_batch(embedded, order, normalization):
    scorer = Scorer(embedded, Pattern(PATTERN), Verbalizer(WORDS), order=order, normalization=normalization)
    found = softmax(scorer.label_scores({"text": TEXTS}))
    for row, text in zip(found, TEXTS, strict=True):
        assert_close(row, by_hand(embedded, PATTERN, WORDS, text, order, normalization), 1e-4)


def test_one_cloze_for_each_length_whatever_the_number_of_words(embedded):
    words = {f"{a}{b}": f"{a}{b}" for a, b in itertools.product("天地人日月", "山水火木金")} | {"车": "车"}
    scorer = Scorer(embedded, Pattern(PATTERN), Verbalizer(words))
    (row,) = scorer.rows({"text": TEXTS[:1]})
    assert [len(cloze.slots) for cloze in row.clozes] == [2, 1]


@pytest.mark.parametrize(("task", "classes", "lengths"), [("tnews", 15, [2]), ("iflytek", 119, [2, 3, 4, 7])])
def test_what_the_model_reads_grows_with_lengths_and_not_with_classes(embedded, monkeypatch, task, classes, lengths):
    """Counted where the model is asked: texts times clozes, of all batches together."""
    preset, read = load_preset(task), []
    scorer = Scorer(embedded, Pattern(preset.patterns[0]), Verbalizer(preset.verbalizer))
    ask = scorer.model.predict_on_batch
    monkeypatch.setattr(scorer.model, "predict_on_batch", lambda x: read.append(x["slots"].shape) or ask(x))
    assert scorer.label_scores({"text": TEXTS}).shape == (len(TEXTS), classes)
    assert sum(texts * clozes for texts, clozes, _ in read) == len(TEXTS) * len(lengths)
    (row,) = scorer.rows({"text": TEXTS[:1]})
    assert sorted(len(cloze.slots) for cloze in row.clozes) == lengths


@pytest.mark.backends
def test_candidates_of_each_input(embedded):
    columns = {"text": TEXTS[:2], "candidates": [["体育", "足球赛"], ["车", "财经", "汽车行业"]]}
    scorer = Scorer(embedded, Pattern(PATTERN), Candidates())
    found = softmax(scorer.label_scores(columns))
    assert found.shape == (2, 3)
    assert found[0, 2] == 0
    for row, text, words in zip(found, columns["text"], columns["candidates"], strict=True):
        tokenizer = embedded.tokenizer
        longest = max(len(tokenizer.ids(word)) for word in words)
        scores = [word_score(embedded, PATTERN, text, word, "independent", longest=longest) for word in words]
        assert_close(row[: len(words)], softmax(np.array(scores)), 1e-4)


def test_an_unknown_candidate_is_named_with_its_row(embedded):
    columns = {"text": TEXTS[:2], "candidates": [["体育", "车"], ["车", "\U00020000"]]}
    with pytest.raises(InputError, match=r"(?s)`candidates\[1\]`: .*does not know"):
        Scorer(embedded, Pattern(PATTERN), Candidates()).label_scores(columns)


@pytest.fixture(scope="module")
def gpt():
    return CausalLM.from_pretrained("gpt-tiny-zh")


@pytest.mark.backends
def test_a_causal_model_scores_words_by_the_chain_rule(gpt):
    pattern = "{text}这是[MASK]"
    scorer = Scorer(gpt, Pattern(pattern), Verbalizer(WORDS), max_length=64)
    found = softmax(scorer.label_scores({"text": TEXTS}))
    tokenizer = gpt.tokenizer
    for row, text in zip(found, TEXTS, strict=True):
        (clozes,) = Pattern(pattern).encode(tokenizer, {"text": [text]}, [[], [0, 0, 0]], 64, causal=True)
        scores = []
        for table in WORDS.values():
            each = []
            for word in [table] if isinstance(table, str) else table:
                ids, start = tokenizer.ids(word), len(clozes[0])
                full = log_probabilities(gpt, [*clozes[0].token_ids, *ids])
                each.append(sum(full[start - 1 + i, id] for i, id in enumerate(ids)))
            scores.append(np.logaddexp.reduce(each))
        assert_close(row, softmax(np.array(scores)), 1e-4)


def test_plans():
    found = plan([[7], [8, 9], [8, 6]], mask_id=4)
    assert found.fills == [[4], [4, 4]]
    assert found.cloze.tolist() == [[0, 0], [1, 1], [1, 1]]
    assert found.slot.tolist() == [[0, 0], [0, 1], [0, 1]]
    assert found.weight.tolist() == [[1, 0], [1, 1], [1, 1]]
    assert found.is_exact
    assert not plan([[8, 9], [8, 6]], mask_id=4).is_exact
    assert plan([[8, 9], [8, 6]], 4, "left_to_right").fills == [[4, 4], [8, 4]]
    assert plan([[8, 9], [5, 6]], 4, "left_to_right").is_exact
    assert plan([[7], [8, 9, 3]], None, causal=True).fills == [[], [8, 9]]


@pytest.mark.parametrize(
    ("pattern", "options", "message"),
    [
        (PATTERN, {"order": "backwards"}, "`order` must be one of"),
        (PATTERN, {"normalization": "mean"}, "`normalization` must be one of"),
        ("[MASK][MASK]{text}", {}, "'车' has 1 tokens, but the pattern has 2"),
    ],
)
def test_bad_options(embedded, pattern, options, message):
    with pytest.raises(InputError, match=message):
        Scorer(embedded, Pattern(pattern), Verbalizer(WORDS), **options)


def test_a_causal_model_needs_the_mask_last(gpt):
    with pytest.raises(InputError, match="must end with its one"):
        Scorer(gpt, Pattern("[MASK]好{text}"), Verbalizer(WORDS))
