"""Several devices or machines that share each batch, through `keras.distribution`."""

import re

import keras

from nlpgen.errors import InputError

MACHINES = re.compile(r"(?P<address>[^,]+:\d+),(?P<count>\d+),(?P<index>\d+)")


def share_batches(devices=1, machines=None):
    """Let the devices of one machine, or all devices of several machines, share every batch from now on.

    To be called before anything else of Keras: weights that exist already stay where they are. Every machine runs the
    same program with the same seed, and gives `fit` its own part of each batch.

    Args:
        devices: how many of the machine's devices; with `machines`, how many there must be at least in all.
        machines: `"ADDRESS:PORT,COUNT,INDEX"`: where the first machine is to be found by the others, how many there
            are, and which one this is, from 0.

    Returns:
        `(index, count)`: which part of a batch is this machine's. Only machine 0 should write.

    Raises:
        InputError: if `machines` is not of that form, the backend is not JAX, or there are too few devices.
    """
    index, count = 0, 1
    if devices == 1 and machines is None:
        return index, count
    if keras.config.backend() != "jax":
        raise InputError("Several devices or machines need the JAX backend. Set KERAS_BACKEND=jax.")
    if machines is not None:
        match = MACHINES.fullmatch(machines)
        index, count = (int(match["index"]), int(match["count"])) if match else (0, 0)
        if not index < count:
            raise InputError(f"`machines` is ADDRESS:PORT,COUNT,INDEX with INDEX below COUNT. Received: {machines!r}")
        keras.distribution.initialize(match["address"], count, index)
    found = keras.distribution.list_devices()
    if len(found) < devices:
        raise InputError(f"{devices} devices were asked for, but there are {len(found)}: {', '.join(found)}.")
    shared = found[:devices] if count == 1 else found
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=shared, auto_shard_dataset=False))
    return index, count
