"""What can be told without a second device; tests/examples/test_pretrain.py trains on two devices and machines."""

import keras
import pytest

from nlpgen.errors import InputError
from nlpgen.training import share_batches


def test_one_device_is_the_whole_batch_and_changes_nothing():
    assert share_batches() == (0, 1)
    assert keras.distribution.distribution() is None


@pytest.mark.backends
def test_what_cannot_be_shared_is_refused():
    if keras.config.backend() != "jax":
        with pytest.raises(InputError, match="KERAS_BACKEND=jax"):
            share_batches(devices=2)
        return
    with pytest.raises(InputError, match="100 devices were asked for, but there are"):
        share_batches(devices=100)
    for machines in ("localhost,2,0", "localhost:99,2,2", "localhost:99,2", "localhost:99,two,0"):
        with pytest.raises(InputError, match=f"INDEX below COUNT. Received: '{machines}'"):
            share_batches(machines=machines)
