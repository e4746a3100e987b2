"""T5 as a model: the contract, the cache, its config, precision, and its uses."""

import keras
import numpy as np
import pytest
from keras import ops

from nlpgen import MT5, T5, CausalLM, MaskedLM, MT5Encoder, Seq2SeqLM, T5Config, T5Encoder
from nlpgen.errors import ConfigError, InputError
from tests.helpers import GOLDEN, IDS, SMALL, TARGET_IDS, array, assert_close, check_model, random_weights

SIZES = {name: size for name, size in SMALL.items() if name != "max_position_embeddings"}
GATED = {"hidden_act": ["gelu_tanh", "linear"], "tie_word_embeddings": False}
INPUTS = {"token_ids": IDS, "decoder_token_ids": TARGET_IDS}


def t5(cls=T5, dtype=None, **options):
    model = cls(T5Config(**SIZES, **options), dtype=dtype)
    model.build()
    return model


@pytest.mark.backends
@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (T5, {}),
        (T5, {"num_decoder_layers": 1, "attention_head_size": 6, "relative_attention_num_buckets": 4}),
        (MT5, {**GATED, "cross_position_bias": True}),
    ],
)
def test_contract(cls, options, tmp_path):
    model = Seq2SeqLM(t5(cls, **options))
    model.build()
    check_model(model, tmp_path, INPUTS)


@pytest.mark.backends
@pytest.mark.parametrize("cls", [T5Encoder, MT5Encoder])
def test_contract_of_the_encoder(cls, tmp_path):
    check_model(t5(cls), tmp_path, {"token_ids": IDS})


@pytest.mark.backends
@pytest.mark.parametrize("cross_position_bias", [False, True])
def test_with_a_cache_it_is_the_same(cross_position_bias):
    """A target read in three parts, in a cache longer than it is, padded on the left or not."""
    model = Seq2SeqLM(t5(**GATED, cross_position_bias=cross_position_bias))
    model.build()
    backbone = random_weights(model).backbone
    ids = np.random.default_rng(0).integers(10, 50, (2, 9))
    mask = np.ones((2, 12), dtype=bool)
    mask[1, :3] = False
    whole = array(model({"token_ids": IDS, "decoder_token_ids": ids, "decoder_padding_mask": mask[:, :9]}))
    source = backbone.source_keys_values(backbone.encode_source({"token_ids": IDS}))
    cache, parts = backbone.empty_cache(2, 12), []
    for part in (slice(0, 5), slice(5, 6), slice(6, 9)):
        inputs = {
            "decoder_token_ids": ids[:, part],
            "padding_mask": IDS != 0,
            "decoder_padding_mask": mask,
            "source_keys_values": source,
        }
        hidden, cache = backbone.encode_cached(backbone.embed_decoder(inputs), inputs, cache, part.start)
        parts.append(model.logits(hidden))
    together = array(ops.concatenate(parts, axis=1))
    assert_close(together[0], whole[0])
    assert_close(together[1, 3:], whole[1, 3:])


@pytest.mark.backends
def test_the_source_may_come_as_vectors():
    """Soft prompts and latent codes enter between `embed` and `encode`."""
    model = random_weights(t5())
    x = array(model.embed(INPUTS))
    assert_close(array(model.encode(x, INPUTS)), array(model(INPUTS)))
    longer = {**INPUTS, "padding_mask": np.concatenate([np.ones((2, 1)), IDS != 0], axis=1)}
    prompted = array(model.encode(np.concatenate([x[:, :1], x], axis=1), longer))
    assert prompted.shape == (2, 7, 16)
    assert np.abs(prompted - array(model(INPUTS))).max() > 1e-2


@pytest.mark.parametrize("options", [{}, GATED])
def test_logits_of_some_tokens(options):
    model = Seq2SeqLM(t5(**options))
    model.build()
    hidden = random_weights(model).backbone(INPUTS)
    assert_close(array(model.logits(hidden, np.array([7, 3]))), array(model.logits(hidden))[..., [7, 3]])


def test_the_encoder_of_a_model_stands_alone():
    model = random_weights(t5())
    np.testing.assert_array_equal(array(model.encoder({"token_ids": IDS})), array(model.encode_source(INPUTS)))


@pytest.mark.backends
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_finite_and_close(dtype):
    """Even where a whole row is padding, and scores are not scaled."""
    exact, half = (Seq2SeqLM(t5(dtype=policy, **GATED)) for policy in ("float32", dtype))
    for model in (exact, half):
        model.build()
        random_weights(model)
    padded = {"token_ids": np.zeros_like(IDS), "decoder_token_ids": np.zeros_like(IDS)}
    inputs = {name: np.concatenate([INPUTS[name], padded[name]]) for name in INPUTS}
    out = array(ops.cast(half(inputs), "float32"))
    assert np.isfinite(out).all()
    assert_close(out, array(exact(inputs)), tolerance=0.1)


@pytest.mark.backends
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_no_token_visible_gives_no_nan(dtype):
    nothing = np.zeros(IDS.shape, dtype=bool)
    model = random_weights(t5(dtype=dtype))
    out = model({**INPUTS, "padding_mask": nothing, "decoder_padding_mask": nothing})
    assert np.isfinite(array(ops.cast(out, "float32"))).all()


@pytest.mark.parametrize("shape", [(2, 7), (2, 7, 5), (2, 3, 16)])
def test_what_the_encoder_gave_has_a_place_for_each_token(shape):
    with pytest.raises(InputError, match=r"`source` must be .*, here \(2, 7, 16\)\. Received: shape \(2, "):
        t5()({**INPUTS, "source": np.ones(shape, "float32")})


def test_a_target_is_asked_for():
    with pytest.raises(InputError, match=r"give `token_ids` and `decoder_token_ids`. Received: token_ids.*T5Encoder"):
        t5()({"token_ids": IDS})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": ["gelu", "relu"]}, r"such a name and 'linear'. Received: \['gelu', 'relu'\]"),
        ({"hidden_act": [["gelu"], "linear"]}, r"such a name and 'linear'. Received: \[\['gelu'\], 'linear'\]"),
        ({"hidden_act": []}, r"`hidden_act` must be one of .* Received: \[\]"),
        ({"hidden_act": "geglu"}, "`hidden_act` must be one of gelu, .* Received: 'geglu'"),
        ({"relative_attention_num_buckets": 7}, "must be even and 4 or more. Received: 7"),
        ({"relative_attention_max_distance": 16}, "must be above half of .* Received: 16 and 32"),
        ({"num_attention_heads": 3}, "`hidden_size` must be a multiple of `num_attention_heads`"),
        ({"decoder_start_token_id": 50}, "`decoder_start_token_id` must be an id of the vocabulary. Received: 50"),
        ({"application": "lm"}, "T5Config has no field application. It has: vocab_size, "),  # bert4keras' trap 21
    ],
)
def test_wrong_configs(changes, message):
    with pytest.raises(ConfigError, match=message):
        T5Config(**SIZES).replace(**changes)


def test_other_heads_are_refused():
    for cls in (MaskedLM, CausalLM):
        with pytest.raises(ConfigError, match=r"T5 has no head '\w+'. It has: seq2seq_lm"):
            cls.from_pretrained(GOLDEN / "hf_t5_v1_0")
        with pytest.raises(ConfigError, match=r"T5Encoder has no head '\w+'. It has: none"):
            cls(t5(T5Encoder))
    with pytest.raises(ConfigError, match="says model_type 'mt5', but T5 reads 't5'"):
        T5.from_pretrained(GOLDEN / "hf_mt5")


def test_a_shared_encoder_is_saved_once(tmp_path):
    model = random_weights(t5())
    assert len(model.weights) == len({id(weight) for weight in model.weights})
    model.save(tmp_path / "t5.keras")
    again = keras.saving.load_model(tmp_path / "t5.keras")
    assert again.embeddings is again.encoder.embeddings
    np.testing.assert_array_equal(array(again(INPUTS)), array(model(INPUTS)))
