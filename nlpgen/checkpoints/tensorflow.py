"""TensorFlow's name-based checkpoints: the releases of Google, and what bert4keras reads and writes.

The only file that needs TensorFlow, whatever the Keras backend is; it is imported on first use.
"""

import re
from pathlib import Path

import numpy as np

from nlpgen.errors import CheckpointCorrupt, CheckpointNotFound

PREFIX = "bert_model.ckpt"
SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
# What a training leaves in a checkpoint beside the weights.
SLOTS = re.compile(r"(^|/)(adam_[mv]|Adam(_1)?|lamb_[mv]|\w*_slot_\w+|global_step|beta[12]_power|Momentum)$")


def checkpoint_prefix(path):
    """The prefix of a checkpoint, given as such, as any of its files, or as its folder.

    Raises:
        CheckpointNotFound: if there is none, or several.
    """
    path = Path(path)
    if path.is_dir():
        prefixes = sorted({p.name.removesuffix(".index") for p in path.glob("*.index")})
        if not prefixes and (path / "checkpoint").is_file():
            raise CheckpointNotFound(f"{path} has a `checkpoint` file, but no `*.index`. Copy all files of it.")
        if len(prefixes) != 1:
            raise CheckpointNotFound(
                f"{path} has {len(prefixes) or 'no'} TensorFlow checkpoints"
                + (f": {', '.join(prefixes)}. Give the path of one of them." if prefixes else ".")
            )
        return path / prefixes[0]
    return path.with_name(SUFFIX.sub("", path.name))


class TensorFlowTensors:
    """The tensors of a checkpoint, read when asked for; TensorFlow verifies their checksums.

    Args:
        path: see `checkpoint_prefix`.

    Raises:
        CheckpointNotFound, CheckpointCorrupt: with the file that is missing or damaged.
    """

    def __init__(self, path):
        self.prefix = checkpoint_prefix(path)
        index = self.prefix.with_name(self.prefix.name + ".index")
        if not index.is_file():
            raise CheckpointNotFound(f"{self.prefix} is no TensorFlow checkpoint: there is no {index.name}.")
        self._check_shards()
        import tensorflow as tf

        try:
            self._reader = tf.train.load_checkpoint(str(self.prefix))
        except Exception as error:
            raise self._corrupt(f"{index.name} cannot be read", error) from None
        self._shapes = self._reader.get_variable_to_shape_map()

    def __contains__(self, name):
        return name in self._shapes

    def __iter__(self):
        return iter(sorted(self._shapes))

    def __len__(self):
        return len(self._shapes)

    def __getitem__(self, name):
        try:
            return self._reader.get_tensor(name)
        except Exception as error:
            raise self._corrupt(f"`{name}` cannot be read", error) from None

    def shape(self, name):
        """Shape of a tensor, without reading it."""
        return tuple(self._shapes[name])

    def dtype(self, name):
        """NumPy name of a tensor's type, without reading it."""
        return self._reader.get_variable_to_dtype_map()[name].name

    def named_by(self, table):
        """These tensors; only PyTorch's names differ by architecture."""
        return self

    def original(self, name):
        """The file's own name of a tensor, or `None`."""
        return name if name in self else None

    def unread(self, used):
        """Names in the file that are not in `used` and are no optimizer's."""
        return [name for name in self if name not in used and not SLOTS.search(name)]

    def _check_shards(self):
        shards = sorted(self.prefix.parent.glob(f"{_escape(self.prefix.name)}.data-*-of-*"))
        count = int(shards[0].name.rsplit("-", 1)[1]) if shards else 1
        wanted = [f"{self.prefix.name}.data-{i:05}-of-{count:05}" for i in range(count)]
        missing = [name for name in wanted if not (self.prefix.parent / name).is_file()]
        if missing:
            raise CheckpointCorrupt(
                f"{self.prefix.parent} has {self.prefix.name}.index, but not {', '.join(missing)}. "
                "Copy all files of the checkpoint."
            )

    def _corrupt(self, what, error):
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        return CheckpointCorrupt(
            f"{self.prefix}: {what} ({reason}). The files are damaged or of different checkpoints: take them again."
        )


def write_tensorflow(folder, tensors, prefix=PREFIX):
    """Write a checkpoint that Google's code, bert4keras and `tf.train.load_checkpoint` read.

    Args:
        folder: an existing folder.
        tensors: `{name: array}`; written as float32, as all readers expect.
        prefix: name of the files.

    Raises:
        OSError: if they cannot be written.
    """
    import tensorflow as tf

    folder, names = Path(folder), sorted(tensors)
    try:
        tf.raw_ops.SaveV2(
            prefix=str(folder / prefix),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[tf.constant(np.asarray(tensors[name], dtype="float32")) for name in names],
        )
    except tf.errors.OpError as error:  # a full disk, say
        raise OSError(error.message) from error
    state = f'model_checkpoint_path: "{prefix}"\nall_model_checkpoint_paths: "{prefix}"\n'
    (folder / "checkpoint").write_text(state, encoding="utf-8")


def _escape(name):
    return re.sub(r"([\[\]?*])", r"[\1]", name)
