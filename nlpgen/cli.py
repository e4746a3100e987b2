"""`nlpgen VERB`: a thin face of the public API.

Results go to standard output, everything else to standard error; bad input ends with a message and exit code 2.
"""

import argparse
import json
import os
import sys
import warnings

from rich.console import Console
from rich.progress import Progress

from nlpgen.cli_ask import add_ask
from nlpgen.cli_fewshot import add_fewshot
from nlpgen.cli_generate import add_generate
from nlpgen.cli_options import add_model_options, add_task_options, label_words, load_masked_lm
from nlpgen.cli_vae import add_vae
from nlpgen.errors import InputError, NlpgenError
from nlpgen.models import ARCHITECTURES, MaskedLM, describe
from nlpgen.models.inspect import convert
from nlpgen.prompts import PETClassifier
from nlpgen.version import __version__

CHUNK = 256  # texts that are read, classified and printed at a time


def main(arguments=None):
    """Run a command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    # Elsewhere than UTF-8 is the default, a pipe is not. An argument or a file name that is not UTF-8 can still be
    # printed: Python has such bytes as lone surrogates, which are then written as JSON's own escape, \udcff.
    for stream, errors in ((sys.stdin, "strict"), (sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors=errors)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: print(f"nlpgen: warning: {message}", file=sys.stderr)
            return options.run(options) or 0
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (NlpgenError, OSError) as error:
        print(f"nlpgen: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nlpgen: stopped", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="nlpgen", description="Chinese language models on Keras 3, offline.")
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    verb = verbs.add_parser("fill-mask", help="guess what stands at each [MASK] of a text")
    verb.add_argument("text", nargs="+", help="a text with [MASK] in it, e.g. '今天天气很[MASK]。'")
    verb.add_argument("--top-k", type=int, default=5, metavar="K", help="candidates a mask (default 5)")
    verb.add_argument("--json", action="store_true", help="print JSON lines")
    add_model_options(verb)
    verb.set_defaults(run=_fill_mask)

    verb = verbs.add_parser("classify", help="label texts without training (zero-shot PET)")
    verb.add_argument("file", nargs="?", help="a text a line, in UTF-8 (default: standard input)")
    add_task_options(verb)
    verb.add_argument(
        "--max-length", type=int, default=128, metavar="N", help="longer texts are cut (default 128 tokens)"
    )
    add_model_options(verb)
    verb.set_defaults(run=_classify)

    add_fewshot(verbs)
    add_generate(verbs)
    add_ask(verbs)
    add_vae(verbs)

    verb = verbs.add_parser("inspect", help="say what a folder holds and what nlpgen would read of it")
    verb.add_argument("folder", help="a folder, a checkpoint prefix, or an embedded model")
    verb.add_argument("--json", action="store_true", help="print one JSON object")
    verb.add_argument(
        "--probe", action="store_true", help="load the model too, and say whether its head guesses better than chance"
    )
    verb.add_argument(
        "--model-type", choices=tuple(ARCHITECTURES), help="the architecture, where the folder does not tell"
    )
    verb.set_defaults(run=_inspect)

    verb = verbs.add_parser("convert", help="write a model in another format")
    verb.add_argument("source", help="a folder, a checkpoint prefix, or an embedded model")
    verb.add_argument("target", help="the folder to write")
    verb.add_argument("--to", choices=("nlpgen", "huggingface", "tensorflow"), default="nlpgen", help="default nlpgen")
    verb.add_argument(
        "--dtype", choices=("float32", "float16", "bfloat16"), help="type on disk (default: the source's)"
    )
    verb.add_argument(
        "--trust-pickle",
        action="store_true",
        help="read a PyTorch pickle; only for files from people you trust",
    )
    verb.add_argument(
        "--model-type", choices=tuple(ARCHITECTURES), help="the architecture, where the folder does not tell"
    )
    verb.set_defaults(run=_convert)
    return parser


def _fill_mask(options):
    masked_lm = load_masked_lm(options)
    for filled in masked_lm.fill_mask(options.text, options.top_k):
        if options.json:
            _print_json({"text": filled.text, "candidates": filled.candidates})
            continue
        print(filled.text)
        for i, candidates in enumerate(filled.candidates, 1):
            print(f"  {i}: " + "  ".join(f"{token} {probability:.3f}" for token, probability in candidates))


def _classify(options):
    words = label_words(options)
    masked_lm = load_masked_lm(options)
    if words:
        pet = PETClassifier(masked_lm, options.pattern, words, max_length=options.max_length)
    else:
        pet = PETClassifier.from_preset(options.task, masked_lm, max_length=options.max_length)
    pet.predict_proba([])  # says what is wrong with patterns and words before any text is read
    labels = list(pet.verbalizer)
    for texts in _chunks(options.file):
        for text, row in zip(texts, pet.predict_proba(texts), strict=True):
            probabilities = {label: round(float(p), 6) for label, p in zip(labels, row, strict=True)}
            _print_json({"text": text, "label": labels[row.argmax()], "probabilities": probabilities})
        sys.stdout.flush()


def _chunks(path):
    """Lists of lines that are not blank, with a progress bar over a file's bytes if a person is watching."""
    if path is None:
        yield from _lists(sys.stdin)
        return
    console = Console(stderr=True)
    with (
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
        progress.open(path, "r", encoding="utf-8-sig", description="classify") as file,
    ):
        yield from _lists(file)


def _lists(lines):
    chunk, number = [], 0
    try:
        for line in lines:
            number += 1
            if line.strip():
                chunk.append(line.strip())
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
    except UnicodeDecodeError as error:
        raise InputError(
            f"{getattr(lines, 'name', 'the input')} is not UTF-8 (byte {error.object[error.start]:#04x} after line "
            f"{number}). Convert it, from GBK for instance with: iconv -f gbk -t utf-8"
        ) from None
    if chunk:
        yield chunk


def _inspect(options):
    found = describe(options.folder, options.model_type)
    if options.probe:
        random = MaskedLM.from_pretrained(options.folder, model_type=options.model_type).head_looks_random()
        verdict = {True: "no better than chance", False: "better than chance", None: "cannot tell"}[random]
        print(f"masked-language-model head: {verdict}", file=sys.stderr)
    print(json.dumps(found.to_dict(), ensure_ascii=False, indent=1) if options.json else found)
    return 0 if found.is_known else 2


def _convert(options):
    written = convert(
        options.source, options.target, options.to, options.dtype, options.trust_pickle, options.model_type
    )
    print(f"{options.target}: {written}", file=sys.stderr)


def _print_json(value):
    print(json.dumps(value, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
