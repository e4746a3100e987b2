"""Few-shot evaluation as it should be: several training sets and seeds, the same test rows, tests of significance.

A single run on 32 labels says little: the draw of the 32 moves the accuracy by more than most methods differ. So each
classifier is trained on every training set with every seed, and compared on the test rows that none of them has seen.
"""

import gc
import inspect
import time

import numpy as np

from nlpgen.data import LabelledTexts, as_rows, few_shot_splits, find_leaks
from nlpgen.errors import InputError, RunFailed
from nlpgen.prompts.comparison import Comparison, Run
from nlpgen.prompts.run_cache import RunCache, fingerprint

SIZES = (0, 4, 8, 16, 32, 64, 168)


def compare(
    classifiers,
    train,
    test,
    seeds=(0, 1, 2),
    unlabeled=None,
    validation=None,
    reference=None,
    clean=True,
    cache=None,
    report=None,
):
    """Train classifiers on the same training sets and judge them by the same test set.

    The runs of a classifier train one copy, `type(c)(**c.get_params())`, again and again: `fit` must forget what was
    learned before, as those of nlpgen and scikit-learn do. It gets texts and labels, and `unlabeled` and
    `validation_data` as far as it takes them; it never sees the test set. Without labels only a classifier with
    `zero_shot = True` takes part, which is then fitted to `[], []`. A classifier without the parameter `seed` runs once
    on each training set, one without `fit` once, and without labels and unlabelled texts the first seed does. Where
    `predict` gives a dict `{answer: labels}`, one training has several rows in the table, named `classifier, answer`.

    Args:
        classifiers: `{name: classifier}` with `get_params`, `set_params`, `fit` and `predict`.
        train: `LabelledTexts`, a pair (texts, labels), or a list of either: the training sets; `None` for no labels.
        test: `LabelledTexts` or (texts, labels).
        seeds: whole numbers; each is set in turn as `seed`.
        unlabeled: `LabelledTexts` or texts without labels.
        validation: as `train`; of a list each is for the training set at its place.
        reference: name of the classifier that all others are tested against; `None` for no tests.
        clean: whether to test on clean rows only: those that are in no set that a classifier sees, and once in `test`.
        cache: a folder that keeps each run; a comparison that was interrupted goes on from there.
        report: a function that is called with each `Run` as it is finished.

    Returns:
        `Comparison`.

    Raises:
        InputError: if the arguments are wrong; with all that are.
        RunFailed: if a run does; its `finished` holds the runs before it.

    Example:
        >>> from nlpgen import MaskedLM, PETClassifier
        >>> from nlpgen.prompts import compare
        >>> mlm = MaskedLM.from_pretrained("bert-tiny-zh")
        >>> pet = PETClassifier.from_preset("sentiment", mlm, calibration="context")
        >>> found = compare({"pet": pet}, None, (["早餐丰富，下次还来", "太吵了，一夜没睡"], ["正面", "负面"]))
        >>> found.table[0]["accuracy"]
        1.0
    """
    splits = _splits(train)
    size = round(sum(len(labels) for _, labels in splits) / max(1, len(splits)))
    return _compare(classifiers, {size: splits}, test, seeds, unlabeled, validation, reference, clean, cache, report)


def learning_curve(
    classifiers,
    train,
    test,
    sizes=SIZES,
    seeds=(0, 1, 2),
    splits=5,
    unlabeled=None,
    validation=None,
    reference=None,
    clean=True,
    cache=None,
    report=None,
):
    """`compare` with training sets of several sizes, drawn from one: what accuracy costs in labels.

    Args:
        train: `LabelledTexts` or (texts, labels) to draw from, by `few_shot_splits`.
        sizes: numbers of labels in all; 0 for none. Where `train` has just as many there is one training set.
        splits: number of training sets of each size.

    The others are those of `compare`, `validation` one set for all.
    """
    pool = _pair(train, "train")
    if not sizes:
        raise InputError("`sizes` is empty. Give numbers of labels, e.g. (0, 8, 32).")
    if isinstance(validation, list):
        raise InputError("`validation` must be one set for all sizes. Received a list.")
    sets = {}
    for size in sizes:
        drawn = [range(size)] if size in (0, len(pool[1])) else few_shot_splits(pool[1], total=size, n=splits)
        sets[size] = [_take(pool, rows) for rows in drawn]
    return _compare(classifiers, sets, test, seeds, unlabeled, validation, reference, clean, cache, report)


def _compare(classifiers, sets, test, seeds, unlabeled, validation, reference, clean, cache, report):
    test_texts, expected = _pair(test, "test")
    unlabeled = unlabeled.inputs if isinstance(unlabeled, LabelledTexts) else unlabeled
    held_out = validation if isinstance(validation, list) else [validation]
    held_out = [data if data is None else _pair(data, "validation") for data in held_out]
    _check(classifiers, sets, expected, seeds, held_out, reference)
    leaks = find_leaks(
        _pooled([texts for splits in sets.values() for texts, _ in splits]),
        test_texts,
        unlabeled,
        _pooled([data[0] for data in held_out if data is not None]) or None,
    )
    if clean and not leaks.clean_rows:
        raise InputError(f"{leaks}: nothing is left to compare on. Take other test rows, or give clean=False.")
    cache = None if cache is None else RunCache(cache)
    settings = {name: None if cache is None else _settings(each) for name, each in classifiers.items()}
    runs, copies = [], {}
    for name, size, split, seed in _jobs(classifiers, sets, [int(seed) for seed in seeds], unlabeled):
        i = split or 0
        data = (sets[size][i], unlabeled, held_out[i % len(held_out)], test_texts)
        path = cache and cache.path(f"{name}-{size}-split{split}-seed{seed}", [settings[name], seed, data])
        try:
            found = cache.read(path) if cache else None
            if found is None:
                found = _run(_copy(copies, (name, size), classifiers[name]), seed, *data)
                if cache:
                    cache.write(path, found)
        except Exception as error:
            message = f"{name} failed with {size} labels, split {split}, seed {seed}: {error}"
            raise RunFailed(message, runs) from error
        several = found.pop("predictions")
        several = several if isinstance(several, dict) else {None: several}
        for answer, predictions in several.items():
            called = name if answer is None else f"{name}, {answer}"
            runs.append(Run(called, size, split, seed, predictions, **found))
            if report is not None:
                report(runs[-1])
    if not runs:
        raise InputError(
            "Without labels only classifiers with `zero_shot = True` can take part, and none of "
            f"{', '.join(classifiers)} is one. Give labelled texts."
        )
    train_labels = {size: [labels for _, labels in splits] for size, splits in sets.items()}
    return Comparison(runs, expected, train_labels, leaks, reference, clean)


def _jobs(classifiers, sets, seeds, unlabeled):
    """`(name, size, split, seed)` of all runs."""
    for size, splits in sets.items():
        for name, classifier in classifiers.items():
            if not hasattr(classifier, "fit"):
                yield name, size, None, None
            elif size or getattr(classifier, "zero_shot", False):
                some = seeds if size or unlabeled is not None else seeds[:1]
                some = some if "seed" in classifier.get_params() else [None]
                yield from ((name, size, split, seed) for split in range(len(splits)) for seed in some)


def _copy(copies, key, classifier):
    """The copy of a classifier that its runs train, the only one in `copies`."""
    if key not in copies:
        if copies:
            copies.clear()  # first: a Keras model is a cycle of references, and the next one needs its memory
            gc.collect()
        copies[key] = type(classifier)(**classifier.get_params())
    return copies[key]


def _run(classifier, seed, train, unlabeled, validation, test_texts):
    """Train and test; what `Run` holds of it."""
    if seed is not None:
        classifier.set_params(seed=seed)
    begin = time.perf_counter()
    if hasattr(classifier, "fit"):
        takes = inspect.signature(classifier.fit).parameters
        more = {"unlabeled": unlabeled, "validation_data": validation}
        classifier.fit(*train, **{name: data for name, data in more.items() if data is not None and name in takes})
    fitted = time.perf_counter()
    predictions = classifier.predict(test_texts)
    done = time.perf_counter()
    count = len(as_rows(test_texts))
    if isinstance(predictions, dict):
        predictions = {answer: _checked(labels, count) for answer, labels in predictions.items()}
    else:
        predictions = _checked(predictions, count)
    return {"predictions": predictions, "fit_seconds": fitted - begin, "predict_seconds": done - fitted}


def _checked(predictions, count):
    predictions = list(predictions)
    if len(predictions) != count or not all(isinstance(label, str) for label in predictions):
        raise InputError(f"`predict` must give {count} strings. Received: {predictions!r:.80}")
    return [str(label) for label in predictions]


def _settings(classifier):
    params = {name: value for name, value in classifier.get_params().items() if name != "seed"}
    return fingerprint([type(classifier).__qualname__, params])


def _splits(train):
    return [_pair(data, "train") for data in (train if isinstance(train, list) else [train])]


def _pair(data, name):
    """`(texts, labels)` of labelled texts in any form; of `None` none."""
    if data is None and name == "train":
        return [], []
    if isinstance(data, LabelledTexts):
        data = data.inputs, data.labels
    if not isinstance(data, tuple) or len(data) != 2 or data[1] is None or isinstance(data[1], str):
        raise InputError(
            f"`{name}` must be LabelledTexts with labels, or a pair (texts, labels). Received: {data!r:.80}"
        )
    texts, labels = data[0], list(data[1])
    if len(as_rows(texts)) != len(labels):
        raise InputError(f"`{name}` has {len(as_rows(texts))} texts and {len(labels)} labels. Give as many of both.")
    return texts, labels


def _pooled(sets):
    """The texts of several sets as one; of columns with names those that all have."""
    if sets and all(isinstance(texts, dict) for texts in sets):
        fields = [field for field in sets[0] if all(field in texts for texts in sets)]
        return {field: [cell for texts in sets for cell in texts[field]] for field in fields}
    return [row for texts in sets for row in as_rows(texts)]


def _take(pair, rows):
    texts, labels = pair
    if isinstance(texts, dict):
        texts = {field: [column[i] for i in rows] for field, column in texts.items()}
    else:
        texts = [texts[i] for i in rows]
    return texts, [labels[i] for i in rows]


def _check(classifiers, sets, expected, seeds, held_out, reference):
    problems = []
    if not isinstance(classifiers, dict) or not classifiers:
        raise InputError(f"`classifiers` must be a dict {{name: classifier}}. Received: {classifiers!r:.80}")
    lacking = [
        name for name, each in classifiers.items() if not (hasattr(each, "predict") and hasattr(each, "get_params"))
    ]
    if lacking:
        problems.append(f"{', '.join(lacking)}: a classifier has `get_params`, `set_params`, `fit` and `predict`")
    if not all(sets.values()):
        problems.append("`train` has no training set: give one or more, or None for no labels")
    if not expected:
        problems.append("`test` is empty")
    whole = all(isinstance(seed, int | np.integer) and not isinstance(seed, bool) and seed >= 0 for seed in seeds)
    if not len(seeds) or not whole or len(set(seeds)) < len(seeds):
        problems.append(f"`seeds` must be different whole numbers, 0 or more. Received: {seeds!r}")
    if len(held_out) > 1 and any(len(splits) != len(held_out) for splits in sets.values()):
        problems.append(f"`validation` has {len(held_out)} sets: give one, or one for each training set")
    if reference is not None and reference not in classifiers:
        problems.append(f"`reference` must be one of {', '.join(classifiers)}. Received: {reference!r}")
    if problems:
        raise InputError("The comparison cannot be made:\n  " + "\n  ".join(problems) + "\nCorrect the arguments.")
