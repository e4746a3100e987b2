"""First weights that follow a seed."""

import random
from contextlib import contextmanager


@contextmanager
def seeded(seed):
    """Within, initializers of Keras that are made without a seed draw it from this one; Python's own generator, which
    they take it from, is as before afterwards.
    """
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
