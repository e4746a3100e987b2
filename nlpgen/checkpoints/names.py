"""Which tensor of a released checkpoint each weight of a model is.

A model says it in `checkpoint_names`, a table from attribute paths to scopes::

    "blocks.{i}.attention.query": "bert/encoder/layer_{i}/attention/self/query"

The left side is Python you could type (`model.blocks[i].attention.query`), the right side is what `nlpgen inspect`
prints. `{i}` counts over the list it follows. A layer stands for all its weights, which `LEAVES` names.
"""

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import keras
import numpy as np

from nlpgen.errors import NonFiniteWeights, WeightsMismatch

# How TensorFlow checkpoints name the weights of each kind of layer.
LEAVES = {
    keras.layers.Dense: {"kernel": "/kernel", "bias": "/bias"},
    keras.layers.LayerNormalization: {"gamma": "/gamma", "beta": "/beta"},
    keras.layers.Embedding: {"embeddings": ""},
}
SUFFIXES = sorted({suffix for leaves in LEAVES.values() for suffix in leaves.values()})
# Weights that no released checkpoint has: they keep their first value when a file does not have them.
OWN_LEAVES = {
    keras.layers.LayerNormalization: {
        "condition_hidden": "/condition_hidden",
        "condition_gamma": "/condition_gamma",
        "condition_beta": "/condition_beta",
    },
}


@dataclass(frozen=True)
class Part:
    """One of several equal parts of a tensor, split on its last axis.

    For checkpoints that store query, key and value as one matrix.
    """

    scope: str
    index: int
    count: int


@dataclass(frozen=True)
class Transposed:
    """A tensor stored with its two axes exchanged, as BERT stores the weights of next-sentence prediction."""

    scope: str


@dataclass(frozen=True)
class Row:
    """One weight of a model and the tensor that holds it."""

    path: str
    variable: object
    name: str
    entry: object
    optional: bool

    @property
    def tensor_shape(self):
        """The shape that the tensor must have."""
        shape = tuple(self.variable.shape)
        if isinstance(self.entry, Part):
            return (*shape[:-1], shape[-1] * self.entry.count)
        return shape[::-1] if isinstance(self.entry, Transposed) else shape

    def from_tensor(self, tensor):
        if isinstance(self.entry, Part):
            return np.split(tensor, self.entry.count, axis=-1)[self.entry.index]
        return tensor.T if isinstance(self.entry, Transposed) else tensor


def load_weights(model, checkpoint, check_finite=True, where="the checkpoint"):
    """Assign to every weight that `model.checkpoint_names` names, trainable or not.

    Nothing is assigned unless every tensor is there and has its shape. Then they are read and assigned one by one, so
    that the model is never in memory twice.

    Args:
        model: a built model.
        checkpoint: a mapping from tensor names to arrays; its `shape(name)`, if it has one, is asked instead of reading
            a tensor only to compare shapes.
        check_finite: whether NaN and infinity are refused.
        where: the checkpoint's name in messages.

    Returns:
        The set of tensor names that were read.

    Raises:
        WeightsMismatch: if tensors are missing or have another shape. The message lists them all, so that one run
            shows everything that is wrong.
        NonFiniteWeights: if tensors hold NaN or infinity. Only reading shows that, so the model then holds the values
            of the checkpoint, the bad ones too.
    """
    fitting, not_finite = _fitting_rows(model, checkpoint, where), []
    for name, group in groupby(sorted(fitting, key=attrgetter("name")), attrgetter("name")):
        tensor = np.asarray(checkpoint[name])
        bad = count_not_finite(tensor) if check_finite else 0
        if bad:
            not_finite.append(f"{name}: {bad:,} of {tensor.size:,} values")
        for row in group:
            row.variable.assign(row.from_tensor(tensor))
    if not_finite:
        raise NonFiniteWeights(
            f"{len(not_finite)} tensors of {where} hold NaN or infinity:\n  "
            + "\n  ".join(not_finite)
            + "\nTake the file again, or go back to an earlier step of the training. "
            "`check_finite=False` loads it all the same."
        )
    return {row.name for row in fitting}


def dump_weights(model):
    """Return `{tensor name: array}`, the inverse of `load_weights`."""
    tensors = {}
    for row in rows(model):
        pieces = tensors.setdefault(row.name, {})
        index = row.entry.index if isinstance(row.entry, Part) else 0
        if index in pieces:
            raise ValueError(f"{row.path}: `{row.name}` already holds another weight of the model")
        value = np.array(keras.ops.convert_to_numpy(row.variable.value))
        pieces[index] = np.ascontiguousarray(value.T) if isinstance(row.entry, Transposed) else value
    return {
        name: np.concatenate([pieces[i] for i in sorted(pieces)], axis=-1) if len(pieces) > 1 else pieces[0]
        for name, pieces in tensors.items()
    }


def unnamed_weights(model):
    """Return the paths of the weights that no row of the table names."""
    named = {id(row.variable) for row in rows(model)}
    return [weight.path for weight in model.weights if id(weight) not in named]


def under(prefix, names):
    """Return the table of a model that holds the model of `names` as attribute `prefix`."""
    return {f"{prefix}.{path}": scope for path, scope in names.items()}


def rows(model):
    """Yield a `Row` for each weight that the table of the model names."""
    for path, entry in model.checkpoint_names.items():
        scope = entry if isinstance(entry, str) else entry.scope
        for i in _indices(model, path):
            at, name = path.format(i=i), scope.format(i=i)
            target = _resolve(model, at)
            if target is None:  # a part that the config leaves out
                continue
            for row in _leaf_rows(target, at, name, entry):
                if row.variable is not None:  # a layer without a bias
                    yield row


def count_not_finite(tensor):
    """How many values are NaN or infinite; 0 for integers."""
    if np.issubdtype(tensor.dtype, np.integer) or tensor.dtype == bool:
        return 0
    if np.isfinite(np.sum(tensor, dtype="float64")):  # one pass without a second array, for nearly every tensor
        return 0
    return int(tensor.size - np.isfinite(tensor).sum())


def _fitting_rows(model, checkpoint, where):
    """The rows of a model that a checkpoint has tensors for; raises `WeightsMismatch` unless all fit."""
    fitting, problems = [], []
    for row in rows(model):
        if row.name not in checkpoint:
            if not row.optional:
                problems.append(f"{row.path}: the checkpoint has no `{row.name}`")
            continue
        shape = checkpoint.shape(row.name) if hasattr(checkpoint, "shape") else np.shape(checkpoint[row.name])
        if tuple(shape) != row.tensor_shape:
            problems.append(f"{row.path}: expected shape {row.tensor_shape}, but `{row.name}` has {tuple(shape)}")
        fitting.append(row)
    if problems:
        raise WeightsMismatch(
            f"{len(problems)} weights of a {type(model).__name__} do not fit {where}:\n  "
            + "\n  ".join(problems)
            + "\nTake config and weights of the same model; `nlpgen inspect` shows what is there."
        )
    return fitting


def _leaf_rows(target, path, name, entry, optional=False):
    for kind, leaves in LEAVES.items():
        if isinstance(target, kind):
            for attribute, suffix in leaves.items():
                yield Row(f"{path}.{attribute}", getattr(target, attribute), name + suffix, entry, optional)
            for attribute, suffix in OWN_LEAVES.get(kind, {}).items():
                own = getattr(target, attribute, None)
                if own is not None:
                    yield from _leaf_rows(own, f"{path}.{attribute}", name + suffix, name + suffix, optional=True)
            return
    yield Row(path, target, name, entry, optional)  # the row names a variable itself


def _indices(model, path):
    if "{i}" not in path:
        return [0]
    return range(len(_resolve(model, path.split(".{i}")[0])))


def _resolve(root, path):
    for step in path.split("."):
        root = root[int(step)] if step.isdigit() else getattr(root, step)
    return root
