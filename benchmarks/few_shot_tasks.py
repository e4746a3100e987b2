"""What the few-shot benchmarks share: their sets, the plan of each, and the classifiers."""

from dataclasses import dataclass

import numpy as np

from nlpgen import PETClassifier, PTuningClassifier
from nlpgen.data import read_fewclue, read_sentiment
from nlpgen.prompts import FineTuneClassifier, load_preset

FEW_LABELS = 168  # Su's, of the sentiment set
SPLITS = 5  # FewCLUE's training sets


@dataclass(frozen=True)
class Plan:
    """How much of a set is used, and how long it is trained on; sized so that all sets fit into two hours of two cores.

    Attributes:
        patterns: so many of the preset's, the first ones.
        epochs: of PET; fine-tuning, P-tuning and the student that is distilled, which learn more slowly, have twice as
            many.
        max_length: tokens; `None` for the preset's.
        unlabelled: texts.
        from_test: whether these are test rows that are not drawn for the test, their labels unread, since the set has
            no unlabelled texts.
    """

    patterns: int = 3
    epochs: int = 10
    max_length: int | None = None
    unlabelled: int = 200
    from_test: bool = False


PLANS = {
    "sentiment": Plan(),
    "eprstmt": Plan(),
    "tnews": Plan(epochs=5),
    "ocnli": Plan(patterns=2, unlabelled=100, from_test=True),
    "csl": Plan(max_length=128, unlabelled=100, from_test=True),
    "chid": Plan(patterns=1),
    "cluewsc": Plan(unlabelled=100, from_test=True),
    "iflytek": Plan(patterns=1, max_length=48, unlabelled=100, from_test=True),
}


@dataclass(frozen=True)
class Task:
    """A set with what is asked of it.

    Attributes:
        patterns, verbalizer: of the preset.
        options: arguments that all trained classifiers have.
        train, validation: lists of `LabelledTexts`.
        unlabelled, test: `LabelledTexts`.
    """

    patterns: list
    verbalizer: dict
    options: dict
    train: list
    validation: list
    unlabelled: object
    test: object


def read_task(name, folder, test_rows=None, splits=SPLITS, tokenizer=None):
    """A set's `Task`.

    Args:
        folder: it holds `sentiment/` and `fewclue/`.
        test_rows: of FewCLUE so many of the public test rows, drawn once; at most, and by default, all that are not
            the plan's unlabelled texts.
        tokenizer: where inputs have candidates of their own, rows with one that it does not know are left out.
    """
    plan, preset = PLANS[name], load_preset(name)
    if name == "sentiment":
        train, valid, test = (read_sentiment(folder / "sentiment", part) for part in ("train", "valid", "test"))
        unlabelled = train[FEW_LABELS : FEW_LABELS + plan.unlabelled]
        train, validation = [train[:FEW_LABELS]], [valid[:FEW_LABELS]]
    else:

        def read(part):
            return known(read_fewclue(folder / "fewclue", name, part), tokenizer)

        train, validation = ([read(f"{part}_{i}") for i in range(splits)] for part in ("train", "dev"))
        test = read("test_public")
        order = np.random.default_rng(0).permutation(len(test)).tolist()
        rows = len(order) - plan.unlabelled if plan.from_test else len(order)
        rows = rows if test_rows is None else min(rows, test_rows)
        others = test[order[rows:]] if plan.from_test else read("unlabeled")
        unlabelled = others[: plan.unlabelled]
        test = test[sorted(order[:rows])]
    options = {"epochs": plan.epochs, "batch_size": 16, "max_length": plan.max_length or preset.max_length}
    return Task(preset.patterns[: plan.patterns], preset.verbalizer, options, train, validation, unlabelled, test)


def known(data, tokenizer):
    """The rows whose candidates, if they have any, have no unknown token."""
    if "candidates" not in data.columns or tokenizer is None:
        return data
    told = enumerate(data.columns["candidates"])
    return data[[i for i, words in told if tokenizer.unk_id not in tokenizer.ids("".join(words))]]


def classifier_of(method, rate, mlm, gpt, task):
    """A method with a learning rate, on the first pattern."""
    pattern, words, options = task.patterns[0], task.verbalizer, task.options
    longer = options | {"epochs": 2 * options["epochs"]}
    prompted = f"[P*4]{pattern}[P*4]"
    match method:
        case "PET":
            return PETClassifier(mlm, pattern, words, learning_rate=rate, mlm_weight=0.0, **options)
        case "fine-tuning":
            return FineTuneClassifier(mlm, learning_rate=rate, **longer)
        case "P-tuning, 8 rows":
            return PTuningClassifier(mlm, prompted, words, learning_rate=rate, **longer)
        case "P-tuning, all":
            rates = {"learning_rate": 1e-2, "lm_learning_rate": rate}
            return PTuningClassifier(mlm, prompted, words, trainable="all", **rates, **longer)
        case "P-tuning of the GPT":
            return PTuningClassifier(gpt, "[P*4]{text}[P*4][MASK]", words, learning_rate=rate, **longer)
    raise ValueError(method)
