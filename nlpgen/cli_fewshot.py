"""`nlpgen fewshot`: compare methods on your own labels."""

import difflib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from nlpgen.cli_options import add_model_options, add_task_options, label_words, load_masked_lm
from nlpgen.data import read_labelled
from nlpgen.errors import InputError, WeightsMismatch
from nlpgen.models import NextSentence
from nlpgen.prompts import (
    Candidates,
    DemonstrationClassifier,
    FineTuneClassifier,
    LinearProbeClassifier,
    NSPClassifier,
    Pattern,
    PETClassifier,
    PTuningClassifier,
    SetFitClassifier,
    TfidfClassifier,
    Verbalizer,
    compare,
    learning_curve,
    load_preset,
)
from nlpgen.prompts.pattern import BRACES, FIELD, MASK, SEPARATOR
from nlpgen.prompts.question import Question
from nlpgen.tasks.fine_tuning import check_options
from nlpgen.training.plot import check_figure


class LabelledPET(PETClassifier):
    """A PETClassifier that leaves unlabelled texts alone."""

    def fit(self, texts, labels, validation_data=None):
        return super().fit(texts, labels, validation_data=validation_data)


# What `--methods` may name: function of the model, the task, and, for those that are trained, their options to a
# classifier.
METHODS = {
    "pet": lambda lm, task, trained: LabelledPET(lm, task.patterns, task.verbalizer, **task.length, **trained),
    "pet-semi": lambda lm, task, trained: PETClassifier(lm, task.patterns, task.verbalizer, **task.length, **trained),
    "pet-distilled": lambda lm, task, trained: PETClassifier(
        lm, task.patterns, task.verbalizer, distill=True, **task.length, **trained
    ),
    "ipet": lambda lm, task, trained: PETClassifier(
        lm, task.patterns, task.verbalizer, generations=1, distill=True, **task.length, **trained
    ),
    "p-tuning": lambda lm, task, trained: PTuningClassifier(
        lm,
        with_virtual_tokens(task.patterns[0]),
        task.verbalizer,
        epochs=2 * trained["epochs"],
        learning_rate=task.prompt_learning_rate,
        **task.length,
    ),
    "fine-tune": lambda lm, task, trained: FineTuneClassifier(lm, **task.length, **trained),
    "setfit": lambda lm, task, trained: SetFitClassifier(lm, **task.length, learning_rate=trained["learning_rate"]),
    "demonstrations": lambda lm, task, trained: DemonstrationClassifier(
        lm, task.patterns[0], task.verbalizer, **task.length
    ),
    "nsp": lambda lm, task, trained: NSPClassifier(next_sentence(lm, task), **label_sentences(task), **task.length),
    "linear-probe": lambda lm, task, trained: LinearProbeClassifier(lm, **task.length),
    "tfidf": lambda lm, task, trained: TfidfClassifier(),
}
DEFAULT_METHODS = "pet,fine-tune,linear-probe,tfidf"
NEED_UNLABELED = ("pet-semi", "pet-distilled", "ipet")


@dataclass(frozen=True)
class Task:
    """Patterns and words of a task, `{"max_length": tokens}`, the model's name, and the rate of a prompt."""

    patterns: list
    verbalizer: dict
    length: dict
    model: str
    prompt_learning_rate: float


def with_virtual_tokens(pattern):
    """A pattern with four virtual tokens before and behind it."""
    return f"[P*4]{pattern}[P*4]"


def next_sentence(lm, task):
    """The model that NSP-BERT asks."""
    try:
        return NextSentence.from_pretrained(task.model, backbone=lm.backbone)
    except WeightsMismatch as error:
        raise InputError(
            f"nsp asks the next-sentence head of a BERT, and {task.model} has none that fits. Give --model one of "
            f"Google's, e.g. chinese_L-12_H-768_A-12, or leave nsp out.\n{error}"
        ) from None


def label_sentences(task):
    """What NSP-BERT asks: the first pattern without its text, with the first word of each label in the mask."""
    pieces = Pattern(task.patterns[0]).pieces
    fields = [i for i, piece in enumerate(pieces) if FIELD.fullmatch(piece)]
    kept = [BRACES.get(piece, piece) for i, piece in enumerate(pieces) if i not in fields and piece != SEPARATOR]
    texts = {
        label: re.sub(r"(\[MASK\])+", lambda _, word=words[0]: word, "".join(kept))
        for label, words in task.verbalizer.items()
    }
    return {"label_texts": texts, "label_first": pieces.index(MASK) < fields[0]}


def add_fewshot(verbs):
    """Add the verb to the parsers of `nlpgen`."""
    verb = verbs.add_parser("fewshot", help="compare methods on few labels: training sets, seeds, significance")
    verb.add_argument("--train", required=True, metavar="FILE", help="labelled texts: .tsv, .csv or .jsonl")
    verb.add_argument("--test", required=True, metavar="FILE", help="labelled texts to judge by")
    verb.add_argument(
        "--unlabeled", metavar="FILE", help=f"texts without labels, which {', '.join(NEED_UNLABELED)} need"
    )
    verb.add_argument("--validation", metavar="FILE", help="labelled texts that methods may choose by")
    verb.add_argument(
        "--fields", metavar="NAME,NAME", help="columns that are texts (default text, and text_b if there)"
    )
    add_task_options(verb)
    verb.add_argument(
        "--methods",
        default=DEFAULT_METHODS,
        metavar="NAME,NAME",
        help=f"of {', '.join(METHODS)} (default {DEFAULT_METHODS})",
    )
    verb.add_argument(
        "--reference", metavar="NAME", help="the method to test the others against (default fine-tune, if it is there)"
    )
    verb.add_argument(
        "--sizes", metavar="N,N", help="numbers of labels to draw from --train, e.g. 0,8,32 (default: all of it once)"
    )
    verb.add_argument("--splits", type=int, default=5, metavar="N", help="training sets of each size (default 5)")
    verb.add_argument("--seeds", type=int, default=3, metavar="N", help="runs on each training set (default 3)")
    verb.add_argument("--epochs", type=int, default=10, metavar="N", help="of those that are trained (default 10)")
    verb.add_argument(
        "--learning-rate",
        type=float,
        metavar="X",
        help="of those that train the model (default 1e-3 of PET and 2e-4 of the others, for bert-tiny-zh; 2e-5 is for "
        "BERT-base)",
    )
    verb.add_argument(
        "--prompt-learning-rate", type=float, default=1e-3, metavar="X", help="of p-tuning (default 1e-3)"
    )
    verb.add_argument("--max-length", type=int, metavar="N", help="most tokens of a text (default the task's, or 128)")
    verb.add_argument("--cache", metavar="DIR", help="keeps finished runs: the same command goes on where it stopped")
    verb.add_argument("--json", action="store_true", help="print JSON, predictions included, instead of Markdown")
    verb.add_argument("--markdown", metavar="FILE", help="write the table to a file too")
    verb.add_argument("--plot", metavar="FILE", help="draw accuracy against number of labels, e.g. curve.png")
    add_model_options(verb)
    verb.set_defaults(run=run_fewshot)


def run_fewshot(options):
    """Run the verb: the table goes to standard output, a line for each run to standard error."""
    names = _names(options.methods)
    needy = [name for name in names if name in NEED_UNLABELED]
    if needy and not options.unlabeled:
        raise InputError(f"{', '.join(needy)} learn from unlabelled texts. Give them: --unlabeled FILE.")
    sizes = _sizes(options.sizes)
    _check_outputs(options)
    words = label_words(options)
    fields = options.fields.split(",") if options.fields else None
    train, test = (read_labelled(path, fields) for path in (options.train, options.test))
    settings = {
        "seeds": range(options.seeds),
        "reference": options.reference or ("fine-tune" if "fine-tune" in names else None),
        "cache": options.cache,
        "report": lambda run: print(f"nlpgen: {run}: {run.fit_seconds + run.predict_seconds:.1f} s", file=sys.stderr),
    }
    if options.unlabeled:
        settings["unlabeled"] = read_labelled(options.unlabeled, tuple(train.columns), labelled=False)
    if options.validation:
        settings["validation"] = read_labelled(options.validation, fields)
    preset = None if words else load_preset(options.task)
    length = {"max_length": options.max_length or (preset.max_length if preset else 128)}
    asked = (options.pattern, words) if words else (preset.patterns, preset.verbalizer)
    task = Task(*asked, length, options.model, options.prompt_learning_rate)
    _check_labels(task.verbalizer, train, test)
    Question(task.patterns, task.verbalizer)
    for rate in (training_options(names[0], options)["learning_rate"], options.prompt_learning_rate):
        check_options(options.epochs, 1, rate, None, False)
    masked_lm = load_masked_lm(options)
    classifiers = {name: METHODS[name](masked_lm, task, training_options(name, options)) for name in names}
    if sizes:
        found = learning_curve(classifiers, train, test, sizes, splits=options.splits, **settings)
    else:
        found = compare(classifiers, train, test, **settings)
    print(found.to_json() if options.json else found.to_markdown(), end="")
    if options.markdown:
        Path(options.markdown).write_text(found.to_markdown(), encoding="utf-8")
    if options.plot:
        found.plot(options.plot)


def training_options(name, options):
    """Options of a method that is trained. PET starts from a head that knows words, and learns at a higher rate; see
    benchmarks/few_shot_settings.py.
    """
    default = 1e-3 if "pet" in name else 2e-4
    rate = default if options.learning_rate is None else options.learning_rate
    return {"epochs": options.epochs, "learning_rate": rate}


def _names(text):
    names = text.split(",")
    for name in names:
        if name not in METHODS:
            near = difflib.get_close_matches(name, METHODS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"There is no method {name!r}.{hint} There are: {', '.join(METHODS)}.")
    return names


def _sizes(text):
    parts = text.split(",") if text else []
    if not all(part.strip().isdecimal() for part in parts):
        raise InputError(f"--sizes wants whole numbers, e.g. 0,8,32. Received: {text!r}")
    return [int(part) for part in parts]


def _check_outputs(options):
    """What would fail at the end is said before hours of training."""
    for name in ("markdown", "plot"):
        path = getattr(options, name)
        if path and not Path(path).parent.is_dir():
            raise InputError(f"--{name} {path}: there is no folder {Path(path).parent}. Make it first.")
    if options.plot:
        check_figure(options.plot)


def _check_labels(verbalizer, *sets):
    if isinstance(verbalizer, Candidates):
        raise InputError("This task has candidates in each input; compare methods for it in Python.")
    known = verbalizer.labels if isinstance(verbalizer, Verbalizer) else list(verbalizer)
    unknown = sorted({label for data in sets for label in data.labels} - set(known))
    if unknown:
        raise InputError(
            f"The files have labels without words: {', '.join(unknown[:10])}. There are words for {', '.join(known)}. "
            "Give each label its words with --label, or correct the labels."
        )
