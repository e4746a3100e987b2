"""T5 and mT5 against bert4keras 0.11.5 and transformers 5.23, recorded in tests/golden.

The attention of T5 is not scaled, and the recorded models have large weights: float32 alone moves the recorded logits
by up to 5e-5 of their scale. So the truth is the same models in float64: to it we may be as far as four times that
rounding in float32, and 1e-6 in float64, which is what the constants of Keras' GELU leave.
"""

import json

import numpy as np
import pytest
from keras import backend, ops

from nlpgen import MT5, T5, MT5Encoder, Seq2SeqLM, T5Config, T5Encoder
from nlpgen.checkpoints import dump_weights, open_folder
from nlpgen.checkpoints.safetensors import WEIGHTS, write_safetensors
from nlpgen.checkpoints.tensorflow import write_tensorflow
from nlpgen.errors import ConfigError, InputError, WeightsMismatch
from nlpgen.models.architectures import architecture_of
from nlpgen.models.inspect import convert, describe
from tests.helpers import GOLDEN, IDS, TARGET_IDS, array, assert_close, random_weights

FOLDERS = {"b4k_t5_1_0": T5, "b4k_t5_1_1": T5, "b4k_mt5_1_1": MT5, "hf_t5_v1_0": T5, "hf_mt5": MT5}
B4K = [name for name in FOLDERS if name.startswith("b4k")]
HF = [name for name in FOLDERS if name.startswith("hf")]
LOGITS = {"lm_linear": {"cross_position_bias": True}, "no_cross_position_bias": {}}
INPUTS = {"token_ids": IDS, "decoder_token_ids": TARGET_IDS}


def golden(folder, file="golden"):
    return np.load(GOLDEN / folder / f"{file}.npz")


def bert4keras_model(folder, variant, dtype=None):
    """bert4keras divides by `sqrt(hidden_size)` before every head, Google only before a tied one."""
    return Seq2SeqLM.from_pretrained(GOLDEN / folder, scale_decoder_outputs=True, dtype=dtype, **LOGITS[variant])


def bert4keras_inputs(data, variant):
    return {"token_ids": data[f"{variant}/in0"], "decoder_token_ids": data[f"{variant}/in1"]}


def transformers_inputs(data):
    """Without a mask of its own, the target of transformers sees its padding."""
    ids, mask, target = (data[f"in/{name}"] for name in ("input_ids", "attention_mask", "decoder_input_ids"))
    assert (mask == (ids != 0)).all()
    assert (mask == 0).any()
    return {"token_ids": ids, "decoder_token_ids": target, "decoder_padding_mask": np.ones_like(target)}


def assert_as_close_as_float32(out, recorded, exact):
    rounding = np.abs(recorded[..., ::4] - exact).max() / np.abs(exact).max()
    assert rounding < 5e-5
    assert_close(out[..., ::4], exact, max(1e-5, 4 * rounding))


@pytest.mark.backends
@pytest.mark.parametrize("folder", B4K)
@pytest.mark.parametrize("variant", LOGITS)
def test_bert4keras(folder, variant):
    data = golden(folder)
    out = array(bert4keras_model(folder, variant)(bert4keras_inputs(data, variant)))
    assert_as_close_as_float32(out, data[f"{variant}/out_lm"], golden(folder, "float64")[f"{variant}/out_lm"])


@pytest.mark.backends
@pytest.mark.parametrize("folder", HF)
def test_transformers(folder):
    data = golden(folder)
    out = array(Seq2SeqLM.from_pretrained(GOLDEN / folder)(transformers_inputs(data)))
    assert_as_close_as_float32(out, data["out/logits"], golden(folder, "float64")["out/logits"])


@pytest.mark.backends
@pytest.mark.parametrize("folder", B4K)
def test_bert4keras_without_a_head(folder):
    """bert4keras' decoder is divided before its head, ours in it; `lm_softmax` is the other logits' softmax."""
    data = golden(folder)
    model = bert4keras_model(folder, "lm_linear")
    assert recorded_variants(folder) == {*LOGITS, "lm_softmax", "no_lm", "encoder"}
    inputs = bert4keras_inputs(data, "no_lm")
    assert_close(array(model.backbone(inputs)) * 48**-0.5, data["no_lm/out_dec"], 1e-4)
    softmax = array(ops.softmax(model(bert4keras_inputs(data, "lm_softmax"))))
    assert_close(softmax, data["lm_softmax/out_lm"], 2e-4)


def recorded_variants(folder):
    return {key.split("/")[0] for key in golden(folder)}


@pytest.mark.backends
@pytest.mark.parametrize("folder", FOLDERS)
def test_the_encoder_alone(folder):
    """Out of the whole checkpoint, without a word about the decoder's tensors."""
    data = golden(folder)
    model = FOLDERS[folder].encoder_class.from_pretrained(GOLDEN / folder)
    ids, name = (
        ("encoder/in0", "encoder/out_enc") if folder in B4K else ("in/input_ids", "out/encoder_last_hidden_state")
    )
    assert_close(array(model({"token_ids": data[ids]})), data[name])


@pytest.mark.backends
@pytest.mark.parametrize("folder", FOLDERS)
def test_the_decoder_alone(folder):
    """On what the other program's encoder gave."""
    data, exact = golden(folder), golden(folder, "float64")
    if folder in B4K:
        model, inputs = bert4keras_model(folder, "lm_linear"), bert4keras_inputs(data, "lm_linear")
        source, out = "encoder/out_enc", "lm_linear/out_lm"
        np.testing.assert_array_equal(data["encoder/in0"], inputs["token_ids"])
    else:
        model, inputs = Seq2SeqLM.from_pretrained(GOLDEN / folder), transformers_inputs(data)
        source, out = "out/encoder_last_hidden_state", "out/logits"
    assert_as_close_as_float32(array(model({**inputs, "source": data[source]})), data[out], exact[out])
    assert np.abs(array(model({**inputs, "source": 0 * data[source]})) - data[out]).max() > 1e-2


@pytest.mark.skipif(backend.backend() != "tensorflow", reason="only TensorFlow computes in float64 when asked to")
@pytest.mark.parametrize("folder", FOLDERS)
def test_in_float64_nothing_but_the_constants_of_gelu_is_left(folder):
    data, exact = golden(folder), golden(folder, "float64")
    tolerance = 1e-6 if "1_1" in folder else 1e-7 if folder == "hf_mt5" else 1e-12
    if folder in HF:
        model = Seq2SeqLM.from_pretrained(GOLDEN / folder, dtype="float64")
        assert_close(array(model(transformers_inputs(data)))[..., ::4], exact["out/logits"], tolerance)
        return
    for variant in LOGITS:
        out = array(bert4keras_model(folder, variant, "float64")(bert4keras_inputs(data, variant)))
        assert_close(out[..., ::4], exact[f"{variant}/out_lm"], tolerance)


@pytest.mark.parametrize("folder", FOLDERS)
def test_round_trip_through_all_formats_is_bit_equal(folder, tmp_path):
    source = GOLDEN / folder
    formats = ["huggingface", "nlpgen", "tensorflow", "huggingface"]
    for i, format in enumerate(formats if folder in B4K else [*formats[1:], "nlpgen"]):
        said = convert(source, tmp_path / str(i), format)
        assert said == f"{FOLDERS[folder].__name__} with seq2seq_lm in {format} format"
        source = tmp_path / str(i)
    first, last = (dump_weights(Seq2SeqLM.from_pretrained(f)) for f in (GOLDEN / folder, source))
    assert first.keys() == last.keys()
    assert all(np.array_equal(first[name], last[name]) for name in first)
    assert (source / "vocab.txt").read_bytes() == (GOLDEN / folder / "vocab.txt").read_bytes()


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_names_written_are_those_of_the_release(folder, tmp_path):
    own = "tensorflow" if folder in B4K else "huggingface"
    convert(GOLDEN / folder, tmp_path / "out", own)
    ours, theirs = (open_folder(f).tensors for f in (tmp_path / "out", GOLDEN / folder))
    assert {ours.original(name) for name in ours} == {theirs.original(name) for name in theirs}
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("folder", FOLDERS)
def test_describe(folder):
    found = describe(GOLDEN / folder)
    assert found.architecture == FOLDERS[folder].__name__
    assert found.heads == ["seq2seq_lm"]
    assert found.missing == []
    assert None not in {tensor["weight"] for tensor in found.tensors.values()}


def test_an_encoder_alone_is_known_as_one(tmp_path):
    """By its tensors; `model_type` is the same."""
    encoder = T5Encoder.from_pretrained(GOLDEN / "hf_t5_v1_0")
    for format in ("nlpgen", "huggingface", "tensorflow"):
        encoder.save_pretrained(tmp_path / format, format=format)
        assert architecture_of(open_folder(tmp_path / format)) is T5Encoder
        again = T5Encoder.from_pretrained(tmp_path / format)
        np.testing.assert_array_equal(array(again({"token_ids": IDS})), array(encoder({"token_ids": IDS})))
        found = describe(tmp_path / format)
        assert (found.architecture, found.missing) == ("T5Encoder", [])
        with pytest.raises(ConfigError, match="T5Encoder has no head 'seq2seq_lm'"):
            Seq2SeqLM.from_pretrained(tmp_path / format)
    assert json.loads((tmp_path / "huggingface" / "config.json").read_text())["architectures"] == ["T5EncoderModel"]


def test_wrong_family_of_a_config_that_says_nothing():
    assert architecture_of(open_folder(GOLDEN / "b4k_mt5_1_1")) is MT5
    with pytest.raises(ConfigError, match=r"not those of a T5\. Use MT5\."):
        T5.from_pretrained(GOLDEN / "b4k_mt5_1_1")
    with pytest.raises(ConfigError, match=r"not those of an MT5Encoder\. Use T5Encoder\."):
        MT5Encoder.from_pretrained(GOLDEN / "b4k_t5_1_1")


def tensors_of(folder):
    file = open_folder(GOLDEN / folder).tensors
    return {file.original(name): np.asarray(file[name]) for name in file}


def pytorch_tensors(folder):
    file = open_folder(GOLDEN / folder).tensors._tensors
    return {name: file[name] for name in file}


def test_slots_of_adafactor_are_no_news(tmp_path):
    """Mesh TensorFlow puts them beside a tensor or below it."""
    tensors = tensors_of("b4k_t5_1_0")
    slots = {f"{name}{mark}": t for name, t in tensors.items() for mark in ("_slot_vr", "_slot_vc", "/_slot_v")}
    copy_folder(tmp_path, "b4k_t5_1_0")
    write_tensorflow(tmp_path, tensors | slots | {"global_step": np.array(5.0)})
    Seq2SeqLM.from_pretrained(tmp_path)  # a warning would fail


@pytest.mark.parametrize("with_shared", [True, False])
def test_duplicates_of_the_token_embedding(tmp_path, with_shared):
    """And the bias of attention to the source, which early ports had and no class reads."""
    tensors = pytorch_tensors("hf_t5_v1_0")
    table = tensors["shared.weight"] if with_shared else tensors.pop("shared.weight")
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
    tensors |= {name: table for name in copies}
    tensors["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"] = np.ones((32, 4), "float32")
    copy_folder(tmp_path, "hf_t5_v1_0")
    write_safetensors(tmp_path / WEIGHTS, tensors)
    model = Seq2SeqLM.from_pretrained(tmp_path)  # a warning would fail
    assert model.projection is None
    expected = Seq2SeqLM.from_pretrained(GOLDEN / "hf_t5_v1_0")
    np.testing.assert_array_equal(array(model(INPUTS)), array(expected(INPUTS)))


def test_tensors_decide_whether_the_head_is_tied(tmp_path):
    assert json.loads((GOLDEN / "hf_mt5" / "config.json").read_text())["tie_word_embeddings"] is True
    model = Seq2SeqLM.from_pretrained(GOLDEN / "hf_mt5")
    assert model.backbone.config.tie_word_embeddings is False
    assert model.scale == 1.0
    tensors = pytorch_tensors("hf_mt5")
    del tensors["lm_head.weight"]
    copy_folder(tmp_path, "hf_mt5")
    write_safetensors(tmp_path / WEIGHTS, tensors)
    assert Seq2SeqLM.from_pretrained(tmp_path).projection is None
    with pytest.raises(WeightsMismatch, match=r"projection.kernel: the checkpoint has no `decoder/logits/kernel`"):
        Seq2SeqLM.from_pretrained(tmp_path, tie_word_embeddings=False)


def test_the_first_layers_only():
    """Of both stacks, where the config does not count the decoder's; nothing is said of the others."""
    model = Seq2SeqLM.from_pretrained(GOLDEN / "b4k_t5_1_1", num_hidden_layers=1)
    assert len(model.backbone.encoder.blocks) == len(model.backbone.blocks) == 1
    model = Seq2SeqLM.from_pretrained(GOLDEN / "hf_mt5", num_hidden_layers=1)
    assert (len(model.backbone.encoder.blocks), len(model.backbone.blocks)) == (1, 2)


@pytest.mark.backends
@pytest.mark.parametrize("folder", ["b4k_t5_1_0", "b4k_t5_1_1", "hf_mt5"])
def test_kept_and_compound_tokens(folder, tmp_path):
    """Logits of the kept tokens are the same, with a tied head (rows) and with one of its own (columns)."""
    keep = [5, 0, 6, 7, 8, *range(20, 60)]
    model = Seq2SeqLM.from_pretrained(
        GOLDEN / folder, keep_tokens=keep, compound_tokens={"甲乙": [5, 6]}, decoder_start_token_id=1
    )
    assert model.backbone.config.vocab_size == len(keep) + 1
    assert model.backbone.config.pad_token_id == model.tokenizer.pad_id == 1
    whole = Seq2SeqLM.from_pretrained(GOLDEN / folder)
    ids, target = (np.array([[4, 9, 20, 8, 1, 1], [4, 30, 31, 32, 33, 8]]), np.array([[1, 5, 6, 1], [1, 7, 8, 9]]))
    inputs = {"token_ids": ids, "decoder_token_ids": target}
    out = array(model(inputs))
    expected = array(whole({name: np.array(keep)[x] for name, x in inputs.items()}))
    assert_close(out[..., :-1], expected[..., keep], 1e-4)
    assert_close(out[..., -1], expected[..., [20, 21]].mean(-1), 1e-4)
    model.save_pretrained(tmp_path / "small")
    again = Seq2SeqLM.from_pretrained(tmp_path / "small")
    assert again.backbone.config == model.backbone.config
    np.testing.assert_array_equal(array(again(inputs)), out)


def test_special_ids_of_the_config_follow_kept_tokens():
    keep = [7, 1, 0, 5, 6, 8, *range(20, 60)]
    config = Seq2SeqLM.from_pretrained(GOLDEN / "hf_mt5", keep_tokens=keep).backbone.config
    assert (config.pad_token_id, config.decoder_start_token_id, config.eos_token_id) == (2, 2, 1)
    config = Seq2SeqLM.from_pretrained(GOLDEN / "hf_mt5", keep_tokens=[0, *range(5, 60)]).backbone.config
    assert (config.pad_token_id, config.decoder_start_token_id, config.eos_token_id) == (0, 0, None)


def test_cross_position_bias_is_refused_in_hugging_face_form(tmp_path):
    model = Seq2SeqLM.from_pretrained(GOLDEN / "b4k_mt5_1_1", cross_position_bias=True)
    with pytest.raises(InputError, match=r"has no `cross_position_bias`.* Save in the format 'nlpgen' or"):
        model.save_pretrained(tmp_path / "out", format="huggingface")
    for format in ("nlpgen", "tensorflow"):
        model.save_pretrained(tmp_path / format, format=format)
        assert Seq2SeqLM.from_pretrained(tmp_path / format).backbone.config == model.backbone.config


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (T5, {}),
        (T5, {"hidden_act": ["gelu_tanh", "linear"], "tie_word_embeddings": False}),
        (T5, {"hidden_act": ["gelu", "linear"], "num_decoder_layers": 1, "scale_decoder_outputs": False}),
        (MT5, {"hidden_act": ["gelu_tanh", "linear"], "tie_word_embeddings": False}),
        (MT5, {"hidden_act": ["gelu_tanh", "linear"]}),
    ],
)
def test_transformers_reads_what_we_write_and_we_what_it_does(cls, options, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = cls.config_class(
        60, 16, 2, 4, 32, relative_attention_num_buckets=8, relative_attention_max_distance=12, **options
    )
    model = Seq2SeqLM(cls(config))
    model.build()
    random_weights(model).save_pretrained(tmp_path / "out", format="huggingface")
    peer_class = getattr(transformers, f"{cls.__name__}ForConditionalGeneration")
    peer, info = peer_class.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    generator = np.random.default_rng(0)
    ids, target = generator.integers(1, 60, (2, 30)), generator.integers(1, 60, (2, 20))
    ids[0, 25:] = 0
    target[:, 0] = 0
    with torch.no_grad():
        out = peer.eval()(torch.tensor(ids), torch.tensor(ids != 0).long(), torch.tensor(target)).logits
    peer.save_pretrained(tmp_path / "theirs")
    for ours in (model, *(Seq2SeqLM.from_pretrained(tmp_path / name) for name in ("out", "theirs"))):
        assert_close(array(ours({"token_ids": ids, "decoder_token_ids": target})), out)


def test_an_mt5_that_scales_is_refused_in_hugging_face_form(tmp_path):
    model = Seq2SeqLM.from_pretrained(GOLDEN / "b4k_mt5_1_1", scale_decoder_outputs=True)
    with pytest.raises(InputError, match=r"Hugging Face's MT5 never divides by sqrt.*scale_decoder_outputs=False"):
        model.save_pretrained(tmp_path / "out", format="huggingface")


@pytest.mark.parametrize(
    ("theirs", "ours", "again"),
    [
        ("relu", "relu", "relu"),
        ("gelu", "gelu", "gelu"),
        ("gelu_new", "gelu_new", "gelu_new"),
        ("gated-gelu", ["gelu_tanh", "linear"], "gated-gelu"),
        ("gated-gelu_new", ["gelu_new", "linear"], "gated-gelu"),
        ("gated-gelu_python", ["gelu_python", "linear"], "gated-gelu_python"),
        ("gated-silu", ["silu", "linear"], "gated-silu"),
    ],
)
def test_activations_of_hugging_face(theirs, ours, again):
    """The name must mean the same function to `transformers`, also after it has gone through our config."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    names = {"d_model": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2, "vocab_size": 9, "dropout_rate": 0.2}
    config = T5Config.from_dict({**names, "feed_forward_proj": theirs})
    assert config.hidden_act == ours
    assert config.attention_probs_dropout_prob == config.hidden_dropout_prob == 0.2
    written = config.to_hugging_face()
    assert written["feed_forward_proj"] == again
    assert written.items() >= {**names, "feed_forward_proj": again}.items()
    peer = transformers.T5Config(**written)
    assert peer.is_gated_act == config.gated
    x = np.linspace(-3, 3, 25, dtype="float32")
    expected = transformers.activations.ACT2FN[peer.dense_act_fn](torch.tensor(x)).numpy()
    t5_block = T5Encoder(config).blocks[0]
    np.testing.assert_allclose(array(t5_block.activation(ops.convert_to_tensor(x))), expected, atol=1e-6)


def copy_folder(folder, name):
    for file in ("config.json", "bert_config.json", "vocab.txt"):
        if (GOLDEN / name / file).is_file():
            (folder / file).write_bytes((GOLDEN / name / file).read_bytes())
