import keras
import numpy as np
import pytest
from keras import ops

from nlpgen import Bert, BertConfig, MaskedLM, NextSentence, PooledEncoder
from nlpgen.errors import ConfigError, InputError
from tests.helpers import IDS, SMALL, array, assert_close, check_model, random_weights


@pytest.mark.backends
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"type_vocab_size": 0},
        {"residual_attention_scores": True},
        {"hierarchical_position": 0.4},
        {"attention_key_size": 6},
    ],
)
def test_contract(options, tmp_path):
    backbone = Bert(BertConfig(**SMALL, **options))
    backbone.build()
    check_model(backbone, tmp_path)


def test_hugging_face_has_no_key_size(tmp_path):
    model = _built(Bert(BertConfig(**SMALL, attention_key_size=6)))
    assert model.blocks[0].attention.query.kernel.shape == (16, 24)
    with pytest.raises(InputError, match=r"no `attention_key_size` \(6\)"):
        model.save_pretrained(tmp_path / "out", "huggingface")
    assert not (tmp_path / "out").exists()


@pytest.mark.backends
def test_contract_with_head(tmp_path):
    model = MaskedLM(Bert(BertConfig(**SMALL)))
    model.build()
    check_model(model, tmp_path)


@pytest.mark.parametrize("cls", [NextSentence, PooledEncoder])
def test_pooled_models_go_through_a_keras_file(cls, tmp_path):
    model = cls(Bert(BertConfig(**SMALL)))
    model.build()
    random_weights(model)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(again({"token_ids": IDS})), array(model({"token_ids": IDS})))


@pytest.mark.backends
def test_padding_is_where_the_vocabulary_says(bert_folder):
    """With [PAD] elsewhere than at 0, the rest of the batch still changes nothing."""
    keep = [5, 6, 7, 8, 0, *range(100, 150)]
    model = MaskedLM.from_pretrained(bert_folder, keep_tokens=keep)
    assert model.tokenizer.pad_id == model.backbone.config.pad_token_id == 4
    long = np.array([[1, 10, 20, 0, 2, 30], [1, 7, 0, 2, 4, 4]], dtype="int32")
    assert_close(array(model({"token_ids": long}))[1:, :4], array(model({"token_ids": long[1:, :4]})))
    original = MaskedLM.from_pretrained(bert_folder)
    assert_close(array(model({"token_ids": long})), array(original({"token_ids": np.array(keep)[long]}))[..., keep])


@pytest.mark.backends
def test_swapping_query_and_key_would_be_seen():
    """The goldens compare at 1e-5: this is how far the commonest mistake moves the output."""
    model = random_weights(_built(Bert(BertConfig(**SMALL))))
    before = array(model({"token_ids": IDS}))
    attention = model.blocks[0].attention
    for part in ("kernel", "bias"):
        query, key = (array(getattr(getattr(attention, name), part)) for name in ("query", "key"))
        getattr(attention.query, part).assign(key)
        getattr(attention.key, part).assign(query)
    assert np.abs(array(model({"token_ids": IDS})) - before).max() / np.abs(before).max() > 1e-3


@pytest.mark.backends
def test_bfloat16_is_near_float32(bert_folder):
    x = {"token_ids": np.load(bert_folder / "golden.npz")["mlm_linear/in0"]}
    full = array(MaskedLM.from_pretrained(bert_folder)(x))
    half = MaskedLM.from_pretrained(bert_folder, dtype="bfloat16")(x)
    error = np.abs(array(ops.cast(half, "float32")) - full).max() / np.abs(full).max()
    assert error < 0.05  # 8 bits of mantissa through two blocks


def test_unilm_wants_segments():
    model = _built(Bert(BertConfig(**SMALL, application="unilm")))
    with pytest.raises(InputError, match="needs `segment_ids`"):
        model({"token_ids": IDS})


def test_too_long_an_input_is_refused():
    model = _built(Bert(BertConfig(**SMALL)))
    with pytest.raises(ValueError, match=r"21 positions.*knows 20"):
        model({"token_ids": np.ones((1, 21), dtype="int32")})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 15}, "multiple of `num_attention_heads`"),
        ({"hidden_size": "16"}, "`hidden_size` must be int"),
        ({"hidden_size": -16}, "`hidden_size` must be from 1 to 1,000,000"),
        ({"num_hidden_layers": True}, "`num_hidden_layers` must be int"),
        ({"hidden_act": "geluu"}, "`hidden_act` must be one of"),
        ({"application": "seq2seq"}, "`application` must be one of encoder, lm, unilm"),
        ({"hidden_dropout_prob": 1.5}, "from 0 to below 1"),
        ({"hierarchical_position": 1}, "between 0 and 1"),
        ({"condition_hidden_size": 4}, "needs `condition_size`"),
    ],
)
def test_config_is_checked(change, message):
    with pytest.raises(ConfigError, match=message):
        BertConfig.from_dict(SMALL | change)
    with pytest.raises(ConfigError, match=message):
        BertConfig(**SMALL | change)


def test_config_lists_all_problems_at_once():
    with pytest.raises(ConfigError) as error:
        BertConfig.from_dict({"hidden_size": 1.5, "vocab_size": "x"}, "there/config.json")
    for part in ("there/config.json", "`hidden_size`", "`vocab_size`", "`num_hidden_layers` is missing"):
        assert part in str(error.value)


def _built(model):
    model.build()
    return model
