"""The labels of a head in `config.json`, as Hugging Face keeps them, and the options of ours beside them."""

from nlpgen.errors import ConfigError, InputError, WeightsMismatch
from nlpgen.models.backbone import check_backbone
from nlpgen.models.t5 import T5

CLASSIFIER = "classifier/kernel"
# Of Hugging Face's RoBERTa, ELECTRA and RoFormer, with a hidden layer, and of its decoders, on the last token.
OTHER_CLASSIFIERS = ("classifier/dense/kernel", "classifier/out_proj/kernel", "score/kernel")


def check_text_backbone(head, backbone):
    """Raise `InputError` if what a head, a class, is to stand on does not read one text at a time."""
    check_backbone(head, backbone)
    if isinstance(backbone, T5):
        raise InputError(
            f"{head.__name__} reads one text, but a {type(backbone).__name__} a source and a target. Use "
            f"{backbone.encoder_class.__name__}, which loads from the same folder, or the `encoder` of this model."
        )


def check_labels(labels):
    """The labels as a list of strings, all different.

    Raises:
        InputError: if they are not.
    """
    labels = list(labels)
    if not labels or len(set(map(str, labels))) < len(labels) or not all(isinstance(x, str) and x for x in labels):
        raise InputError(f"`labels` must be different strings, one at least, none empty. Received: {labels!r:.200}")
    return labels


def label_fields(labels, **options):
    """The fields of `config.json`: `id2label`, `label2id`, and `head` with our own options."""
    return {
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
        "head": {name: value for name, value in options.items() if value is not None},
    }


def labels_in(folder, count=None):
    """The labels that an open folder names.

    Args:
        folder: a `ModelFolder`.
        count: how many there must be; without `id2label`, `LABEL_0`, `LABEL_1`, …, as Hugging Face leaves them out.

    Raises:
        ConfigError: if `id2label` is not a table from 0, 1, … to different strings.
    """
    table = folder.config.get("id2label")
    if table is None and count is not None:
        return [f"LABEL_{i}" for i in range(count)]
    expected = [str(i) for i in range(len(table) if count is None and isinstance(table, dict) else count or 0)]
    if isinstance(table, dict) and sorted(table) == sorted(expected):
        labels = [table[i] for i in expected]
        if labels and all(isinstance(x, str) and x for x in labels) and len(set(labels)) == len(labels):
            return labels
    number = "" if count is None else f", one for each of the {count} columns of `{CLASSIFIER}`"
    raise ConfigError(
        f"{folder.config_path}: `id2label` must name different labels under '0', '1', …{number}. "
        f"Received: {table!r:.200}. Correct it there."
    )


def options_in(folder, names):
    """Our own options of a head, `{}` in a folder that others wrote.

    Raises:
        ConfigError: if there are others than `names`.
    """
    options = folder.config.get("head", {})
    if not isinstance(options, dict) or not options.keys() <= set(names):
        raise ConfigError(
            f"{folder.config_path}: `head` must be a table of {', '.join(names)}. Received: {options!r:.200}. "
            "It was saved by another class or a newer nlpgen."
        )
    return options


def check_classifier(folder, cls, name):
    """Raise `WeightsMismatch` if the folder has no layer `classifier`."""
    others = [folder.tensors.original(scope) for scope in OTHER_CLASSIFIERS if scope in folder.tensors]
    if others:
        raise WeightsMismatch(
            f"{folder.path} has a head whose form {cls.__name__} does not read ({', '.join(others)}): it reads one "
            f"projection, `{CLASSIFIER}`, on the pooler or on the tokens. Train a head on its encoder with "
            f"nlpgen.{name}."
        )
    if CLASSIFIER not in folder.tensors:
        raise WeightsMismatch(
            f"{folder.path} has no trained head for {cls.__name__} (`{CLASSIFIER}`). Load it with the class that it "
            f"was saved with, or train a head on its encoder with nlpgen.{name}."
        )
