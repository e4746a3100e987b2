"""What a user reads who asked for something that cannot be."""

import json
import re
import shutil

import numpy as np
import pytest

from nlpgen import (
    GPT2,
    T5,
    AlbertConfig,
    Bert,
    BertConfig,
    CausalLM,
    Electra,
    ElectraConfig,
    Ernie,
    ErnieConfig,
    GPT2Config,
    MaskedLM,
    MT5Encoder,
    NextSentence,
    NezhaConfig,
    PooledEncoder,
    ReplacedTokenDetector,
    Roberta,
    RobertaConfig,
    RoFormerV2,
    RoFormerV2Config,
    SequenceClassifier,
    SequenceTagger,
    SpanTagger,
    T5Config,
    T5Encoder,
)
from nlpgen.checkpoints.safetensors import WEIGHTS, write_safetensors
from nlpgen.errors import ConfigError, InputError, VocabularyError, WeightsMismatch
from nlpgen.models.export import signature_of
from nlpgen.models.inspect import describe
from tests.helpers import GOLDEN, IDS, SMALL, array, assert_close, random_weights


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
        (MT5Encoder, "b4k_bert", r"not those of an MT5Encoder\. Use Bert\.$"),
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


OF_T5 = {name: value for name, value in SMALL.items() if name != "max_position_embeddings"}


def built(model):
    model.build()
    return random_weights(model)


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        (Bert, {"token_ids": IDS, "token_type_ids": IDS}, r"Bert knows .*Did you mean `segment_ids` for `token_type"),
        (
            Bert,
            {"input_ids": IDS, "attention_mask": IDS},
            r"`token_ids` for `input_ids`, `padding_mask` for `att",
        ),
        (Bert, {"token_ids": IDS, "segment_id": IDS}, "Did you mean `segment_ids` for `segment_id`"),
        (Bert, {"token_ids": IDS, "weights": IDS}, r"Received: token_ids, weights\."),
        (Bert, {"token_ids": IDS, "task_ids": IDS}, "Received: token_ids, task_ids"),
        (Bert, IDS, "reads a dict of arrays"),
        (Bert, {"token_ids": IDS, "condition": np.ones((2, 3), "float32")}, "no conditional norms"),
        (GPT2, {"input_ids": IDS}, "GPT2 knows .*`token_ids` must be there"),
        (T5Encoder, {"input_ids": IDS}, "T5Encoder knows token_ids"),
        (T5, {"input_ids": IDS, "decoder_input_ids": IDS}, "`decoder_token_ids` for `decoder_input_ids`"),
    ],
)
def test_inputs_that_the_model_would_not_read(model, inputs, message):
    config = {Bert: BertConfig, GPT2: GPT2Config}.get(model)
    backbone = model(T5Config(**OF_T5) if config is None else config(**SMALL))
    with pytest.raises(InputError, match=message):
        backbone(inputs)
    if model is Bert:
        with pytest.raises(InputError, match=message):
            SequenceClassifier(backbone, ["a", "b"], "first_last_mean")(inputs)


def test_ernie_knows_tasks():
    backbone = built(Ernie(ErnieConfig(**SMALL, use_task_id=True)))
    other = array(backbone({"token_ids": IDS, "task_ids": np.ones_like(IDS)}))
    assert np.abs(other - array(backbone({"token_ids": IDS}))).max() > 0.1


@pytest.mark.backends
@pytest.mark.parametrize("verb", ["__call__", "predict", "predict_on_batch"])
def test_a_refused_input_leaves_the_model_usable(verb):
    """On JAX, Keras takes the weights out of a model at first, and gives them back only if nothing is raised."""
    model = built(CausalLM(GPT2(GPT2Config(**SMALL))))
    good = {"token_ids": IDS}
    before = array(model(good))
    for bad, message in (
        ({"token_ids": np.ones((1, 21), "int32")}, "21 positions"),
        ({"token_ids": IDS + 50}, r"(?s)GPT2 has no such rows or places.*`token_ids` must be from 0 to 49.*50 to 62"),
        ({"token_ids": IDS, "token_type_ids": IDS}, "GPT2 knows"),
    ):
        with pytest.raises(InputError, match=message):
            getattr(model, verb)(bad)
    np.testing.assert_array_equal(array(model(good)), before)
    assert_close(model.predict(good, verbose=0), before)


@pytest.mark.parametrize(
    ("backbone", "ids", "message"),
    [
        (lambda: Bert(BertConfig(**SMALL)), {"segment_ids": IDS}, r"`segment_ids` must be from 0 to 1\. .*0 to 12$"),
        (lambda: Bert(BertConfig(**SMALL)), {"position_ids": IDS + 9}, r"`position_ids` must be from 0 to 19\. .*9 to"),
        (lambda: Roberta(RobertaConfig(**SMALL)), {"position_ids": IDS + 9}, "`position_ids` must be from 0 to 17"),
        (lambda: Bert(BertConfig(**SMALL)), {"positions": IDS}, r"`positions` must be from 0 to 6\. .*0 to 12$"),
        (lambda: Bert(BertConfig(**SMALL)), {"token_ids": IDS - 1}, r"`token_ids` must be from 0 to 49\. .*-1 to 11$"),
        (lambda: Bert(BertConfig(**SMALL)), {"token_ids": IDS[0]}, r"must be an array \(batch, length\)"),
        (lambda: Ernie(ErnieConfig(**SMALL, use_task_id=True)), {"task_ids": IDS}, "`task_ids` must be from 0 to 2"),
        (
            lambda: T5(T5Config(**OF_T5)),
            {"decoder_token_ids": IDS[:, :3] + 50, "positions": np.array([[1, 3]])},
            r"(?s)`decoder_token_ids` must be from 0 to 49.*`positions` must be from 0 to 2\. Received: 1 to 3",
        ),
    ],
)
def test_ids_that_no_table_has(backbone, ids, message):
    """For which JAX would give NaN."""
    with pytest.raises(InputError, match=message):
        backbone()({"token_ids": IDS, **ids})


@pytest.mark.backends
@pytest.mark.parametrize("application", ["encoder", "lm"])
def test_a_padding_mask_of_an_encoder(application):
    """The mask of the padding tokens changes nothing, and one with more is as if these were padding."""
    backbone = built(Bert(BertConfig(**SMALL, application=application)))
    seen = IDS != 0
    expected = array(backbone({"token_ids": IDS}))
    np.testing.assert_array_equal(array(backbone({"token_ids": IDS, "padding_mask": seen})), expected)
    seen = seen & (np.arange(7) < 3)
    cut = array(backbone({"token_ids": IDS, "padding_mask": seen.astype("int32")}))[:, :3]
    np.testing.assert_array_equal(cut, array(backbone({"token_ids": np.where(seen, IDS, 0)}))[:, :3])
    assert np.abs(cut - expected[:, :3]).max() > 0.01 or application == "lm"


@pytest.mark.parametrize(
    ("backbone", "hint"),
    [
        (lambda: Bert(BertConfig(**SMALL)), True),
        (lambda: Bert(BertConfig(**SMALL | {"max_position_embeddings": 4}, hierarchical_position=0.4)), False),
        (lambda: Roberta(RobertaConfig(**SMALL)), False),
        (lambda: GPT2(GPT2Config(**SMALL)), False),
    ],
)
def test_hierarchical_positions_are_advised_where_they_help(backbone, hint):
    with pytest.raises(InputError, match=r"21 positions.*Shorten the texts \(`max_length`\)") as error:
        backbone()({"token_ids": np.ones((1, 21), "int32")})
    assert ("hierarchical_position" in str(error.value)) is hint


def test_the_argument_is_blamed_not_the_file():
    with pytest.raises(WeightsMismatch, match=r"argument `num_hidden_layers` asks for 9 layers, but the weights of"):
        Bert.from_pretrained(GOLDEN / "b4k_bert", num_hidden_layers=9)
    with pytest.raises(ConfigError, match=r"^the argument `model_type` has .*'berd'.*Did you mean 'bert'\?"):
        MaskedLM.from_pretrained(GOLDEN / "b4k_albert", model_type="berd")
    with pytest.raises(ConfigError, match=r"^the argument `model_type` says model_type 'albert', but Bert reads"):
        Bert.from_pretrained(GOLDEN / "b4k_bert", model_type="albert")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_tokens": ["a"]}, "`keep_tokens` must be ids, whole numbers. Received: 'a'"),
        ({"keep_tokens": [0.5]}, "`keep_tokens` must be ids, whole numbers. Received: 0.5"),
        ({"keep_tokens": [1, 2, 1]}, "`keep_tokens` must be different ids. Received more than once: 1"),
        ({"compound_tokens": {"甲乙": "甲"}}, "`compound_tokens` must have ids for '甲乙'.*Received: '甲'"),
        ({"compound_tokens": {"甲乙": (5, 6)}}, r"`compound_tokens` must have ids for '甲乙'.*Received: \(5, 6\)"),
        ({"keep_tokens": ["a"], "compound_tokens": {"甲乙": 7}}, r"(?s)'a'.*Received: 7"),
    ],
)
def test_ids_that_are_none(options, message):
    with pytest.raises(InputError, match=message):
        Bert.from_pretrained(GOLDEN / "b4k_bert", **options)


def test_a_backbone_is_made_from_its_config():
    for config in (dict(SMALL), NezhaConfig(**{n: v for n, v in SMALL.items()}), None):
        with pytest.raises(ConfigError, match=rf"Bert is made from a BertConfig.*Received: {type(config).__name__}"):
            Bert(config)


@pytest.mark.parametrize("head", [MaskedLM, CausalLM, NextSentence, PooledEncoder, ReplacedTokenDetector])
def test_a_head_stands_on_a_backbone(head):
    with pytest.raises(InputError, match=rf"{head.__name__} stands on a backbone.*{head.__name__}\.from_pretrained\("):
        head("bert-tiny-zh")


@pytest.mark.parametrize("head", [SequenceClassifier, SequenceTagger, SpanTagger])
def test_a_head_for_one_text(head):
    with pytest.raises(InputError, match=r"reads one text, but a T5 a source and a target\. Use T5Encoder"):
        head(T5(T5Config(**OF_T5)), ["a", "b"])
    with pytest.raises(InputError, match="stands on a backbone"):
        head("bert-tiny-zh", ["a", "b"])
    head(T5Encoder(T5Config(**OF_T5)), ["a", "b"])


def test_a_pooler_needs_a_name():
    with pytest.raises(ConfigError, match="GPT2 has no head 'pooler'"):
        PooledEncoder(GPT2(GPT2Config(**SMALL)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"with_mlm": True}, "bert4keras' `with_mlm` is `MaskedLM`"),
        ({"with_pool": True, "segment_vocab_size": 3}, "`type_vocab_size` here. bert4keras' `with_pool`"),
        ({"model": "bert"}, "`model` is `model_type` here"),
        ({"hiden_act": "relu"}, "Did you mean `hidden_act` for `hiden_act`"),
    ],
)
def test_the_words_of_bert4keras(options, message):
    with pytest.raises(ConfigError, match=message):
        Bert.from_pretrained(GOLDEN / "b4k_bert", **options)


def test_an_application_of_others():
    with pytest.raises(ConfigError, match=r"application='lm' is an option of: .*Bert, .*RoFormerV2"):
        GPT2Config(**SMALL).replace(application="lm")
    with pytest.raises(ConfigError, match=r"one of encoder\. Received: 'lm'\. application='lm' is an option") as error:
        Electra(ElectraConfig(**SMALL, application="lm"))
    assert not {"Electra", "Encoder"} & set(re.findall(r"\w+", str(error.value).partition("option of")[2]))


def test_a_type_that_the_tensors_are_not_of(tmp_path):
    with pytest.raises(
        ConfigError, match=r"^`model_type='nezha'`, but the tensors .* 'bert'\. Leave it away, or give 'bert'"
    ):
        MaskedLM.from_pretrained(GOLDEN / "b4k_bert", model_type="nezha")
    shutil.copytree(GOLDEN / "hf_roberta_mlm", tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    for said, message in (
        ("xlm-roberta", r"named as those of 'roberta': say there which it is, or give `model_type` when loading\.$"),
        (
            "xmod",
            r"nlpgen does not build 'xmod': its tensors are named as those of 'roberta', but what it computes is not",
        ),
        (
            "bert",
            r"^\S+config\.json has model_type 'bert', but the tensors .* 'roberta'\. Say 'roberta' there, or give",
        ),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": said}))
        with pytest.raises(ConfigError, match=message):
            MaskedLM.from_pretrained(tmp_path)


def test_a_head_that_the_architecture_has_not():
    with pytest.raises(
        ConfigError, match=r"Bert has no head 'causal_lm'\. .*\. CausalLM needs 'causal_lm'\. .*application='lm'"
    ):
        CausalLM.from_pretrained(GOLDEN / "b4k_bert")
    with pytest.raises(
        ConfigError, match=r"RoFormerV2 has no head 'next_sentence'\. .*\. NextSentence needs 'next_sentence'"
    ):
        NextSentence(RoFormerV2(RoFormerV2Config(**SMALL)))


@pytest.mark.parametrize("options", [{"type_vocab_size": 0}, {"shared_segment_embeddings": True}])
def test_what_is_taken_away_is_no_news(options):
    MaskedLM.from_pretrained(GOLDEN / "b4k_bert", **options)  # a warning would fail


def test_fields_of_others():
    with pytest.raises(
        ConfigError, match=r"has no field num_hidden_groups\..*`num_hidden_groups` is a field of: Albert\.$"
    ):
        Bert.from_pretrained(GOLDEN / "b4k_bert", num_hidden_groups=2)
    with pytest.raises(ConfigError, match=r"config\.json does not describe an AlbertConfig"):
        AlbertConfig.from_dict({}, "config.json")


def test_an_onnx_file_is_no_folder(tmp_path):
    model = MaskedLM(Bert(BertConfig(**SMALL)))
    with pytest.raises(InputError, match=r"model\.onnx has the name of an ONNX file.*format='onnx'"):
        model.export(tmp_path / "model.onnx")
    with pytest.raises(InputError, match=r"`inputs` must be some of .*Received: tokens$"):
        model.export(tmp_path / "model", inputs="tokens")
    (signature,) = signature_of(model, "token_ids")
    assert list(signature) == ["token_ids"]
