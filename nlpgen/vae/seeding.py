"""First weights that follow a seed."""

import random
from contextlib import contextmanager


@contextmanager
def seeded(seed):
    """Within, initializers of Keras that are made without a seed draw it from this one; Python's own generator, which
    they take it from, is as before afterwards. Not for several threads at once: that generator is the process's.
    """
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
