"""From an open folder to a model: checked, made without weights, and what of the folder it did not read."""

import dataclasses
import warnings
from collections import Counter

import keras
import numpy as np

from nlpgen.checkpoints import SUFFIXES, VocabularySubset, rows
from nlpgen.errors import CheckpointWarning, InputError, VocabularyError, WeightsMismatch
from nlpgen.text import read_tokenizer, vocabulary_file

DTYPES = ("float32", "bfloat16", "float16", "float64", "mixed_bfloat16", "mixed_float16")

# Tables that there may be none of, by the options that say so.
TABLES_OF = {
    "type_vocab_size": "embeddings.segment",
    "shared_segment_embeddings": "embeddings.segment",
    "use_task_id": "embeddings.task",
}


def backbone_of(model):
    """The `Backbone` that a model stands on, or is."""
    return getattr(model, "backbone", model)


def prepare(cls, folder, dtype=None, keep_tokens=None, compound_tokens=None, config_changes=None, tokenizer=None):
    """Make the model that a folder describes, without its weights.

    Args:
        cls: a `PretrainedModel`.
        folder: an open `ModelFolder`.
        dtype, keep_tokens, compound_tokens, config_changes, tokenizer: see `PretrainedModel.from_pretrained`.

    Returns:
        The built model, and the folder with the tensors to load into it.
    """
    _check_options(dtype, keep_tokens, compound_tokens)
    backbone_class = cls.architecture(folder)
    config_changes = config_changes or {}
    folder = backbone_class.opened(folder, config_changes)
    config = backbone_class.config_of(folder)
    _check_layers(folder, backbone_class, config, config_changes)
    cls.check_checkpoint(folder, backbone_class)
    found = _tokenizer(folder) if tokenizer is None else None
    tensors, table = folder.tensors, backbone_class.vocabulary_names[0]
    if table in tensors:  # otherwise load_weights says what is missing
        _check_vocabulary(folder, table, config, found)
        if keep_tokens is not None or compound_tokens:
            compound = compound_tokens or {}
            known = [token for token in compound if found is not None and token in found.vocab]
            if known:
                raise InputError(f"`compound_tokens` has {', '.join(known)}, which the vocabulary has. Give new names.")
            if found is not None:
                of_tokens = _without_padding(keep_tokens, len(found.vocab), tensors.shape(table)[0])
                found = found.with_tokens(None if keep_tokens is None else of_tokens, list(compound))
                keep_tokens = of_tokens if compound else keep_tokens  # no row of padding before the compound tokens
            tensors = VocabularySubset(tensors, backbone_class.vocabulary_names, keep_tokens, compound.values())
        config = config.replace(vocab_size=tensors.shape(table)[0], **_special_ids(config, keep_tokens))
    if tokenizer is not None and len(tokenizer.vocab) > config.vocab_size:
        raise VocabularyError(
            f"`tokenizer` has {len(tokenizer.vocab):,} tokens, but the model has {config.vocab_size:,} rows for them. "
            "Give the tokenizer of the kept and compound tokens."
        )
    tokenizer = found if tokenizer is None else tokenizer
    if tokenizer is not None and tokenizer.has_padding:
        config = config.replace(pad_token_id=tokenizer.pad_id)
    dtype = _stored_type(tensors) if dtype == "auto" else dtype
    model = cls.over(backbone_class(config.replace(**config_changes), dtype=dtype), folder)
    model.build()
    model.tokenizer = backbone_of(model).tokenizer = tokenizer
    return model, dataclasses.replace(folder, tensors=tensors)


def over_shared(cls, backbone, folder):
    """A built model over a backbone that exists, and the folder with the tensors of its head."""
    folder = folder.named_by(type(backbone).architecture(folder).hugging_face_names)
    cls.check_checkpoint(folder, type(backbone))
    model = cls.over(backbone, folder)
    model.build()
    of_head = {row.name for row in rows(model)} - {row.name for row in rows(backbone)}
    for name in of_head.intersection(backbone.vocabulary_names):
        held = folder.tensors.shape(name)[-1] if name in folder.tensors else backbone.config.vocab_size
        if held != backbone.config.vocab_size:
            raise VocabularyError(
                f"The shared `backbone` has {backbone.config.vocab_size:,} tokens, but `{name}` of {folder.path} is "
                f"for {held:,}: another vocabulary. Take both from one checkpoint, or make a new head: "
                f"{cls.__name__}(backbone)."
            )
    return model, folder


def report_unread(model, folder, used, config_changes=(), other_heads=False):
    """Warn of the tensors of a folder that the model did not read.

    An optimizer's are no news, nor are layers beyond those asked for or taken away by `config_changes`, nor those of
    other heads and models that the architecture knows, unless `other_heads`.
    """
    backbone, tensors = backbone_of(model), folder.tensors
    scopes, others = [], ()
    if not other_heads:
        scopes = [getattr(entry, "scope", entry) for table in backbone.heads.values() for entry in table.values()]
        others = backbone.others
    scopes += [
        backbone.checkpoint_names.get(layer, "") for field, layer in TABLES_OF.items() if field in config_changes
    ]
    of_heads = {tensors.original(scope + leaf) for scope in scopes for leaf in SUFFIXES}
    numbered = _numbered(backbone.checkpoint_names)
    beyond = {
        tensors.original(scope.format(i=i) + leaf)
        for i in range(getattr(backbone.config, backbone.numbered_by), _held_layers(tensors, backbone.checkpoint_names))
        for scope in numbered
        for leaf in SUFFIXES
    }
    unread = [
        name
        for name in tensors.unread(used)
        if name not in of_heads | beyond and not name.startswith((*others, *backbone.ignored))
    ]
    if unread:
        what, are, were = ("tensor", "is", "was") if len(unread) == 1 else ("tensors", "are", "were")
        warnings.warn(
            f"{len(unread)} {what} of {folder.path} {are} no part of {type(model).__name__} and {were} not read: "
            + ", ".join(unread),
            CheckpointWarning,
            stacklevel=3,
        )


def _check_options(dtype, keep_tokens, compound_tokens):
    """Raise `InputError` for a type that no model has, and for ids that are none."""
    problems = []
    if dtype not in (None, "auto", *DTYPES) and not isinstance(dtype, keras.DTypePolicy):
        problems.append(
            f"`dtype` must be one of {', '.join(map(repr, DTYPES))}, 'auto', or a keras.DTypePolicy. "
            f"Received: {dtype!r}"
        )
    if keep_tokens is not None:
        problems += _keep_problems(keep_tokens)
    if compound_tokens is not None:
        problems += _compound_problems(compound_tokens)
    if problems:
        raise InputError("\n".join(problems))


def _keep_problems(keep_tokens):
    if not (hasattr(keep_tokens, "__len__") and len(keep_tokens)):
        return [f"`keep_tokens` must be a list of ids, one or more. Received: {keep_tokens!r:.60}"]
    strange = [id for id in keep_tokens if not _is_integer(id)]
    if strange:
        return [f"`keep_tokens` must be ids, whole numbers. Received: {', '.join(map(repr, strange[:5]))}"]
    twice = [id for id, count in Counter(map(int, keep_tokens)).items() if count > 1]
    if twice:
        return [f"`keep_tokens` must be different ids. Received more than once: {', '.join(map(str, twice[:5]))}"]
    return []


def _compound_problems(compound_tokens):
    if not isinstance(compound_tokens, dict):
        return [f"`compound_tokens` must be a dict {{token: ids}}. Received: {compound_tokens!r:.60}"]
    return [
        f"`compound_tokens` must have ids for {token!r}, or (ids, weights). Received: {value!r:.60}"
        for token, value in compound_tokens.items()
        if not _are_ids(value[0] if isinstance(value, tuple) and len(value) == 2 else value)
    ]


def _are_ids(value):
    return hasattr(value, "__len__") and all(map(_is_integer, value))


def _is_integer(value):
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _check_layers(folder, backbone_class, config, changes):
    """The config has as many layers as the weights, unless the user asks for the first ones only."""
    held = _held_layers(folder.tensors, backbone_class.checkpoint_names)
    field = backbone_class.numbered_by
    wanted = changes.get(field, getattr(config, field))
    if held and (wanted > held or (wanted < held and field not in changes)):
        what = field.removeprefix("num_hidden_")
        if field in changes:
            raise WeightsMismatch(
                f"The argument `{field}` asks for {wanted} {what}, but the weights of {folder.path} hold {held}. Give "
                f"{held} or fewer, or leave it away."
            )
        raise WeightsMismatch(
            f"{folder.config_path} says {wanted} {what}, but the weights hold {held}. Correct `{field}` "
            f"there, or pass it to `from_pretrained` to load the first {what} only."
        )


def _held_layers(tensors, table):
    """How many numbered layers a checkpoint has, by the first row with a number."""
    numbered, held = _numbered(table), 0
    while numbered and any(numbered[0].format(i=held) + suffix in tensors for suffix in SUFFIXES):
        held += 1
    return held


def _numbered(table):
    """The scopes that a table counts."""
    scopes = (getattr(entry, "scope", entry) for entry in table.values())
    return [scope for scope in scopes if "{i" in scope]


def _check_vocabulary(folder, table, config, tokenizer):
    """The rows of the embedding decide; a vocabulary may be shorter (tables are padded), never longer."""
    rows = folder.tensors.shape(table)[0]
    tokens = rows if tokenizer is None else len(tokenizer.vocab)
    if tokens > rows:
        raise VocabularyError(
            f"{vocabulary_file(folder.path)} has {tokens:,} tokens, but `{table}` has {rows:,} rows. "
            "The model was saved with a smaller vocabulary: use the one that was saved with it."
        )
    if tokens < rows:
        warnings.warn(
            f"{vocabulary_file(folder.path)} has {tokens:,} tokens, but `{table}` has {rows:,} rows: the last ones "
            "belong to no token. If the table is not padded, this is the vocabulary of another model.",
            CheckpointWarning,
            stacklevel=4,
        )
    if config.vocab_size != rows:
        warnings.warn(
            f"{folder.config_path} says vocab_size {config.vocab_size:,}, but `{table}` has {rows:,} rows, "
            "which count.",
            CheckpointWarning,
            stacklevel=4,
        )


def _special_ids(config, keep_tokens):
    """The ids of padding, start and end after `keep_tokens`.

    Where the token was dropped, padding is the first id, as ever, and the others are none.
    """
    ids = {name: id for name, id in config.to_dict().items() if name.endswith("_token_id") and id is not None}
    if keep_tokens is None:
        return ids
    places = {id: place for place, id in reversed(list(enumerate(keep_tokens)))}
    kept = {}
    for name, id in ids.items():
        if isinstance(id, list):
            kept[name] = [places[each] for each in id if each in places]
        else:
            kept[name] = places.get(id, 0 if name == "pad_token_id" else None)
    return kept


def _stored_type(tensors):
    """The one type of all floating-point tensors if it is a half-precision one, else `None`."""
    types = {tensors.dtype(name) for name in tensors}
    types = {name for name in types if "float" in name}
    return types.pop() if types in ({"float16"}, {"bfloat16"}) else None


def _without_padding(keep_tokens, tokens, rows):
    """The kept ids without those at the end that are rows of no token; all tokens where nothing is cut."""
    kept = list(range(tokens) if keep_tokens is None else keep_tokens)
    while kept and tokens <= kept[-1] < rows:
        kept.pop()
    return kept


def _tokenizer(folder):
    tokenizer = read_tokenizer(folder.path)
    if tokenizer is None:
        warnings.warn(
            f"{folder.path} has no vocabulary (vocab.txt, spiece.model or tokenizer.json), so the model reads token "
            "ids only. Copy it there from the release, or pass `tokenizer`.",
            CheckpointWarning,
            stacklevel=4,
        )
    return tokenizer
