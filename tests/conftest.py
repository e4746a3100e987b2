import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from tests.helpers import GOLDEN


@pytest.fixture(scope="session")
def embedded():
    """The embedded masked language model."""
    from nlpgen import MaskedLM

    return MaskedLM.from_pretrained("bert-tiny-zh")


@pytest.fixture
def bert_folder():
    """A small random BERT in TensorFlow's form, with all its heads."""
    return GOLDEN / "b4k_bert"
