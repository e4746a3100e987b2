"""What a few-shot comparison found: its runs, and the table, JSON and picture made of them."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from nlpgen.data import Leaks, class_balance
from nlpgen.metrics import accuracy, combined_p, holm, macro_f1, mcnemar, mean_sd, paired_bootstrap
from nlpgen.training.plot import figure_class, save_figure
from nlpgen.version import __version__

SHOWN_CLASSES = 10


@dataclass(frozen=True)
class Run:
    """One classifier, trained once.

    Attributes:
        classifier: its name in the comparison.
        size: number of labels it was trained on, as the table has it.
        split: number of the training set; `None` for a classifier that does not learn.
        seed: `None` for a classifier without one.
        predictions: a label for each test row.
        fit_seconds, predict_seconds: how long it took.
    """

    classifier: str
    size: int
    split: int | None
    seed: int | None
    predictions: list
    fit_seconds: float
    predict_seconds: float

    def __str__(self):
        return f"{self.classifier}, {self.size} labels, split {self.split}, seed {self.seed}"


@dataclass(frozen=True)
class Comparison:
    """Classifiers on the same training and test sets.

    Attributes:
        runs: a `Run` for each classifier, training set and seed.
        expected: the labels of the test rows.
        train_labels: `{size: [labels of each training set]}`.
        leaks: which test rows are no fair test.
        reference: the classifier that the others are tested against, or `None`.
        clean: whether the tests use the clean test rows only.
    """

    runs: list
    expected: list
    train_labels: dict
    leaks: Leaks
    reference: str | None = None
    clean: bool = True

    @cached_property
    def table(self):
        """A dict for each classifier and number of labels.

        `classifier`, `size`, `runs`; `accuracy`, `accuracy_sd` (over all runs), the same on the clean rows as
        `clean_accuracy`, `clean_accuracy_sd` (`None` if there is no clean row); `macro_f1`; `fit_seconds` and
        `predict_seconds`, medians. Against the reference at the same size: `difference` of the accuracies, `low` and
        `high` of its 95 % interval, `bootstrap_p`; `mcnemar_p`, of all pairs of runs on the same training set and
        seed, combined; both also corrected for the number of tests in the table, `bootstrap_p_holm` and
        `mcnemar_p_holm`. `None` where there is nothing to test.
        """
        table = [self._row(*key) for key in dict.fromkeys((run.classifier, run.size) for run in self.runs)]
        for name in ("bootstrap_p", "mcnemar_p"):
            tested = [row for row in table if row[name] is not None]
            corrected = iter(holm([row[name] for row in tested]))
            for row in table:
                row[f"{name}_holm"] = None if row[name] is None else next(corrected)
        return table

    def to_markdown(self):
        """The table as Markdown, accuracies in percent, with a note on rows, classes and tests."""
        columns = ["classifier", "labels", "runs", "accuracy", *self._clean_column(), "macro-F1"]
        if self.reference is not None:
            columns += [f"against {self.reference} [95 %]", "p", "McNemar p"]
        columns += ["fit s", "predict s"]
        lines = [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
        lines += [f"| {' | '.join(self._cells(row))} |" for row in self.table]
        return "\n".join([*lines, "", *(f"- {note}" for note in self._notes())]) + "\n"

    def to_json(self):
        """Everything as a JSON object: settings, table, and the predictions of each run."""
        value = {
            "nlpgen": __version__,
            "reference": self.reference,
            "clean": self.clean,
            "test_rows": len(self.expected),
            "clean_rows": self.leaks.clean_rows,
            "leaks": self.leaks.rows,
            "test_balance": class_balance(self.expected),
            "train_balance": {size: [class_balance(x) for x in splits] for size, splits in self.train_labels.items()},
            "table": self.table,
            "expected": self.expected,
            "runs": [asdict(run) for run in self.runs],
        }
        return json.dumps(value, ensure_ascii=False, indent=1) + "\n"

    def plot(self, path):
        """Draw mean accuracy and its standard deviation over runs against the number of labels.

        Args:
            path: of a picture, see `nlpgen.training.plot.save_figure`. The clean rows count where `clean` is set.

        Raises:
            NlpgenError: if matplotlib is missing.
            OutputError: if the path cannot be written.
        """
        measure = "clean_accuracy" if self.clean else "accuracy"
        figure = figure_class()(figsize=(7, 4.5), layout="constrained")
        axes = figure.subplots()
        for name in dict.fromkeys(row["classifier"] for row in self.table):
            rows = sorted((row for row in self.table if row["classifier"] == name), key=lambda row: row["size"])
            axes.errorbar(
                [row["size"] for row in rows],
                [100 * row[measure] for row in rows],
                [100 * (row[f"{measure}_sd"] or 0) for row in rows],
                marker="o",
                capsize=3,
                label=name,
            )
        sizes = sorted({row["size"] for row in self.table})
        smallest = min((size for size in sizes if size), default=1)
        axes.set_xscale("symlog", base=2, linthresh=smallest)  # even steps for doublings, and room for 0
        axes.set_xticks(sizes, [str(size) for size in sizes], minor=False)
        axes.set(xlabel="labels", ylabel=f"accuracy, %{' (clean rows)' * self.clean}")
        axes.legend()
        save_figure(figure, path)

    def _row(self, name, size):
        runs = self._runs(name, size)
        scores = [accuracy(self.expected, run.predictions) for run in runs]
        clean_rows = self.leaks.clean_rows
        clean = mean_sd([self._accuracy(run, clean_rows) for run in runs]) if clean_rows else (None, None)
        row = {"classifier": name, "size": size, "runs": len(runs)}
        row |= dict(zip(("accuracy", "accuracy_sd"), mean_sd(scores), strict=True))
        row |= dict(zip(("clean_accuracy", "clean_accuracy_sd"), clean, strict=True))
        row["macro_f1"] = float(np.mean([macro_f1(self.expected, run.predictions) for run in runs]))
        row |= self._against_reference(name, runs, size)
        for seconds in ("fit_seconds", "predict_seconds"):
            row[seconds] = float(np.median([getattr(run, seconds) for run in runs]))
        return row

    def _against_reference(self, name, runs, size):
        others = [] if name == self.reference else self._runs(self.reference, size)
        if not others:
            return dict.fromkeys(("difference", "low", "high", "bootstrap_p", "mcnemar_p"))
        rows = self.leaks.clean_rows if self.clean else range(len(self.expected))
        expected = _take(self.expected, rows)
        first, second = ([_take(run.predictions, rows) for run in group] for group in (runs, others))
        found = paired_bootstrap(expected, first, second)
        tests = [
            mcnemar(expected, a, b).p
            for run, a in zip(runs, first, strict=True)
            for other, b in zip(others, second, strict=True)
            if _matches(run.split, other.split) and _matches(run.seed, other.seed)
        ]
        return {
            "difference": found.difference,
            "low": found.low,
            "high": found.high,
            "bootstrap_p": found.p,
            "mcnemar_p": combined_p(tests),
        }

    def _runs(self, name, size):
        return [run for run in self.runs if (run.classifier, run.size) == (name, size)]

    def _accuracy(self, run, rows):
        return accuracy(_take(self.expected, rows), _take(run.predictions, rows))

    def _clean_column(self):
        return ["on clean rows"] if self.leaks.clean_rows else []

    def _cells(self, row):
        cells = [row["classifier"], str(row["size"]), str(row["runs"]), _percent(row["accuracy"], row["accuracy_sd"])]
        cells += [_percent(row["clean_accuracy"], row["clean_accuracy_sd"]) for _ in self._clean_column()]
        cells.append(_percent(row["macro_f1"]))
        if self.reference is not None:
            tested = row["difference"] is not None
            interval = "{difference:+.1f} [{low:+.1f}, {high:+.1f}]"
            percent = {name: 100 * row[name] for name in ("difference", "low", "high")} if tested else {}
            cells.append(interval.format(**percent) if tested else "")
            cells += [_p(row[name]) for name in ("bootstrap_p_holm", "mcnemar_p_holm")]
        return [*cells, f"{row['fit_seconds']:.2f}", f"{row['predict_seconds']:.2f}"]

    def _notes(self):
        yield f"Accuracy in %: mean ± standard deviation over runs. {self.leaks}; {_balance(self.expected)}."
        for size, splits in self.train_labels.items():
            if size:
                yield f"{len(splits)} training sets of {size} labels, the first: {_balance(splits[0])}."
        if self.reference is not None:
            rows = "the clean test rows" if self.clean else "all test rows"
            yield (
                f"Differences in points and p on {rows}: paired bootstrap of the rows over the mean of the runs, and "
                "McNemar's test run by run; both p corrected by Holm's method over the table."
            )


def _take(values, rows):
    return [values[i] for i in rows]


def _matches(first, second):
    """Whether two runs share a split or seed; what does not depend on it shares all."""
    return first is None or second is None or first == second


def _balance(labels):
    counts = class_balance(labels)
    shown = ", ".join(f"{label} {count}" for label, count in list(counts.items())[:SHOWN_CLASSES])
    return shown + (f" and {len(counts) - SHOWN_CLASSES} more classes" if len(counts) > SHOWN_CLASSES else "")


def _percent(mean, sd=None):
    return f"{100 * mean:.1f}" + (f" ± {100 * sd:.1f}" if sd is not None else "")


def _p(p):
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
