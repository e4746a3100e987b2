import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from tests.helpers import GOLDEN, SHARED


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Skip what is marked `needs_data` where one of its files is absent."""
    paths = [path for mark in item.iter_markers("needs_data") for path in mark.args]
    missing = [path for path in paths if not (SHARED / path).exists()]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}, which {SHARED} has not")


@pytest.fixture(scope="session")
def embedded():
    """The embedded masked language model."""
    from nlpgen import MaskedLM

    return MaskedLM.from_pretrained("bert-tiny-zh")


@pytest.fixture
def bert_folder():
    """A small random BERT in TensorFlow's form, with all its heads."""
    return GOLDEN / "b4k_bert"
