"""Every architecture in half precision, with a row of which nothing may be seen."""

import numpy as np
import pytest
from keras import ops

from tests.helpers import array
from tests.small_models import MAIN, inputs_of, small_model


# bfloat16 has the range of float32: one backend is enough.
@pytest.mark.parametrize("dtype", [pytest.param("mixed_float16", marks=pytest.mark.backends), "mixed_bfloat16"])
@pytest.mark.parametrize(("name", "head"), MAIN)
def test_it_is_finite_even_where_all_is_padding(name, head, dtype):
    model = small_model(name, head, dtype, num_hidden_layers=1)
    x = inputs_of(model)
    for ids in x.values():
        ids[0] = 0
    out = model(x)
    assert out.dtype != "float32"
    assert np.isfinite(array(ops.cast(out, "float32"))).all()
