"""The Keras models of the heads: files, padding, losses, and transformers on the same weights."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from nlpgen import (
    Bert,
    BertConfig,
    MaskedLM,
    PooledEncoder,
    SequenceClassifier,
    SequenceTagger,
    SpanTagger,
    describe,
)
from nlpgen.checkpoints import dump_weights, load_weights, unnamed_weights
from nlpgen.errors import CheckpointWarning, ConfigError, InputError, WeightsMismatch
from nlpgen.models.classifier import SEQUENCE_POOLINGS
from tests.helpers import IDS, SEGMENTS, SMALL, array, assert_close, random_weights

X = {"token_ids": IDS, "segment_ids": SEGMENTS}
LABELS = ["财经", "体育", "科技"]
MODELS = {
    **{f"classifier {pooling}": (SequenceClassifier, {"pooling": pooling}) for pooling in SEQUENCE_POOLINGS},
    "softmax": (SequenceTagger, {"decoder": "softmax"}),
    "crf": (SequenceTagger, {"crf_lr_multiplier": 10.0, "max_length": 40}),
    "global_pointer": (SpanTagger, {"head_size": 8}),
    "efficient_global_pointer": (SpanTagger, {"decoder": "efficient_global_pointer", "head_size": 8}),
}
# Poolings without weights of their own are left out.
KINDS = [name for name, (_, own) in MODELS.items() if own.get("pooling") in (None, "pooler", "attention")]


def make(name, backbone=None, **options):
    cls, own = MODELS[name]
    model = cls(backbone or Bert(BertConfig(**SMALL)), LABELS, **own | options)
    model.build()
    return random_weights(model)


def outputs(model, x=X):
    return array(model({name: ops.convert_to_tensor(value) for name, value in x.items()}))


@pytest.mark.backends
@pytest.mark.parametrize("name", MODELS)
def test_contract(name, tmp_path):
    model = make(name)
    out = outputs(model)
    assert unnamed_weights(model) == []
    twin = type(model).from_config(model.get_config())
    twin.build()
    load_weights(twin, dump_weights(model))
    np.testing.assert_array_equal(outputs(twin), out)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(again), out)
    assert again.labels == LABELS

    # Padding and the rest of the batch change nothing.
    alone = outputs(model, {name: x[:1, :5] for name, x in X.items()})
    seen = out[:1] if out.ndim == 2 else out[:1, :5] if out.ndim == 3 else out[:1, :, :5, :5]
    assert_close(alone, seen)
    if out.ndim == 4:
        assert (out[0, :, 5:] == -1e9).all()
        assert (out[0, :, :, 5:] == -1e9).all()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("format", ["nlpgen", "huggingface"])
def test_folders(name, format, bert_folder, tmp_path):
    backbone = Bert.from_pretrained(bert_folder)
    model = make(name, backbone)
    if format == "huggingface" and name.startswith("classifier") and not name.endswith("pooler"):
        with pytest.raises(InputError, match="transformers would read this one"):
            model.save_pretrained(tmp_path / "out", format)
        return
    model.save_pretrained(tmp_path / "out", format)
    again = type(model).from_pretrained(tmp_path / "out")
    assert again.labels == LABELS
    assert again.tokenizer.get_config() == model.tokenizer.get_config()
    assert again.head_config() == model.head_config()
    np.testing.assert_array_equal(outputs(again), outputs(model))


def test_tensorflow_checkpoint(bert_folder, tmp_path):
    model = make("crf", Bert.from_pretrained(bert_folder))
    model.save_pretrained(tmp_path / "out", "tensorflow")
    again = SequenceTagger.from_pretrained(tmp_path / "out")
    np.testing.assert_array_equal(outputs(again), outputs(model))


@pytest.mark.parametrize("family", ["Bert", "Albert", "Ernie"])
@pytest.mark.parametrize(
    ("name", "task"), [("classifier pooler", "SequenceClassification"), ("softmax", "TokenClassification")]
)
def test_transformers(family, name, task, tmp_path):
    """What they write we read with equal outputs, and what we write they read."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    peer_class = getattr(transformers, f"{family}For{task}")
    theirs = peer_class(
        getattr(transformers, f"{family}Config")(
            **SMALL, id2label=dict(enumerate(LABELS)), label2id={x: i for i, x in enumerate(LABELS)}
        )
    ).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    theirs.save_pretrained(tmp_path / "theirs")
    inputs = torch.tensor(IDS).long(), torch.tensor(IDS != 0).long(), torch.tensor(SEGMENTS).long()
    with torch.no_grad():
        expected = theirs(*inputs).logits.numpy()
    ours = MODELS[name][0].from_pretrained(tmp_path / "theirs")
    assert ours.labels == LABELS
    visible = IDS != 0 if expected.ndim == 3 else np.ones(2, dtype=bool)
    assert_close(outputs(ours)[visible], expected[visible])
    ours.save_pretrained(tmp_path / "ours", "huggingface")
    back, info = peer_class.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert back.config.id2label == dict(enumerate(LABELS))
    with torch.no_grad():
        np.testing.assert_allclose(back.eval()(*inputs).logits.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("format", ["nlpgen", "huggingface", "tensorflow"])
@pytest.mark.parametrize(
    ("name", "head"),
    [("classifier pooler", "classifier"), ("softmax", "tagger"), ("crf", "tagger"), ("global_pointer", "span_tagger")],
)
def test_describe_names_the_head(name, head, format, tmp_path):
    make(name).save_pretrained(tmp_path / "out", format)
    found = describe(tmp_path / "out")
    assert found.heads == (["pooler", head] if head == "classifier" else [head])
    assert f"{head} ({MODELS[name][0].__name__})" in str(found)
    assert None not in {tensor["weight"] for tensor in found.tensors.values()}


@pytest.mark.parametrize("peer", ["Electra", "RoFormer", "Roberta", "Qwen2"])
def test_a_head_of_another_form_is_named(peer, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{peer}Config")(**SMALL | {"embedding_size": 16, "num_key_value_heads": 2})
    getattr(transformers, f"{peer}ForSequenceClassification")(config).save_pretrained(tmp_path)
    names = r"score\.weight" if peer == "Qwen2" else r"classifier\.dense\.weight, classifier\.out_proj\.weight"
    with pytest.raises(
        WeightsMismatch, match=rf"a head whose form SequenceClassifier does not read \({names}\): it reads"
    ):
        SequenceClassifier.from_pretrained(tmp_path)


def test_labels_that_hugging_face_leaves_out(bert_folder, tmp_path):
    model = SequenceClassifier(Bert.from_pretrained(bert_folder), ["a", "b"], "pooler")
    model.build()
    model.save_pretrained(tmp_path / "out", "huggingface")
    path = tmp_path / "out" / "config.json"
    config = json.loads(path.read_text())
    for field in ("id2label", "label2id", "head"):
        del config[field]
    path.write_text(json.dumps(config))
    again = SequenceClassifier.from_pretrained(tmp_path / "out")
    assert again.labels == ["LABEL_0", "LABEL_1"]
    assert again.pooling == "pooler"
    for wrong in ({"0": "a"}, {"0": "a", "2": "b"}, {"0": "a", "1": "a"}, ["a", "b"]):
        path.write_text(json.dumps(config | {"id2label": wrong}))
        with pytest.raises(ConfigError, match="`id2label` must name different labels"):
            SequenceClassifier.from_pretrained(tmp_path / "out")
    path.write_text(json.dumps(config | {"head": {"poolin": "cls"}}))
    with pytest.raises(ConfigError, match="`head` must be a table of pooling, dropout, max_length"):
        SequenceClassifier.from_pretrained(tmp_path / "out")


@pytest.mark.parametrize("cls", [SequenceClassifier, SequenceTagger, SpanTagger])
def test_a_folder_without_the_head(cls, bert_folder):
    with pytest.raises(WeightsMismatch, match=r"with nlpgen\.T(ext|oken)Classifier"):
        cls.from_pretrained(bert_folder)


def test_a_masked_lm_says_that_it_leaves_the_classifier_out(bert_folder, tmp_path):
    make("softmax", Bert.from_pretrained(bert_folder)).save_pretrained(tmp_path / "out")
    with pytest.warns(CheckpointWarning, match="2 tensors .* were not read: classifier/bias, classifier/kernel"):
        Bert.from_pretrained(tmp_path / "out")
    with pytest.raises(WeightsMismatch, match="no masked-language-model head"):
        MaskedLM.from_pretrained(tmp_path / "out")


def test_wrong_options():
    backbone = Bert(BertConfig(**SMALL))
    for cls, options, message in (
        (SequenceClassifier, {"labels": LABELS, "pooling": "avg"}, "`pooling` must be one of 'pooler'"),
        (SequenceClassifier, {"labels": ["a", "a"]}, "different strings"),
        (SequenceTagger, {"labels": [1, 2]}, "different strings"),
        (SequenceTagger, {"labels": LABELS, "decoder": "viterbi"}, "'softmax' or 'crf'"),
        (SpanTagger, {"labels": LABELS, "decoder": "crf"}, "'global_pointer'"),
    ):
        with pytest.raises(InputError, match=message):
            cls(backbone, **options)


@pytest.mark.backends
@pytest.mark.parametrize("decoder", ["softmax", "crf"])
@pytest.mark.parametrize("weights", [None, np.array([0.5, 2.0], dtype="float32")])
def test_loss_of_a_tagger(decoder, weights):
    """Written out: cross-entropy of the tokens that count, or the likelihood by all sequences (`test_crf`)."""
    model = make(decoder)
    logits = outputs(model).astype("float64")
    y = np.array([[-100, 0, 2, -100, -100, -100, -100], [-100, 1, 1, 2, 0, 1, -100]], dtype="int32")
    found = array(model.compute_loss(y=ops.convert_to_tensor(y), y_pred=logits, sample_weight=weights))
    rows = np.ones(2) if weights is None else weights
    if decoder == "softmax":
        log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        parts = [(-log[i, t, y[i, t]], rows[i]) for i, t in np.argwhere(y >= 0)]
    else:
        log_likelihood = array(model.crf(logits, np.maximum(y, 0), y >= 0))
        parts = [(-log_likelihood[i], rows[i]) for i in range(2)]
    values, counts = np.array(parts).T
    assert found == pytest.approx((values * counts).sum() / counts.sum(), rel=1e-5)


@pytest.mark.backends
def test_loss_of_a_span_tagger():
    model = make("global_pointer")
    scores = outputs(model).astype("float64")
    y = np.zeros_like(scores)
    y[0, 1, 1, 3] = y[0, 1, 2, 2] = y[1, 0, 4, 5] = 1
    expected = np.mean(
        [
            np.log1p(np.exp(s[t == 0]).sum()) + np.log1p(np.exp(-s[t == 1]).sum())
            for s, t in zip(scores.reshape(6, -1), y.reshape(6, -1), strict=True)
        ]
    )
    assert array(model.compute_loss(y=y, y_pred=scores)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.backends
@pytest.mark.parametrize("name", KINDS)
def test_every_weight_is_trained(name):
    model = make(name)
    out = outputs(model)
    y = {2: np.array([0, 2]), 3: np.where(IDS > 3, IDS % 3, -100), 4: (np.arange(out.size) % 7 == 0).reshape(out.shape)}
    before = [array(w) for w in model.trainable_weights]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True) if out.ndim == 2 else None
    model.compile(keras.optimizers.SGD(1.0), loss, jit_compile=False)
    model.fit(X, y[out.ndim].astype("float32" if out.ndim == 4 else "int32"), verbose=0)
    # Softmax does not see a key's bias; with the first token alone, the last queries of the others are not seen.
    still = [
        w.path
        for w, b in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(array(w), b) and not w.path.endswith("key/bias")
    ]
    assert still == []


@pytest.mark.backends
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dtype", ["float16", "mixed_bfloat16"])
def test_half_precision_is_finite_also_where_all_is_padding(name, dtype):
    model = make(name, Bert(BertConfig(**SMALL), dtype=dtype))
    out = model({"token_ids": np.zeros((2, 5), dtype="int32")})
    assert np.isfinite(array(ops.cast(out, "float32"))).all()


def test_a_pooler_is_that_of_the_checkpoint(bert_folder):
    pooled = PooledEncoder.from_pretrained(bert_folder)
    model = SequenceClassifier(pooled.backbone, LABELS, "pooler")
    model.build()
    model.pooler.set_weights(pooled.dense.get_weights())
    assert_close(array(model.vectors(X)), array(pooled(X)))
