import keras
import numpy as np
import pytest

from nlpgen import Bert, BertConfig, MaskedLM, NextSentence
from nlpgen.checkpoints import Part, dump_weights, load_weights, torch_name, unnamed_weights
from nlpgen.checkpoints.hugging_face import Conv1D, Names, Source, tf_name
from nlpgen.errors import NonFiniteWeights, WeightsMismatch
from tests.helpers import SMALL, array


@pytest.fixture
def model():
    model = MaskedLM(Bert(BertConfig(**SMALL)))
    model.build()
    return model


def test_every_weight_is_named(model):
    assert unnamed_weights(model) == []
    assert len(dump_weights(model)) == len(model.weights)
    conditional = Bert(BertConfig(**SMALL, condition_size=4, condition_hidden_size=3))
    conditional.build()
    assert unnamed_weights(conditional) == []


def test_dump_is_the_inverse_of_load(model):
    generator = np.random.default_rng(0)
    tensors = {name: generator.normal(size=t.shape).astype("float32") for name, t in dump_weights(model).items()}
    assert load_weights(model, tensors) == tensors.keys()
    again = dump_weights(model)
    assert all(np.array_equal(again[name], tensors[name]) for name in tensors)


def test_all_problems_in_one_error_and_nothing_assigned(model):
    before = dump_weights(model)
    tensors = {name: t + 1 for name, t in before.items()}
    del tensors["bert/encoder/layer_1/output/dense/kernel"]
    tensors["cls/predictions/output_bias"] = np.zeros(49)
    with pytest.raises(WeightsMismatch) as error:
        load_weights(model, tensors)
    message = str(error.value)
    assert "2 weights" in message
    assert "blocks.1.down.kernel: the checkpoint has no `bert/encoder/layer_1/output/dense/kernel`" in message
    assert "head.bias: expected shape (50,), but `cls/predictions/output_bias` has (49,)" in message
    after = dump_weights(model)
    assert all(np.array_equal(after[name], before[name]) for name in before)


class Reads(dict):
    """Tensors that know their shapes, and which of them were read."""

    read = ()

    def shape(self, name):
        return super().__getitem__(name).shape

    def __getitem__(self, name):
        self.read = (*self.read, name)
        return super().__getitem__(name)


def test_tensors_are_read_once_each_and_only_if_all_fit(model):
    tensors = Reads(dump_weights(model))
    assert sorted(load_weights(model, tensors)) == list(tensors.read) == sorted(tensors)
    wrong = Reads(tensors | {"cls/predictions/output_bias": np.zeros(49)})
    with pytest.raises(WeightsMismatch):
        load_weights(model, wrong)
    assert wrong.read == ()

    fused = Fused()
    fused.build()
    stored = Reads({"qkv/kernel": np.ones((4, 12)), "qkv/bias": np.ones(12)})
    load_weights(fused, stored)
    assert stored.read == ("qkv/bias", "qkv/kernel")
    with pytest.raises(WeightsMismatch, match=r"expected shape \(4, 12\), but `qkv/kernel` has \(4, 13\)"):
        load_weights(fused, Reads({"qkv/kernel": np.ones((4, 13)), "qkv/bias": np.ones(12)}))


def test_not_finite_weights_are_counted(model):
    tensors = dump_weights(model)
    tensors["cls/predictions/output_bias"][[3, 4]] = np.nan, np.inf
    with pytest.raises(NonFiniteWeights, match="output_bias: 2 of 50 values"):
        load_weights(model, tensors)
    load_weights(model, tensors, check_finite=False)


def test_transposed_and_parts():
    model = NextSentence(Bert(BertConfig(**SMALL)))
    model.build()
    weights = dump_weights(model)["cls/seq_relationship/output_weights"]
    assert weights.shape == (2, 16)
    np.testing.assert_array_equal(weights.T, array(model.classifier.kernel))

    fused = Fused()
    fused.build()
    stored = np.arange(48, dtype="float32").reshape(4, 12)
    load_weights(fused, {"qkv/kernel": stored, "qkv/bias": np.arange(12.0)})
    np.testing.assert_array_equal(array(fused.key.kernel), stored[:, 4:8])
    np.testing.assert_array_equal(dump_weights(fused)["qkv/kernel"], stored)


class Fused(keras.Model):
    """A model whose checkpoint stores three projections as one."""

    checkpoint_names = {name: Part("qkv", i, 3) for i, name in enumerate(("query", "key", "value"))}

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (keras.layers.Dense(4) for _ in range(3))

    def build(self, input_shape=None):
        for layer in (self.query, self.key, self.value):
            layer.build((None, 4))


def test_torch_names_and_back(model):
    names = [*dump_weights(model), "bert/pooler/dense/kernel", "cls/seq_relationship/output_weights"]
    assert [tf_name(torch_name(name)) for name in names] == names


def test_a_table_of_pytorch_names():
    """A prefix, a number with zeros before it, parts of a kernel; what no row names follows the rule."""
    names = Names({"bert/": "nezha.", "newslm/layer{i:02d}/key_layer": Conv1D("h.{i}.attn.c_attn", 1, 3)})
    kernel = "encoder/layer_1/attention/self/query/kernel"
    assert names.source(f"bert/{kernel}") == Source("nezha.encoder.layer.1.attention.self.query.weight", True)
    assert names.source("bert/embeddings/word_embeddings") == Source("nezha.embeddings.word_embeddings.weight")
    assert names.source("cls/predictions/output_bias") == Source("cls.predictions.bias")
    assert names.source("newslm/layer07/key_layer/kernel") == Source("h.7.attn.c_attn.weight", False, 1, 3)
    assert names.source("newslm/layer12/key_layer/bias") == Source("h.12.attn.c_attn.bias", False, 1, 3)
