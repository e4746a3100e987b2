"""Whether every model hears from Keras that it is trained: otherwise `fit` runs without dropout, and nobody is told."""

import inspect

import keras
import numpy as np
import pytest

from nlpgen import MaskedLM
from nlpgen.prompts.prompt_model import PromptModel
from nlpgen.prompts.verbalizer import plan
from tests.helpers import array
from tests.small_models import MAIN, inputs_of, small_model

pytestmark = pytest.mark.backends
RATES = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5, "attention_dropout": 0.5}


def _subclasses(cls):
    return {cls}.union(*(_subclasses(subclass) for subclass in cls.__subclasses__()))


def test_every_model_can_be_told_that_it_is_trained():
    """Keras' `fit` passes `training` only where `call` takes it; dropout is off in all layers below otherwise."""
    models = [cls for cls in _subclasses(keras.Model) if "call" in vars(cls) and cls.__module__.startswith("nlpgen.")]
    assert len(models) >= 10
    assert [cls.__name__ for cls in models if "training" not in inspect.signature(cls.call).parameters] == []


@pytest.mark.parametrize(("name", "head"), MAIN, ids=[name for name, _ in MAIN])
def test_dropout_is_on_in_training_only(name, head):
    """By `stateless_call`, which is what `fit` uses on JAX; the other backends use `__call__`."""
    model = small_model(name, head, **RATES)
    _check(model, inputs_of(model))


def test_a_prompt_model_drops_out_too():
    masked_lm = small_model("bert", "masked_lm", **RATES)
    assert isinstance(masked_lm, MaskedLM)
    found = plan([[5], [6]], mask_id=4)
    table = {
        "clozes": found.cloze,
        "slots": found.slot,
        "tokens": np.array([[0], [1]], "int32"),
        "weights": found.weight,
    }
    table |= {"scale": np.ones(2, "float32"), "bias": np.zeros(2, "float32"), "labels": np.arange(2, dtype="int32")}
    inputs = {f"word_{name}": np.stack([np.asarray(x)] * 2) for name, x in table.items()}
    inputs |= {"token_ids": inputs_of(masked_lm)["token_ids"][:, None], "slots": np.array([[[1]], [[2]]], "int32")}
    model = PromptModel(masked_lm, 2, columns=[5, 6], exact=found.is_exact)
    model.build()
    _check(model, inputs)


def _check(model, inputs):
    keras.utils.set_random_seed(0)

    def output(training):
        state = model.trainable_variables, model.non_trainable_variables
        return array(model.stateless_call(*([v.value for v in vs] for vs in state), inputs, training=training)[0])

    np.testing.assert_array_equal(output(False), array(model(inputs)))
    assert not np.array_equal(output(True), output(False))
