"""Every architecture in half precision: close to float32, and no NaN from a row of which nothing may be seen."""

import numpy as np
import pytest
from keras import ops

from tests.helpers import array, assert_close
from tests.small_models import MAIN, inputs_of, small_model


# bfloat16 has the range of float32: one backend is enough.
@pytest.mark.parametrize("dtype", [pytest.param("mixed_float16", marks=pytest.mark.backends), "mixed_bfloat16"])
@pytest.mark.parametrize(("name", "head"), MAIN)
def test_it_is_close_to_float32_and_finite_even_where_all_is_padding(name, head, dtype):
    exact, half = (small_model(name, head, policy, num_hidden_layers=1) for policy in ("float32", dtype))
    x = inputs_of(half)
    x = {name: np.concatenate([np.zeros_like(ids[:1]), ids]) for name, ids in x.items()}
    out = half(x)
    assert out.dtype != "float32"
    out = array(ops.cast(out, "float32"))
    assert np.isfinite(out).all()
    assert_close(out[1:], array(exact(x))[1:], 0.1)
