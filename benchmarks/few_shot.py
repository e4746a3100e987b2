"""Prompt learning against plain baselines on Chinese few-shot sets: five training sets each, paired tests.

    python benchmarks/few_shot.py --data FOLDER --work FOLDER [--sets eprstmt tnews]

FOLDER of `--data` holds `sentiment/` (Su's set) and `fewclue/`, which nlpgen may not ship. Finished runs stay in
`--work`; a second start goes on with those that are missing, and prints the tables of all.

Of FewCLUE the five training sets are used, each with its own development rows (the first 200), and of the public test
rows 2,000 at most, drawn once (`--test-rows`); of Su's set the first 168 rows, the first 168 valid rows, and all test
rows. Rows of chid with an idiom that the tokenizer does not know are left out.
Development rows choose the epoch of every method that trains by epochs, and the pattern of "PET, best pattern on dev".
Patterns, epochs, lengths and unlabelled texts are those of `PLANS` in few_shot_tasks.py, the learning rates those that
few_shot_settings.py chose; both are printed with the tables. The rows of PET from "first pattern" to "distilled" come
from one training: its patterns are trained apart, so each can be asked alone, all as an ensemble, and the
`TextClassifier` that is distilled from it. "PET, ensemble" is the one that counts against fine-tuning; where there is
one pattern, "PET, first pattern". A `TextClassifier` reads two fields at most, so nothing is distilled for cluewsc.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from few_shot_rates import RATES, read_rates
from few_shot_tasks import PLANS, SPLITS, classifier_of, read_task
from machine import machine

from nlpgen import CausalLM, MaskedLM, PETClassifier
from nlpgen.estimator import Estimator
from nlpgen.metrics import accuracy, paired_bootstrap
from nlpgen.prompts import (
    Candidates,
    DemonstrationClassifier,
    LinearProbeClassifier,
    SetFitClassifier,
    TfidfClassifier,
    compare,
)

EIGHT_ROWS = ("sentiment", "eprstmt", "ocnli", "csl", "chid")
SIMPLE = ("zero-shot", "zero-shot, calibrated", "linear probe", "TF-IDF")
PET = ("PET, ensemble", "PET, first pattern")  # the row that counts: the second where there is one pattern


class ZeroShot(Estimator):
    """A PETClassifier that is asked as it is, once."""

    def __init__(self, pet):
        self.pet = pet

    def predict(self, texts):
        return self.pet.predict(texts)


class UnlabelledOnly(PETClassifier):
    """Learns from unlabelled texts alone."""

    def fit(self, texts, labels, unlabeled):
        return super().fit([], [], unlabeled=unlabeled)


class EachAnswer(PETClassifier):
    """Says what the first pattern, the best on the development rows, all of them, and the distilled classifier say."""

    def fit(self, texts, labels, unlabeled, validation_data):
        super().fit(texts, labels, unlabeled=unlabeled, validation_data=validation_data)
        held_out, expected = validation_data
        self.best_ = np.argmax([accuracy(expected, self.said(p)) for p in self.predict_proba_by_model(held_out)])
        return self

    def predict(self, texts):
        each = self.predict_proba_by_model(texts)
        said = {"first pattern": self.said(each[0])}
        if len(each) > 1:
            said |= {"best pattern on dev": self.said(each[self.best_])}
            said |= {"ensemble": self.said(np.tensordot(self.weights_, each, 1))}
        return said | ({"distilled": super().predict(texts)} if self.distill else {})

    def said(self, probabilities):
        labels = list(self.verbalizer)
        return [labels[i] for i in probabilities.argmax(axis=-1)]


def methods(name, mlm, gpt, task, rates):
    """`{name: classifier}` for a set."""
    words, options, length = task.verbalizer, task.options, {"max_length": task.options["max_length"]}
    pet = options | {"learning_rate": rates["PET"], "mlm_weight": 0.0}
    distill = {"distill": len(task.train[0].columns) < 3, "distill_epochs": 2 * options["epochs"]}
    found = {
        "zero-shot": ZeroShot(PETClassifier(mlm, task.patterns, words, **length)),
        "zero-shot, calibrated": ZeroShot(PETClassifier(mlm, task.patterns, words, calibration="context", **length)),
    }
    if name in EIGHT_ROWS:
        found["P-tuning, 8 rows"] = classifier_of("P-tuning, 8 rows", rates["P-tuning, 8 rows"], mlm, gpt, task)
    if isinstance(words, Candidates):  # each text has labels of its own: no other method is defined
        return found | {"PET, first pattern": PETClassifier(mlm, task.patterns, words, **pet)}
    found |= {
        "fine-tuning": classifier_of("fine-tuning", rates["fine-tuning"], mlm, gpt, task),
        "linear probe": LinearProbeClassifier(mlm, **length),
        "TF-IDF": TfidfClassifier(),
        "PET": EachAnswer(mlm, task.patterns, words, **distill, **pet),
    }
    first = task.patterns[0]
    if name == "iflytek":
        cut = names_of_two(words)
        found["zero-shot, names cut to two characters"] = ZeroShot(PETClassifier(mlm, first, cut, **length))
        found["PET, names cut to two characters"] = PETClassifier(mlm, first, cut, **pet)
        found["PET, a word's mean over its tokens"] = PETClassifier(mlm, first, words, normalization="length", **pet)
    if name == "sentiment":
        for method in ("P-tuning, all", "P-tuning of the GPT"):
            found[method] = classifier_of(method, rates[method], mlm, gpt, task)
        found |= {
            "SetFit": SetFitClassifier(mlm, learning_rate=1e-4, iterations=5, **length),
            "demonstrations": DemonstrationClassifier(mlm, first, words),
            "PET, unlabelled texts only": UnlabelledOnly(mlm, first, words, **pet | {"mlm_weight": 1.0, "epochs": 3}),
            "PET, semi-supervised": PETClassifier(mlm, first, words, **pet | {"mlm_weight": 0.1}),
        }
    return found


def names_of_two(names):
    """Each name cut to two characters, the first and the next that no other has: 社交 for 社交工具."""
    cut = {}
    for name in sorted(names, key=len):
        cut[name] = next(word for c in name[1:] if (word := name[0] + c) not in cut.values())
    return cut


def verdicts(found):
    """What the table says of the claims, as lines."""
    rows = {row["classifier"]: row for row in found.table}
    pet = next(name for name in PET if name in rows)
    clean = {name: 100 * row["clean_accuracy"] for name, row in rows.items()}
    above = [f"{name} ({clean[name]:.1f})" for name in SIMPLE if name in rows and clean[name] >= clean[pet]]
    yield f"Simple baselines that {pet} ({clean[pet]:.1f} on clean rows) does not beat: {', '.join(above) or 'none'}."
    single = "PET, best pattern on dev" if "PET, best pattern on dev" in rows else "PET, first pattern"
    pairs = [
        (pet, "fine-tuning"),
        ("PET, distilled", single),
        ("PET, first pattern", "PET, names cut to two characters"),
        ("PET, a word's mean over its tokens", "PET, names cut to two characters"),
        ("zero-shot", "zero-shot, names cut to two characters"),
    ]
    for pair in pairs:
        if all(name in rows for name in pair):
            said = [[[run.predictions[i] for i in found.leaks.clean_rows] for run in runs_of(found, n)] for n in pair]
            test = paired_bootstrap([found.expected[i] for i in found.leaks.clean_rows], *said)
            difference, low, high = (100 * value for value in (test.difference, test.low, test.high))
            yield f"{pair[0]} − {pair[1]}: {difference:+.1f} [{low:+.1f}, {high:+.1f}], p {test.p:.3f} (not corrected)."


def runs_of(found, name):
    return [run for run in found.runs if run.classifier == name]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="keeps finished runs")
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--causal", default="gpt-tiny-zh")
    parser.add_argument("--sets", nargs="+", choices=PLANS, default=tuple(PLANS))
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--test-rows", type=int, default=2000, help="of FewCLUE")
    parser.add_argument("--rates", type=Path, default=RATES, help="what few_shot_settings.py wrote")
    options = parser.parse_args()
    mlm, gpt = MaskedLM.from_pretrained(options.model), CausalLM.from_pretrained(options.causal)
    rates = read_rates(options.rates)
    print(f"{machine('tensorflow', 'keras')}; {options.model}, {options.causal}; seed 0.")
    print(f"Learning rates, by few_shot_settings.py: {', '.join(f'{name} {rate:g}' for name, rate in rates.items())}.")
    for name in options.sets:
        task = read_task(name, options.data, options.test_rows, options.splits, mlm.tokenizer)
        begin = time.perf_counter()
        classifiers = methods(name, mlm, gpt, task, rates)
        found = compare(
            classifiers,
            task.train,
            task.test,
            seeds=[0],
            unlabeled=task.unlabelled,
            validation=[data[:200] for data in task.validation],
            reference="fine-tuning" if "fine-tuning" in classifiers else None,
            cache=options.work / name,
            report=lambda run: print(f"{run}: {run.fit_seconds:.0f} + {run.predict_seconds:.0f} s", file=sys.stderr),
        )
        where = "test rows outside the test, labels unread" if PLANS[name].from_test else "the set's own"
        about = (
            f"{len(task.patterns)} patterns, {task.options['epochs']} epochs of PET, twice as many of fine-tuning, "
            f"P-tuning and the student, {task.options['max_length']} tokens; {len(task.unlabelled)} unlabelled texts "
            f"({where}), seed 0"
        )
        print(f"\n## {name}\n\n{found.to_markdown()}- {about}; this start took {time.perf_counter() - begin:.0f} s.")
        for line in verdicts(found):
            print(f"- {line}", flush=True)


if __name__ == "__main__":
    main()
