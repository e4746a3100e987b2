"""Hugging Face's names of tensors under those of the TensorFlow releases, which everything inside nlpgen uses.

Most PyTorch ports follow one rule, `torch_name`. Where a port renamed freely, the architecture has a second table, from
scopes of its `checkpoint_names` to PyTorch's::

    "gpt/transformer/layer_{i}/attention/self/query": Conv1D("transformer.h.{i}.attn.c_attn", 0, 3)

A scope that ends in `/` stands for all under it: `"bert/": "nezha."` changes the prefix, and the rule does the rest.

`HuggingFaceTensors` answers for TensorFlow names out of a file with PyTorch names; `to_hugging_face` is the way back.
"""

import re
from dataclasses import dataclass

import numpy as np

from nlpgen.checkpoints.names import Transposed

# TensorFlow's leaves and PyTorch's.
LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "output_bias": "bias",
    "output_weights": "weight",
}
# PyTorch's leaf → how else files spell it: the names of before 2020, and the alias of the tied head.
OTHER_SPELLINGS = {
    "LayerNorm.weight": "LayerNorm.gamma",
    "LayerNorm.bias": "LayerNorm.beta",
    "predictions.bias": "predictions.decoder.bias",
    "lm_head.bias": "lm_head.decoder.bias",
    "shared.weight": "encoder.embed_tokens.weight",
}
# A tensor that may be a copy of another, by the end of the other's name.
TIED = {
    "predictions.decoder.weight": ("embeddings.word_embeddings.weight",),
    "predictions.decoder.bias": ("predictions.bias",),
    "lm_head.decoder.weight": ("embeddings.word_embeddings.weight",),
    "lm_head.decoder.bias": ("lm_head.bias",),
    "lm_head.weight": (
        "embeddings.word_embeddings.weight",
        "embed_tokens.weight",
        "shared.weight",
        "tokens_embed.weight",
        "wte.weight",
    ),
    "embed_tokens.weight": ("shared.weight", "encoder.embed_tokens.weight"),
}
# What ports keep as tensors though it is computed: indices, masks, frequencies, sinusoids.
BUFFERS = re.compile(
    r"(position_ids|token_type_ids|attn\.(masked_)?bias|inv_freq|embed_positions\.weight|positions_encoding)$"
)


@dataclass(frozen=True)
class Conv1D:
    """A kernel that PyTorch stores as we do, `(in, out)`, or one of several side by side in it.

    Args:
        scope: PyTorch's.
        index, count: which of how many equal parts, split on the last axis.
    """

    scope: str
    index: int = 0
    count: int = 1


@dataclass(frozen=True)
class Source:
    """Where a file has what we call by a TensorFlow name."""

    name: str
    transposed: bool = False
    index: int = 0
    count: int = 1


class HuggingFaceTensors:
    """Tensors with PyTorch names, asked for by TensorFlow names.

    Knows the old `gamma`/`beta`, the aliases of tied tensors, and bare models without the prefix (`bert.`).

    Args:
        tensors: a mapping from PyTorch names to arrays.
        table: PyTorch's scopes by TensorFlow's, where they do not follow the rule.
    """

    def __init__(self, tensors, table=None):
        self._tensors = tensors
        self._names = Names(table)
        self._guesses = {tf_name(name): name for name in tensors}

    def named_by(self, table):
        """The same tensors under the table of an architecture."""
        return HuggingFaceTensors(self._tensors, table)

    def __contains__(self, name):
        return self.original(name) is not None

    def __iter__(self):
        return iter(self._guesses)

    def __getitem__(self, name):
        source, tensor = self._names.source(name), self._tensors[self.original(name)]
        if source.count > 1:
            tensor = np.split(tensor, source.count, axis=-1)[source.index]
        return tensor.T if source.transposed else tensor

    def shape(self, name):
        source, shape = self._names.source(name), self._tensors.shape(self.original(name))
        shape = (*shape[:-1], shape[-1] // source.count)
        return shape[::-1] if source.transposed else shape

    def dtype(self, name):
        return self._tensors.dtype(self.original(name))

    def original(self, name):
        """The file's own name of a tensor, or `None`."""
        spelled = self._names.source(name).name
        spellings = [spelled]
        for ending, other in OTHER_SPELLINGS.items():
            if spelled.endswith(ending):
                spellings.append(spelled.removesuffix(ending) + other)
        for candidate in spellings + [s.partition(".")[2] for s in spellings if not s.startswith("cls.")]:
            if candidate in self._tensors:
                return candidate
        return self._guesses.get(name)

    def unread(self, used):
        """Names in the file that no name in `used` stands for, save buffers and copies of tied weights."""
        taken = {self.original(name) for name in used}
        left = [name for name in self._tensors if name not in taken and not BUFFERS.search(name)]
        return [name for name in left if not self._is_copy(name)]

    def _is_copy(self, name):
        endings = next((ends for tied, ends in TIED.items() if name.endswith(tied)), ())
        twins = [other for other in self._tensors if other != name and other.endswith(endings)]
        return any(np.array_equal(self._tensors[name], self._tensors[twin]) for twin in twins)


class Names:
    """TensorFlow names to where PyTorch's files have them: by a table, then by the rule.

    Args:
        table: from TensorFlow scopes to PyTorch scopes, a `Conv1D` or a whole name, `Transposed` where PyTorch stores
            a whole name so; `{i}` stands for a number in both, and may have a format as in `{i:03d}`. A scope that ends
            in `/` stands for all under it.
    """

    def __init__(self, table=None):
        table = table or {}
        self._rules = [(_pattern(scope), entry) for scope, entry in table.items() if not scope.endswith("/")]
        self._prefixes = {scope: entry for scope, entry in table.items() if scope.endswith("/")}

    def source(self, name):
        """The `Source` of a TensorFlow name."""
        for pattern, entry in self._rules:
            match = pattern.fullmatch(name)
            if match:
                leaf = match["leaf"]
                conv = entry if isinstance(entry, Conv1D) else Conv1D(getattr(entry, "scope", entry))
                scope = conv.scope.format(i=int(match["i"]) if "i" in match.groupdict() else None)
                spelled = f"{scope}.{LEAVES.get(leaf, leaf)}" if leaf else scope
                transposed = isinstance(entry, Transposed) or (leaf == "kernel" and conv is not entry)
                return Source(spelled, transposed, conv.index, conv.count)
        scope = next((scope for scope in self._prefixes if name.startswith(scope)), "")
        spelled = self._prefixes.get(scope, "") + torch_name(name.removeprefix(scope))
        return Source(spelled, transposed=name.endswith("/kernel"))


def to_hugging_face(tensors, table=None):
    """TensorFlow names and layout to PyTorch names and layout; see `Names` for the table."""
    names, pieces = Names(table), {}
    for name, tensor in tensors.items():
        source = names.source(name)
        tensor = np.ascontiguousarray(tensor.T) if source.transposed else tensor
        pieces.setdefault(source.name, {})[source.index] = tensor
    return {
        name: np.concatenate([parts[i] for i in sorted(parts)], axis=-1) if len(parts) > 1 else parts[0]
        for name, parts in pieces.items()
    }


def torch_name(name):
    """Spell a TensorFlow tensor name as most of Hugging Face's PyTorch ports do.

    >>> torch_name("bert/encoder/layer_0/output/dense/kernel")
    'bert.encoder.layer.0.output.dense.weight'
    """
    *scope, leaf = re.sub(r"layer(s?)_(\d+)", r"layer\1/\2", name).split("/")
    leaf = LEAVES.get(leaf, leaf)
    if leaf.endswith("_embeddings"):
        leaf += ".weight"
    return ".".join([*scope, leaf])


def tf_name(name):
    """A guess at the TensorFlow spelling of a PyTorch name, to recognise an architecture by.

    >>> tf_name("bert.encoder.layer.0.output.dense.weight")
    'bert/encoder/layer_0/output/dense/kernel'
    """
    name = re.sub(r"layer(s?)\.(\d+)", r"layer\1_\2", name)
    name = re.sub(r"LayerNorm\.(weight|gamma)$", "LayerNorm.gamma", name)
    name = re.sub(r"LayerNorm\.(bias|beta)$", "LayerNorm.beta", name)
    name = re.sub(r"(_embeddings|embed_tokens|wte|wpe)\.weight$", r"\1", name)
    name = re.sub(r"^cls\.(\w+)\.(?:decoder\.)?bias$", r"cls.\1.output_bias", name)
    name = re.sub(r"^cls\.seq_relationship\.weight$", "cls.seq_relationship.output_weights", name)
    return re.sub(r"\.weight$", ".kernel", name).replace(".", "/")


def _pattern(scope):
    scope = re.escape(re.sub(r"\{i(:\w+)?\}", "\0", scope)).replace("\0", r"(?P<i>\d+)")
    return re.compile(scope + r"(?:/(?P<leaf>kernel|bias|gamma|beta))?")
