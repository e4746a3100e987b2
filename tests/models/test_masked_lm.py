import numpy as np
import pytest

from nlpgen import MaskedLM, PETClassifier
from nlpgen.errors import CheckpointWarning, InputError, NonFiniteOutput
from tests.helpers import array, assert_close


def test_fill_mask_equals_a_plain_forward_pass(embedded):
    texts = ["中国的首都是[MASK]京。", "今天天气很[MASK]，我们[MASK]公园玩。", "[MASK]"]
    for text, filled in zip(texts, embedded.fill_mask(texts, top_k=3), strict=True):
        x = embedded.tokenizer([text], special_tokens=True)
        logits = array(embedded(x))[0][x["token_ids"][0] == embedded.tokenizer.mask_id]
        probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        assert len(filled.candidates) == text.count("[MASK]")
        for row, candidates in zip(probabilities, filled.candidates, strict=True):
            best = np.argsort(-row)[:3]
            assert [token for token, _ in candidates] == embedded.tokenizer.tokens(best)
            assert_close([p for _, p in candidates], row[best], 1e-4)
        assert "[MASK]" not in filled.text


def test_a_batch_equals_its_members(embedded):
    texts = ["今天[MASK]气很好。", "这本书[MASK]好看" * 20, "[MASK]国"]
    for text, filled in zip(texts, embedded.fill_mask(texts), strict=True):
        alone = embedded.fill_mask(text)
        assert alone.text == filled.text
        for one, other in zip(alone.candidates, filled.candidates, strict=True):
            np.testing.assert_allclose([p for _, p in one], [p for _, p in other], rtol=1e-4)


def test_the_embedded_model_knows_chinese(embedded):
    """Frequent characters in idiomatic places; an untrained head would find none of 9,124 tokens."""
    cases = {
        "中国的首都是[MASK]京。": "北",
        "春夏秋[MASK]": "冬",
        "他在北京大[MASK]读书。": "学",
        "我们[MASK]中国人。": "是",
    }
    found = sum(
        answer in [token for token, _ in embedded.fill_mask(text, 5).candidates[0]] for text, answer in cases.items()
    )
    assert found >= 3


def test_other_special_tokens_in_a_text_are_plain_text(embedded):
    filled = embedded.fill_mask("[SEP]今天[MASK]气[CLS]")
    assert len(filled.candidates) == 1
    assert filled.text.startswith("[SEP]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("没有", r"`texts\[0\]` has no \[MASK\]"),
        ("", r"has no \[MASK\]"),
        (None, "`texts` must be a string or a list of strings. Received: None"),
        (3, "`texts` must be a string or a list of strings. Received: 3"),
        (["[MASK]", None], r"`texts\[1\]` must be a string"),
        ("好" * 100_000 + "[MASK]", r"has 100,003 tokens, but the model reads 512"),
    ],
)
def test_bad_texts(embedded, text, message):
    with pytest.raises(InputError, match=message):
        embedded.fill_mask(text)


@pytest.mark.parametrize("top_k", [0, -1, 10**9, 2.5, "3"])
def test_top_k_out_of_range(embedded, top_k):
    with pytest.raises(InputError, match="must be from 1 to 9,124"):
        embedded.fill_mask("[MASK]", top_k)


def test_a_guess_that_is_itself_a_mask(embedded):
    """The likeliest token may be [MASK]; each guess still stands at its own place."""
    model = MaskedLM.from_config(embedded.get_config())
    model.build()
    bias = np.zeros(9124, dtype="float32")
    bias[embedded.tokenizer.mask_id] = 1e4
    model.head.bias.assign(bias)
    assert model.fill_mask("[MASK]天[MASK]").text == "[MASK]天[MASK]"


def test_damaged_weights_give_no_answer(embedded):
    model = MaskedLM.from_config(embedded.get_config())
    model.build()
    model.backbone.blocks[0].up.bias.assign(np.full(1024, np.nan))
    with pytest.raises(NonFiniteOutput, match=r"texts\[0\]"):
        model.fill_mask("[MASK]")
    with pytest.raises(NonFiniteOutput, match=r"texts\[0\]"):
        PETClassifier(model, "{text}[MASK]", {"a": "很", "b": "不"}).predict("好")


def test_the_interface_of_the_arrays(embedded):
    x = embedded.tokenizer(["今天天气很好", "好"])
    assert embedded.predict(x, verbose=0).shape == (2, 8, 9124)
    positions = np.array([[1, 3, 1], [1, 2, 0]])
    assert embedded.predict(x | {"positions": positions}, verbose=0).shape == (2, 3, 9124)
    assert embedded.backbone.predict(x, verbose=0).shape == (2, 8, 256)


def test_logits_of_some_tokens_only(embedded):
    hidden = embedded.backbone(embedded.tokenizer(["今天天气很好"]))
    some = np.array([200, 5, 300])
    assert_close(array(embedded.logits(hidden, some)), array(embedded.logits(hidden))[..., some])


def test_a_model_without_a_vocabulary(bert_folder, tmp_path):
    model = MaskedLM.from_pretrained(bert_folder)
    model.tokenizer = None
    with pytest.raises(InputError, match="no tokenizer"):
        model.fill_mask("[MASK]")
    model.save_pretrained(tmp_path / "bare")
    with pytest.warns(CheckpointWarning, match="bare has no vocabulary"):
        assert MaskedLM.from_pretrained(tmp_path / "bare").tokenizer is None


def test_a_random_head_is_found_by_asking_the_model(embedded, bert_folder):
    assert embedded.head_looks_random() is False
    model = MaskedLM.from_config(embedded.get_config())
    model.build()
    model.set_weights(embedded.get_weights())
    generator = np.random.default_rng(0)
    model.head.dense.kernel.assign(generator.normal(0, 0.06, (256, 256)))
    assert model.head_looks_random() is True
    assert MaskedLM.from_pretrained(bert_folder).head_looks_random() is True
    model.tokenizer.vocab.ids = {t: i for t, i in model.tokenizer.vocab.ids.items() if t.isascii()}
    model.tokenizer = type(model.tokenizer)(type(model.tokenizer.vocab)(t for t in model.tokenizer.vocab.ids))
    assert model.head_looks_random() is None
