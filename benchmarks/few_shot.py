"""Prompt learning against plain baselines on Chinese few-shot sets: every split, several seeds, paired tests.

    python benchmarks/few_shot.py --data FOLDER --work FOLDER [--sets eprstmt tnews] [--methods PET fine-tuning]

FOLDER of `--data` holds `sentiment/` (Su's set) and `fewclue/`, which nlpgen may not ship. Finished runs stay in
`--work`; a second start goes on with those that are missing, and prints the tables of all.

Each method has one setting for all sets, which is not tuned. Of FewCLUE the five
training sets are used, each with its own development rows to choose the epoch by; of Su's set the first 168 rows, and
the valid rows are not touched. `unlabelled` are 2,000 texts at most.
"""

import argparse
import sys
import time
from pathlib import Path

from machine import machine

from nlpgen import CausalLM, MaskedLM, Pattern, PETClassifier, PTuningClassifier
from nlpgen.data import read_fewclue, read_sentiment
from nlpgen.estimator import Estimator
from nlpgen.prompts import (
    Candidates,
    FineTuneClassifier,
    LinearProbeClassifier,
    TfidfClassifier,
    compare,
    load_preset,
)

SETS = ("sentiment", "eprstmt", "tnews", "ocnli", "csl", "chid", "cluewsc", "iflytek")
UNLABELLED = {"sentiment", "eprstmt", "tnews", "chid"}
FEW_LABELS = 168  # Su's, of the sentiment set
TRAINING = {"batch_size": 16, "patience": None}


class ZeroShot(Estimator):
    """A PETClassifier that is asked as it is, whatever labels there are."""

    def __init__(self, pet):
        self.pet = pet

    def predict(self, texts):
        return self.pet.predict(texts)


class Unsupervised(Estimator):
    """A PETClassifier that learns from unlabelled texts alone."""

    def __init__(self, pet, seed=0):
        self.pet = pet
        self.seed = seed

    def fit(self, texts, labels, unlabeled=None):
        self.pet.set_params(seed=self.seed).fit([], [], unlabeled=unlabeled)
        return self

    def predict(self, texts):
        return self.pet.predict(texts)


class Labelled(Estimator):
    """A classifier that sees the labelled texts only, also where there are others."""

    def __init__(self, classifier, seed=0):
        self.classifier = classifier
        self.seed = seed

    def fit(self, texts, labels, validation_data=None):
        self.classifier.set_params(seed=self.seed).fit(texts, labels, validation_data=validation_data)
        return self

    def predict(self, texts):
        return self.classifier.predict(texts)


def methods(mlm, gpt, preset, epochs):
    """`{name: classifier}` for a task."""
    p, words, length = preset.patterns, preset.verbalizer, {"max_length": preset.max_length}
    pet = {"learning_rate": 2e-4, "epochs": epochs, **TRAINING, **length}
    tuned = {"learning_rate": 1e-2, "epochs": 2 * epochs, **TRAINING, **length}
    first = p[0]
    found = {
        "zero-shot": ZeroShot(PETClassifier(mlm, p, words, **length)),
        "PET, first pattern": Labelled(PETClassifier(mlm, first, words, **pet)),
        "PET": Labelled(PETClassifier(mlm, p, words, **pet)),
        "P-tuning, 8 rows": Labelled(PTuningClassifier(mlm, f"[P*4]{first}[P*4]", words, **tuned)),
        "P-tuning, all": Labelled(
            PTuningClassifier(mlm, f"[P*4]{first}[P*4]", words, trainable="all", lm_learning_rate=2e-4, **tuned)
        ),
        "unsupervised": Unsupervised(PETClassifier(mlm, p, words, **{**pet, "epochs": 3}, mlm_weight=1.0)),
        "PET, semi-supervised": PETClassifier(mlm, p, words, **pet),
        "PET, distilled": PETClassifier(mlm, p, words, **{**pet, "epochs": 5}, distill=True),
    }
    if isinstance(words, Candidates):
        del found["PET, distilled"]
        return found  # each text has labels of its own: nothing else is defined
    if len(preset_fields(preset)) == 1:
        causal = f"[P*4]{{{preset_fields(preset)[0]}}}[P*4][MASK]"
        found["P-tuning of the GPT"] = Labelled(PTuningClassifier(gpt, causal, words, **tuned))
    found |= {
        "fine-tuning": FineTuneClassifier(mlm, learning_rate=5e-4, epochs=2 * epochs, batch_size=16, **length),
        "linear probe": LinearProbeClassifier(mlm, **length),
        "TF-IDF": TfidfClassifier(),
    }
    return found


def preset_fields(preset):
    """Names of the fields of a preset's patterns."""
    return list(dict.fromkeys(name for each in preset.patterns for name in Pattern(each).fields))


def data_of(name, folder):
    """Training sets, development sets, unlabelled texts and test rows."""
    if name == "sentiment":
        train = read_sentiment(folder / "sentiment", "train")
        test = read_sentiment(folder / "sentiment", "test")
        return [train[:FEW_LABELS]], None, train[FEW_LABELS : FEW_LABELS + 2000], test
    few = folder / "fewclue"
    splits = [[read_fewclue(few, name, f"{part}_{i}") for i in range(5)] for part in ("train", "dev")]
    unlabelled = read_fewclue(few, name, "unlabeled")[:2000] if name in UNLABELLED else None
    return *splits, unlabelled, read_fewclue(few, name, "test_public")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="keeps finished runs")
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--causal", default="gpt-tiny-zh")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--methods", nargs="+", help="default all")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--reference", default="fine-tuning")
    options = parser.parse_args()
    mlm, gpt = MaskedLM.from_pretrained(options.model), CausalLM.from_pretrained(options.causal)
    print(f"{machine('tensorflow', 'keras')}; seeds 0 to {options.seeds - 1}; reference {options.reference}.")
    for name in options.sets:
        train, validation, unlabelled, test = data_of(name, options.data)
        classifiers = methods(mlm, gpt, load_preset(name), options.epochs)
        if options.methods:
            classifiers = {key: each for key, each in classifiers.items() if key in options.methods}
        learns = [key for key in classifiers if key in ("unsupervised", "PET, semi-supervised", "PET, distilled")]
        if unlabelled is None:
            classifiers = {key: each for key, each in classifiers.items() if key not in learns}
        begin = time.perf_counter()
        found = compare(
            classifiers,
            train,
            test,
            seeds=range(options.seeds),
            unlabeled=unlabelled,
            validation=validation,
            reference=options.reference if options.reference in classifiers else None,
            cache=options.work / name,
            report=lambda run: print(f"{run}: {run.fit_seconds:.0f} + {run.predict_seconds:.0f} s", file=sys.stderr),
        )
        print(f"\n## {name}\n\n{found.to_markdown()}\n({time.perf_counter() - begin:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
