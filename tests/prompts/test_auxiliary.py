import numpy as np
import pytest

from nlpgen.prompts import Pattern, Scorer, Verbalizer
from nlpgen.prompts.auxiliary import MaskedRows, Passes, token_loss
from tests.helpers import array, assert_close

TEXTS = ["房间很干净，服务也好，下次还来" * 4, "太差了，等了一个小时，再也不来" * 4]


def rows_of(embedded):
    scorer = Scorer(embedded, Pattern("[MASK]满意。{text}"), Verbalizer({"a": "很", "b": "不太"}))
    return [row.clozes for row in scorer.rows({"text": TEXTS})], scorer


def draws(masked, n=400):
    return [masked.row(i % 2) for i in range(n)]


def test_only_the_text_is_masked_by_the_rule(embedded):
    rows, _ = rows_of(embedded)
    tokenizer = embedded.tokenizer
    found = draws(MaskedRows(rows, tokenizer, np.random.default_rng(0), 0.15))
    kinds = {"mask": 0, "kept": 0, "other": 0}
    for i, (ids, _, positions, targets) in enumerate(found):
        cloze = rows[i % 2][0]
        assert all(cloze.is_text[at] for at in positions)
        assert len(positions) == round(0.15 * sum(cloze.is_text))
        assert np.array_equal(np.array(cloze.token_ids)[positions], targets)
        untouched = np.setdiff1d(np.arange(len(ids)), positions)
        assert np.array_equal(ids[untouched], np.array(cloze.token_ids)[untouched])
        for at, target in zip(positions, targets, strict=True):
            kinds["mask" if ids[at] == tokenizer.mask_id else "kept" if ids[at] == target else "other"] += 1
    n = sum(kinds.values())
    for kind, share in {"mask": 0.8, "kept": 0.1, "other": 0.1}.items():
        assert abs(kinds[kind] / n - share) < 4 * (share * (1 - share) / n) ** 0.5  # four standard errors


def test_the_template_may_be_masked_too(embedded):
    rows, _ = rows_of(embedded)
    masked = MaskedRows(rows, embedded.tokenizer, np.random.default_rng(0), 0.15, mask_template=True)
    found = {int(at) for ids, _, positions, _ in draws(masked)[::2] for at in positions}
    cloze = rows[0][0]
    special = set(cloze.slots) | {0, len(cloze) - 1}
    assert found == set(range(len(cloze))) - special


def test_label_conditioning_rules_out_what_a_wrong_label_is_followed_by(embedded):
    rows, scorer = rows_of(embedded)
    words = [[scorer.words[0]], [scorer.words[1]]]
    masked = MaskedRows(rows, embedded.tokenizer, np.random.default_rng(0), 0.1, words=words, labels=[0, 1])
    for i, (ids, _, _, targets) in enumerate(draws(masked, 50)):
        right = ids[1 : 1 + len(words[i % 2][0])].tolist() == words[i % 2][0]
        assert (targets >= 0).all() == right
        assert (targets < 0).all() != right


@pytest.mark.backends
def test_token_loss_by_hand():
    logits = np.random.default_rng(0).normal(0, 2, (2, 3, 5)).astype("float32")
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    targets = np.array([[1, -1 - 4, 0], [-1, 2, -1 - 3]])
    expected = [
        [-np.log(p[i, j, t]) if t >= 0 else -np.log(1 - p[i, j, -1 - t]) for j, t in enumerate(row)]
        for i, row in enumerate(targets)
    ]
    assert_close(array(token_loss(targets, logits)), expected, 1e-5)


def test_every_input_is_drawn_once_before_any_twice():
    passes = Passes(10, np.random.default_rng(0))
    assert sorted(passes.draw(10)) == list(range(10))
    assert sorted(passes.draw(7) + passes.draw(3)) == list(range(10))
