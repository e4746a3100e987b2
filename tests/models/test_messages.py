"""What a user reads who asked for something that cannot be."""

import json
import re

import numpy as np
import pytest

from nlpgen import T5, Bert, MaskedLM, MT5Encoder, NextSentence, PooledEncoder, T5Encoder
from nlpgen.checkpoints.safetensors import WEIGHTS, write_safetensors
from nlpgen.errors import ConfigError, InputError, VocabularyError, WeightsMismatch
from nlpgen.models.inspect import describe
from tests.helpers import GOLDEN


@pytest.mark.parametrize("dtype", ["float99", "int8", 16])
def test_a_type_that_no_model_has(dtype):
    with pytest.raises(InputError, match=r"`dtype` must be one of 'float32', .*'auto'.* Received: ") as error:
        MaskedLM.from_pretrained("bert-tiny-zh", dtype=dtype)
    assert repr(dtype) in str(error.value)


@pytest.mark.parametrize("keep_tokens", [[], np.array([]), 7])
def test_a_vocabulary_of_nothing(keep_tokens):
    with pytest.raises(InputError, match=r"`keep_tokens` must be a list of ids, one or more. Received: "):
        Bert.from_pretrained("bert-tiny-zh", keep_tokens=keep_tokens)


def test_both_at_once():
    with pytest.raises(InputError, match=r"(?s)float99.*keep_tokens"):
        Bert.from_pretrained("bert-tiny-zh", dtype="float99", keep_tokens=[])


def test_a_head_for_another_vocabulary_than_that_of_the_shared_backbone(bert_folder):
    """A pooler has no row for each token, so it goes with any."""
    part = Bert.from_pretrained(bert_folder, keep_tokens=range(100))
    with pytest.raises(VocabularyError, match=r"has 100 tokens, but `cls/predictions/output_bias` of .* is for 284"):
        MaskedLM.from_pretrained(bert_folder, backbone=part)
    pooler = PooledEncoder.from_pretrained(bert_folder, backbone=part)
    whole = PooledEncoder.from_pretrained(bert_folder)
    np.testing.assert_array_equal(pooler.dense.kernel, whole.dense.kernel)
    assert NextSentence.from_pretrained(bert_folder, backbone=part).backbone is part


@pytest.mark.parametrize(
    ("cls", "folder", "message"),
    [
        (Bert, "b4k_t5_1_0", r"not those of a Bert\. Use T5\.$"),
        (T5, "b4k_mt5_1_1", r"not those of a T5\. Use MT5\.$"),
        (T5, "b4k_bert", r"not those of a T5\. Use Bert\.$"),
        (T5, "hf_mt5", r"says model_type 'mt5', but T5 reads 't5'\. Use MT5\.$"),
        (T5Encoder, "b4k_mt5_1_1", r"not those of a T5Encoder\. Use MT5Encoder\.$"),
        (MT5Encoder, "b4k_bert", r"not those of a MT5Encoder\. Use Bert\.$"),
    ],
)
def test_the_class_of_a_wrong_family(cls, folder, message):
    """The encoder alone is a hint only for those who want one, or where a folder holds no more."""
    with pytest.raises(ConfigError, match=message):
        cls.from_pretrained(GOLDEN / folder)


def test_the_hint_is_what_the_folder_holds(tmp_path):
    T5Encoder.from_pretrained(GOLDEN / "b4k_t5_1_0").save_pretrained(tmp_path / "encoder", format="tensorflow")
    with pytest.raises(ConfigError, match=r"but Bert reads 'bert'\. Use T5Encoder\.$"):
        Bert.from_pretrained(tmp_path / "encoder")


def test_inspect_says_what_is_unknown_and_no_more(tmp_path):
    """It does not send one to itself."""
    write_safetensors(tmp_path / WEIGHTS, {f"unheard_{i}": np.ones(2, "float32") for i in range(5)})
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt9"}))
    found = describe(tmp_path).architecture
    assert found.startswith(f"unknown: {tmp_path / 'config.json'} has model_type 'gpt9'. nlpgen reads: albert, bert, ")
    assert found.endswith("Its tensors have no known names: unheard_0, unheard_1, unheard_2, …")


def test_a_head_that_is_missing_is_trained_anew_as_the_message_says(bert_folder, tmp_path):
    """Nothing is initialised unasked: the remedy is a line of Python, which is run here."""
    encoder = Bert.from_pretrained(bert_folder)
    encoder.save_pretrained(tmp_path / "encoder", format="huggingface")
    with pytest.raises(WeightsMismatch, match="has no masked-language-model head") as error:
        MaskedLM.from_pretrained(tmp_path / "encoder")
    remedy = re.search(r"MaskedLM\(Bert\.from_pretrained\('.*?'\)\)", str(error.value))[0]
    model = eval(remedy)
    model.build()
    assert model.tokenizer.vocab.tokens == encoder.tokenizer.vocab.tokens
    for ours, theirs in zip(model.backbone.weights, encoder.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    before = np.array(model.head.dense.kernel)
    ids = np.random.default_rng(0).integers(5, 200, (4, 8)).astype("int32")
    positions = np.tile([[1, 3]], (4, 1))
    model.fit({"token_ids": ids, "positions": positions}, ids[:, [1, 3]], sample_weight=np.ones((4, 2)), verbose=0)
    assert np.abs(np.array(model.head.dense.kernel) - before).max() > 0
