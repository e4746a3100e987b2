"""The contract of ALBERT, ELECTRA, ERNIE and RoBERTa, what is special in each, and transformers as a peer."""

import json
import re
from contextlib import nullcontext

import numpy as np
import pytest

from nlpgen import (
    Albert,
    AlbertConfig,
    Bert,
    BertConfig,
    Electra,
    ElectraConfig,
    ElectraGenerator,
    Ernie,
    ErnieConfig,
    MaskedLM,
    NextSentence,
    PooledEncoder,
    ReplacedTokenDetector,
    Roberta,
    RobertaConfig,
)
from nlpgen.checkpoints import dump_weights, open_folder, torch_name
from nlpgen.checkpoints.safetensors import WEIGHTS, write_safetensors
from nlpgen.checkpoints.tensorflow import write_tensorflow
from nlpgen.errors import CheckpointWarning, ConfigError, InputError, WeightsMismatch
from nlpgen.models.inspect import describe
from tests.helpers import GOLDEN, IDS, SEGMENTS, SMALL, array, assert_close, check_model, random_weights

X = {"token_ids": IDS, "segment_ids": SEGMENTS}
TASKS = np.array([[0, 1, 2, 0, 1, 0, 0], [2, 2, 2, 1, 1, 0, 0]])
NARROW = SMALL | {"embedding_size": 8}
MODELS = {
    "factorized BERT": lambda dtype=None: MaskedLM(Bert(BertConfig(**NARROW), dtype=dtype)),
    "ALBERT": lambda dtype=None: MaskedLM(Albert(AlbertConfig(**NARROW), dtype=dtype)),
    "ALBERT of two groups": lambda dtype=None: Albert(
        AlbertConfig(**NARROW | {"num_hidden_layers": 4}, num_hidden_groups=2), dtype=dtype
    ),
    "ALBERT with RealFormer's scores": lambda dtype=None: Albert(
        AlbertConfig(**NARROW, residual_attention_scores=True), dtype=dtype
    ),
    "ELECTRA": lambda dtype=None: ReplacedTokenDetector(Electra(ElectraConfig(**NARROW), dtype=dtype)),
    "ELECTRA's generator": lambda dtype=None: MaskedLM(ElectraGenerator(ElectraConfig(**NARROW), dtype=dtype)),
    "ERNIE": lambda dtype=None: MaskedLM(Ernie(ErnieConfig(**SMALL, use_task_id=True), dtype=dtype)),
    "RoBERTa": lambda dtype=None: MaskedLM(Roberta(RobertaConfig(**SMALL, pad_token_id=0), dtype=dtype)),
}


def built(model):
    model.build()
    return random_weights(model)


@pytest.mark.backends
@pytest.mark.parametrize("name", MODELS)
def test_contract(name, tmp_path):
    model = MODELS[name]()
    model.build()
    check_model(model, tmp_path)


@pytest.mark.backends
def test_tasks_of_ernie():
    model = built(Ernie(ErnieConfig(**SMALL, use_task_id=True)))
    out = array(model(X))
    np.testing.assert_array_equal(array(model({**X, "task_ids": np.zeros_like(IDS)})), out)
    assert np.abs(array(model({**X, "task_ids": TASKS})) - out).max() > 0.1


# Ours, transformers' class, further inputs, and which of its outputs is ours.
PEERS = [
    (MODELS["ELECTRA"], "ElectraForPreTraining", {}, "logits"),
    (lambda: ReplacedTokenDetector(Electra(ElectraConfig(**SMALL))), "ElectraForPreTraining", {}, "logits"),
    (MODELS["ELECTRA's generator"], "ElectraForMaskedLM", {}, "logits"),
    (lambda: PooledEncoder(MODELS["ALBERT of two groups"]()), "AlbertModel", {}, "pooler_output"),
    (MODELS["ALBERT"], "AlbertForMaskedLM", {}, "logits"),
    (lambda: NextSentence(Albert(AlbertConfig(**NARROW))), "AlbertForPreTraining", {}, "sop_logits"),
    (MODELS["ERNIE"], "ErnieForMaskedLM", {"task_ids": TASKS}, "logits"),
    (lambda: NextSentence(Ernie(ErnieConfig(**SMALL))), "ErnieForNextSentencePrediction", {}, "logits"),
    (lambda: MaskedLM(Roberta(RobertaConfig(**SMALL, pad_token_id=3))), "RobertaForMaskedLM", {}, "logits"),
    (lambda: PooledEncoder(Roberta(RobertaConfig(**SMALL))), "RobertaModel", {}, "pooler_output"),
]


@pytest.mark.parametrize(("make", "name", "further", "output"), PEERS, ids=[f"{peer[1]}-{peer[3]}" for peer in PEERS])
def test_transformers_reads_what_we_write(make, name, further, output, tmp_path):
    """Padding of RoBERTa stands in the middle of a text here, where the positions must not count it."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = built(make())
    model.save_pretrained(tmp_path / "out", format="huggingface")
    peer, info = getattr(transformers, name).from_pretrained(tmp_path / "out", output_loading_info=True)
    # A head that was not saved alone.
    assert {key for key in info["missing_keys"] if not key.startswith("predictions.")} == set()
    assert not info["unexpected_keys"]
    assert peer.config.architectures == [name]
    inputs = {
        "input_ids": IDS,
        "token_type_ids": SEGMENTS,
        "attention_mask": np.not_equal(IDS, model.backbone.config.pad_token_id),
        **{key.replace("_ids", "_type_ids"): value for key, value in further.items()},
    }
    with torch.no_grad():
        out = peer.eval()(**{key: torch.tensor(value).long() for key, value in inputs.items()})[output]
    assert_close(array(model({**X, **further})), out)
    assert_close(array(type(model).from_pretrained(tmp_path / "out")({**X, **further})), out)


@pytest.mark.backends
def test_albert_that_shares_less(tmp_path):
    """Trap 17: as many groups as wanted, which are then trained and saved each by itself."""
    shared = MaskedLM.from_pretrained(GOLDEN / "b4k_albert")
    model = MaskedLM.from_pretrained(GOLDEN / "b4k_albert", num_hidden_groups=2)
    assert len(model.backbone.blocks) == 2
    np.testing.assert_array_equal(array(model(X)), array(shared(X)))
    random_weights(model.backbone.blocks[1])
    out = array(model(X))
    assert np.abs(out - array(shared(X))).max() > 0.1
    for format in ("nlpgen", "huggingface", "tensorflow"):
        model.save_pretrained(tmp_path / format, format=format)
        np.testing.assert_array_equal(array(MaskedLM.from_pretrained(tmp_path / format)(X)), out)
    with pytest.raises(ConfigError) as error:
        MaskedLM.from_pretrained(tmp_path / "nlpgen", num_hidden_groups=3, num_hidden_layers=1)
    assert "`num_hidden_groups` must be a multiple of the 2 that it has. Received: 3" in str(error.value)
    assert "`num_hidden_layers` must be 2, of 2 groups. Received: 1" in str(error.value)


@pytest.mark.parametrize(("layers", "groups"), [(4, 3), (2, 6), (4, 12)])
def test_albert_whose_groups_do_not_divide_its_layers(layers, groups, tmp_path):
    """transformers chooses the group of a layer by the same rule; it keeps groups that serve none, and we do not."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    sizes = NARROW | {"num_hidden_layers": layers, "hidden_act": "gelu"}
    peer = transformers.AlbertForMaskedLM(transformers.AlbertConfig(**sizes, num_hidden_groups=groups)).eval()
    generator = np.random.default_rng(0)
    inputs = {"input_ids": IDS, "token_type_ids": SEGMENTS, "attention_mask": IDS != 0}
    inputs = {name: torch.tensor(value).long() for name, value in inputs.items()}
    with torch.no_grad():
        for name, weight in peer.named_parameters():
            centre = 1.0 if re.search(r"(?i)norm\.weight", name) else 0.0
            weight.copy_(torch.tensor(generator.normal(centre, 0.3, weight.shape)))
        expected = peer(**inputs).logits.numpy()
    peer.save_pretrained(tmp_path / "theirs")
    idle = pytest.warns(CheckpointWarning, match=f"{16 * (groups - layers)} tensors .* are no part of MaskedLM")
    with idle if groups > layers else nullcontext():
        model = MaskedLM.from_pretrained(tmp_path / "theirs")
    assert len(model.backbone.blocks) == model.backbone.config.num_hidden_groups == min(groups, layers)
    assert_close(array(model(X)), expected)
    model.save_pretrained(tmp_path / "ours", format="huggingface")
    again = transformers.AlbertForMaskedLM.from_pretrained(tmp_path / "ours").eval()
    with torch.no_grad():
        assert_close(again(**inputs).logits, expected)


def test_albert_as_google_s_code_writes_it_with_more_groups_than_layers(tmp_path):
    """`albert_config_tiny_google_fast.json` of albert_zh: 4 layers, which have the groups 0, 3, 6 and 9 of 12."""
    config = AlbertConfig(**NARROW | {"num_hidden_layers": 4}, num_hidden_groups=4)
    model = built(MaskedLM(Albert(config)))
    own = dump_weights(model)
    fast = {re.sub(r"group_(\d)", lambda found: f"group_{3 * int(found[1])}", name): own[name] for name in own}
    assert sum("group_9" in name for name in fast) == 16
    write_tensorflow(tmp_path, fast)
    (tmp_path / "albert_config.json").write_text(json.dumps(config.to_dict() | {"num_hidden_groups": 12}))
    np.testing.assert_array_equal(array(MaskedLM.from_pretrained(tmp_path, dtype="auto")(X)), array(model(X)))
    found = describe(tmp_path)
    assert (found.architecture, found.missing) == ("Albert", [])
    assert None not in [tensor["weight"] for tensor in found.tensors.values()]


@pytest.fixture
def brightmart(tmp_path):
    """A small ALBERT as `albert_tiny_zh` of brightmart/albert_zh, and its tensors."""
    generator = np.random.default_rng(0)

    def draw(*shape):
        return generator.normal(0, 0.3, shape).astype("float32")

    tensors = {
        "bert/embeddings/word_embeddings": draw(284, 8),
        "bert/embeddings/word_embeddings_2": draw(8, 16),
        "bert/embeddings/token_type_embeddings": draw(2, 16),
        "bert/embeddings/position_embeddings": draw(20, 16),
        "cls/predictions/output_bias": draw(284),
        "cls/seq_relationship/output_weights": draw(2, 16),
        "cls/seq_relationship/output_bias": draw(2),
    }
    layer = "bert/encoder/layer_shared"
    scopes = [f"{layer}/attention/self/{name}" for name in ("query", "key", "value")]
    scopes += [f"{layer}/attention/output/dense", "bert/pooler/dense", "cls/predictions/transform/dense"]
    for scope in scopes:
        tensors |= {f"{scope}/kernel": draw(16, 16), f"{scope}/bias": draw(16)}
    tensors |= {f"{layer}/intermediate/dense/kernel": draw(16, 32), f"{layer}/intermediate/dense/bias": draw(32)}
    tensors |= {f"{layer}/output/dense/kernel": draw(32, 16), f"{layer}/output/dense/bias": draw(16)}
    norms = ["bert/embeddings", f"{layer}/attention/output", f"{layer}/output", "cls/predictions/transform"]
    for scope in norms:
        tensors |= {f"{scope}/LayerNorm/gamma": 1 + draw(16), f"{scope}/LayerNorm/beta": draw(16)}
    config = SMALL | {"vocab_size": 284, "embedding_size": 8, "num_hidden_layers": 3, "ln_type": "postln"}
    (tmp_path / "albert_config_tiny.json").write_text(json.dumps(config))
    write_tensorflow(tmp_path, tensors)
    return tmp_path, tensors


def test_brightmart_names_are_those_of_the_release(brightmart):
    """The published index of `albert_tiny_zh`, as far as the names go."""
    _, tensors = brightmart
    released = """
        bert/embeddings/LayerNorm/beta bert/embeddings/LayerNorm/gamma bert/embeddings/position_embeddings
        bert/embeddings/token_type_embeddings bert/embeddings/word_embeddings bert/embeddings/word_embeddings_2
        bert/encoder/layer_shared/attention/output/LayerNorm/beta
        bert/encoder/layer_shared/attention/output/LayerNorm/gamma
        bert/encoder/layer_shared/attention/output/dense/bias bert/encoder/layer_shared/attention/output/dense/kernel
        bert/encoder/layer_shared/attention/self/key/bias bert/encoder/layer_shared/attention/self/key/kernel
        bert/encoder/layer_shared/attention/self/query/bias bert/encoder/layer_shared/attention/self/query/kernel
        bert/encoder/layer_shared/attention/self/value/bias bert/encoder/layer_shared/attention/self/value/kernel
        bert/encoder/layer_shared/intermediate/dense/bias bert/encoder/layer_shared/intermediate/dense/kernel
        bert/encoder/layer_shared/output/LayerNorm/beta bert/encoder/layer_shared/output/LayerNorm/gamma
        bert/encoder/layer_shared/output/dense/bias bert/encoder/layer_shared/output/dense/kernel
        bert/pooler/dense/bias bert/pooler/dense/kernel cls/predictions/output_bias
        cls/predictions/transform/LayerNorm/beta cls/predictions/transform/LayerNorm/gamma
        cls/predictions/transform/dense/bias cls/predictions/transform/dense/kernel
        cls/seq_relationship/output_bias cls/seq_relationship/output_weights
    """
    assert tensors.keys() == set(released.split())


def test_brightmart_is_bert_of_one_layer_repeated(brightmart, tmp_path):
    """transformers' BERT is given the projected token vectors, and its transform is projected back and compared with
    the narrow table, as run_pretraining.py of albert_zh does."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    folder, tensors = brightmart
    peer = transformers.BertForPreTraining(transformers.BertConfig(**SMALL | {"num_hidden_layers": 3})).eval()
    ours = {
        torch_name(name.replace("layer_shared", f"layer_{i}")): torch.tensor(t.T if name.endswith("kernel") else t)
        for name, t in tensors.items()
        for i in range(3)
        if "word_embeddings" not in name and name != "cls/predictions/output_bias"
    }
    missing, unexpected = peer.load_state_dict(ours, strict=False)
    assert not unexpected
    assert {name for name in missing if "word_embeddings" not in name} == {
        "cls.predictions.bias",
        "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias",
    }
    table, factor = (tensors[f"bert/embeddings/word_embeddings{end}"] for end in ("", "_2"))
    with torch.no_grad():
        vectors = torch.tensor(table[IDS] @ factor)
        hidden = peer.bert(
            inputs_embeds=vectors, token_type_ids=torch.tensor(SEGMENTS).long(), attention_mask=torch.tensor(IDS != 0)
        )
        follows = peer.cls.seq_relationship(hidden.pooler_output).numpy()
        transformed = peer.cls.predictions.transform(hidden.last_hidden_state).numpy()
    logits = transformed @ factor.T @ table.T + tensors["cls/predictions/output_bias"]

    model = MaskedLM.from_pretrained(folder)
    assert isinstance(model.backbone, Albert)
    assert_close(array(model(X)), logits)
    assert_close(array(NextSentence.from_pretrained(folder)(X)), follows)
    found = describe(folder)
    assert (found.heads, found.missing) == (["masked_lm", "pooler", "next_sentence"], [])
    assert None not in [tensor["weight"] for tensor in found.tensors.values()]
    for format in ("nlpgen", "huggingface", "tensorflow"):
        model.save_pretrained(tmp_path / format, format=format)
        assert_close(array(MaskedLM.from_pretrained(tmp_path / format)(X)), logits)
    part = MaskedLM.from_pretrained(folder, keep_tokens=list(range(100)), num_hidden_groups=3)
    assert_close(array(part(X)), logits[..., :100])


def test_layouts_of_brightmart_that_compute_something_else(brightmart):
    folder, _ = brightmart
    path = folder / "albert_config_tiny.json"
    path.write_text(path.read_text().replace("postln", "preln"))
    with pytest.raises(ConfigError, match=r"'preln'.*norms stand before each part.*albert_\*_zh_google"):
        MaskedLM.from_pretrained(folder)
    path.write_text(path.read_text().replace("preln", "postln"))
    grouped = dump_weights(built(Albert(AlbertConfig(**NARROW))))
    name = "bert/encoder/transformer/group_0/inner_group_0/ffn_1/intermediate/dense/kernel"
    grouped[name] = grouped[name].reshape(4, 4, 32)
    write_tensorflow(folder, grouped)
    with pytest.raises(ConfigError, match="feed-forward layers are split in groups"):
        Albert.from_pretrained(folder)


def test_a_release_of_electra_holds_both_models(tmp_path):
    """Names as in google-research/electra: the generator has the discriminator's embeddings and its own widths."""
    both = ElectraConfig(**SMALL)
    small = both.replace(hidden_size=128, num_attention_heads=2, intermediate_size=24, embedding_size=16)
    detector = built(ReplacedTokenDetector(Electra(both)))
    generator = MaskedLM(ElectraGenerator(small))
    generator.build()
    random_weights(generator, seed=1)
    for name in ("token", "segment", "position", "norm"):
        theirs, ours = (getattr(model.backbone.embeddings, name) for model in (generator, detector))
        theirs.set_weights(ours.get_weights())
    tensors = dump_weights(generator) | dump_weights(detector)
    assert {name.split("/")[0] for name in tensors} == {
        "electra",
        "generator",
        "generator_predictions",
        "discriminator_predictions",
    }
    assert "generator/embeddings_project/kernel" in tensors
    (tmp_path / "config.json").write_text(json.dumps(both.to_dict()))
    write_tensorflow(tmp_path, tensors)
    found = MaskedLM.from_pretrained(tmp_path)  # a warning of what the other model has would fail
    assert found.backbone.config == small
    np.testing.assert_array_equal(array(found(X)), array(generator(X)))
    np.testing.assert_array_equal(array(ReplacedTokenDetector.from_pretrained(tmp_path)(X)), array(detector(X)))
    assert type(ElectraGenerator.from_pretrained(tmp_path)) is ElectraGenerator
    said = describe(tmp_path)
    assert (said.architecture, said.heads, said.others) == (
        "Electra",
        ["replaced_tokens"],
        {"ElectraGenerator": ["masked_lm"]},
    )
    assert "heads: replaced_tokens (ReplacedTokenDetector)\nalso ElectraGenerator, heads: masked_lm (MaskedLM)" in str(
        said
    )
    assert None not in [tensor["weight"] for tensor in said.tensors.values()]


@pytest.mark.parametrize("format", ["nlpgen", "huggingface", "tensorflow"])
def test_electra_saved_alone(format, tmp_path):
    for name, cls in (("ELECTRA", ReplacedTokenDetector), ("ELECTRA's generator", MaskedLM)):
        model = built(MODELS[name]())
        model.save_pretrained(tmp_path / "out", format=format)
        again = cls.from_pretrained(tmp_path / "out")
        assert again.backbone.config == model.backbone.config
        np.testing.assert_array_equal(array(again(X)), array(model(X)))


@pytest.mark.parametrize(
    ("cls", "folder", "message"),
    [
        (MaskedLM, "hf_electra_disc", r"Electra has no head 'masked_lm'. It has: replaced_tokens"),
        (ReplacedTokenDetector, "hf_electra_mlm", r"ElectraGenerator has no head 'replaced_tokens'. It has: masked_lm"),
        (PooledEncoder, "hf_electra_disc", r"no head 'pooler'. It has: replaced_tokens"),
        (NextSentence, "hf_roberta_mlm", r"no head 'next_sentence'. It has: masked_lm .*, pooler"),
    ],
)
def test_a_head_that_is_not_there(cls, folder, message):
    with pytest.raises(ConfigError, match=message):
        cls.from_pretrained(GOLDEN / folder)


def test_ernie_under_the_names_of_bert(tmp_path):
    """As ported before transformers had it; a `Bert` would leave the tasks out, so it does not load it."""
    model = built(MaskedLM(Ernie(ErnieConfig(**SMALL, use_task_id=True))))
    model.save_pretrained(tmp_path / "out", format="huggingface")
    file = open_folder(tmp_path / "out").tensors._tensors
    renamed = {name.replace("ernie.", "bert."): np.asarray(file[name]) for name in file}
    write_safetensors(tmp_path / "out" / WEIGHTS, renamed)
    np.testing.assert_array_equal(array(MaskedLM.from_pretrained(tmp_path / "out")(X)), array(model(X)))
    config = tmp_path / "out" / "config.json"
    config.write_text(config.read_text().replace('"ernie"', '"bert"'))
    with pytest.raises(ConfigError, match="has model_type 'bert', but the tensors are named as those of 'ernie'"):
        MaskedLM.from_pretrained(tmp_path / "out")
    with pytest.raises(ConfigError, match=r"not those of a Bert. Use Ernie\."):
        Bert.from_pretrained(tmp_path / "out")


@pytest.mark.backends
def test_roberta_counts_positions_from_its_padding():
    model = built(Roberta(RobertaConfig(**SMALL)))
    assert model.longest == 18
    out = array(model({"token_ids": IDS[1:]}))
    np.testing.assert_array_equal(array(model({"token_ids": IDS[1:], "position_ids": np.arange(7)[None]})), out)
    table = array(model.embeddings.position.embeddings)
    table[:2] = 9  # rows of padding and before it
    model.embeddings.position.embeddings.assign(table)
    np.testing.assert_array_equal(array(model({"token_ids": IDS[1:]})), out)
    with pytest.raises(InputError, match=r"19 positions.*knows 18"):
        model({"token_ids": np.full((1, 19), 5)})


def test_roberta_whose_padding_moved_is_not_for_transformers(tmp_path):
    model = Roberta.from_pretrained(GOLDEN / "hf_roberta_mlm", keep_tokens=[5, 6, 0, 7, 8])
    with pytest.raises(InputError, match=r"`pad_token_id`, which is 2 here.*Keep \[PAD\] at id 0"):
        model.save_pretrained(tmp_path / "x", format="huggingface")
    model.save_pretrained(tmp_path / "out")
    x = {"token_ids": np.array([[0, 1, 3, 2]])}
    np.testing.assert_array_equal(array(Roberta.from_pretrained(tmp_path / "out")(x)), array(model(x)))


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (AlbertConfig, {"inner_group_num": 2}, "`inner_group_num` must be 1"),
        (AlbertConfig, {"num_hidden_groups": 3}, "`num_hidden_groups` must be no more than .* Received: 3 and 2"),
        (AlbertConfig, {"num_hidden_groups": 0}, "`num_hidden_groups` must be from 1"),
        (AlbertConfig, {"embedding_size": 0}, "`embedding_size` must be from 1"),
        (ElectraConfig, {"application": "unilm"}, "`application` must be one of encoder. Received: 'unilm'"),
        (ErnieConfig, {"task_type_vocab_size": 0}, "`task_type_vocab_size` must be from 1"),
        (RobertaConfig, {"hierarchical_position": 0.4}, "`hierarchical_position` is not for RoBERTa"),
        (RobertaConfig, {"max_position_embeddings": 2}, "must be more than 2"),
    ],
)
def test_configs_are_checked(config, change, message):
    with pytest.raises(ConfigError, match=message):
        config.from_dict(SMALL | change)


def test_wrong_widths_are_listed():
    with pytest.raises(
        WeightsMismatch, match=r"embedding_projection.kernel: expected shape \(20, 48\).* has \(24, 48\)"
    ):
        Albert.from_pretrained(GOLDEN / "hf_albert_mlm", embedding_size=20)
