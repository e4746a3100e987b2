"""Options that several verbs of the command line share."""

import argparse

from nlpgen.errors import InputError
from nlpgen.models import ARCHITECTURES, MaskedLM


def count(text):
    """The type of an option that is a whole number, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more. Received: {text!r}")
    return int(text)


def add_model_options(verb, default="bert-tiny-zh"):
    """`--model`, `--dtype`, `--model-type`."""
    verb.add_argument("--model", default=default, help=f"a folder or an embedded model (default {default})")
    verb.add_argument(
        "--dtype",
        choices=("auto", "float32", "bfloat16", "float16", "mixed_bfloat16"),
        help="auto is the file's own; bfloat16 is faster on new processors",
    )
    verb.add_argument(
        "--model-type", choices=tuple(ARCHITECTURES), help="the architecture, where the folder does not tell"
    )


def load_masked_lm(options):
    """The masked language model that the options name."""
    return MaskedLM.from_pretrained(options.model, model_type=options.model_type, dtype=options.dtype)


def add_task_options(verb):
    """`--task`, or `--label` and `--pattern`."""
    verb.add_argument(
        "--task", default="sentiment", help="patterns and words that come with nlpgen (default sentiment)"
    )
    verb.add_argument(
        "--label",
        action="append",
        metavar="LABEL=WORD,WORD",
        help="a label of your own and its words, once a label; needs --pattern",
    )
    verb.add_argument(
        "--pattern", action="append", metavar="PATTERN", help="e.g. '[MASK]满意。{text}'; several are averaged"
    )


def label_words(options):
    """`{label: words}` of `--label`; empty where `--task` says them.

    Raises:
        InputError: if there is `--label` without `--pattern` or the reverse, or one is no `LABEL=WORD`, or twice there.
    """
    if bool(options.label) != bool(options.pattern):
        raise InputError("Give --label and --pattern together, or neither to use --task.")
    pairs = [_label(text) for text in options.label or ()]
    words = dict(pairs)
    if len(words) < len(pairs):
        raise InputError("A label was given twice. Give all its words at once: --label LABEL=WORD,WORD.")
    return words


def _label(text):
    label, equals, words = text.partition("=")
    if not equals or not label or not words:
        raise InputError(f"--label wants LABEL=WORD or LABEL=WORD,WORD. Received: {text!r}")
    return label, words.replace("，", ",").split(",")
