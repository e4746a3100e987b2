"""Prompt learning against plain baselines on Chinese few-shot sets: five training sets each, paired tests.

    python benchmarks/few_shot.py --data FOLDER --work FOLDER [--sets eprstmt tnews]

FOLDER of `--data` holds `sentiment/` (Su's set) and `fewclue/`, which nlpgen may not ship. Finished runs stay in
`--work`; a second start goes on with those that are missing, and prints the tables of all.

Of FewCLUE the five training sets are used, each with its own development rows, and of the public test rows 1,000 drawn
once (`--test-rows`); of Su's set the first 168 rows, the first 168 valid rows, and all test rows. Development rows
choose the epoch of every method that trains by epochs, and the pattern of "PET, best pattern on dev". The learning
rates are those of few_shot_settings.py, the same for all sets. Unlabelled are 400 texts. iflytek, whose 119 names have
many lengths, is cut to 64 tokens and three epochs.

One PETClassifier is trained for all rows of PET but the last two: its patterns are trained apart, so each can be asked
alone, all as an ensemble, and the `TextClassifier` distilled from it.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
from machine import machine

from nlpgen import CausalLM, MaskedLM, PETClassifier, PTuningClassifier
from nlpgen.data import read_fewclue, read_sentiment
from nlpgen.estimator import Estimator
from nlpgen.prompts import (
    Candidates,
    DemonstrationClassifier,
    FineTuneClassifier,
    LinearProbeClassifier,
    Run,
    SetFitClassifier,
    TfidfClassifier,
    compare,
    load_preset,
)
from nlpgen.prompts.run_cache import RunCache

SETS = ("sentiment", "eprstmt", "tnews", "ocnli", "csl", "chid", "cluewsc", "iflytek")
ALL_METHODS = ("sentiment", "eprstmt")
UNLABELLED = {"sentiment", "eprstmt", "tnews", "chid"}
FEW_LABELS = 168  # Su's, of the sentiment set
RATES = {"PET": 3e-4, "fine-tuning": 5e-4, "prompt": 3e-2, "P-tuning, all": 3e-4, "GPT": 3e-2}


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


def pet_options(name, preset):
    """Arguments of PETClassifier."""
    epochs, length = (3, 64) if name == "iflytek" else (10, preset.max_length)
    return {"learning_rate": RATES["PET"], "epochs": epochs, "mlm_weight": 0.0, "batch_size": 16, "max_length": length}


def methods(name, mlm, gpt, preset):
    """`{name: classifier}` for a task, without those of `pet_runs`."""
    words, pet = preset.verbalizer, pet_options(name, preset)
    common = {"epochs": 2 * pet["epochs"], "batch_size": 16, "max_length": pet["max_length"]}
    first, length = preset.patterns[0], {"max_length": pet["max_length"]}
    tuned = PTuningClassifier(mlm, f"[P*4]{first}[P*4]", words, learning_rate=RATES["prompt"], **common)
    found = {"zero-shot": ZeroShot(PETClassifier(mlm, preset.patterns, words, **length)), "P-tuning, 8 rows": tuned}
    if isinstance(words, Candidates):
        return found  # each text has labels of its own: nothing else is defined
    found |= {
        "fine-tuning": FineTuneClassifier(mlm, learning_rate=RATES["fine-tuning"], **common),
        "linear probe": LinearProbeClassifier(mlm, **length),
        "TF-IDF": TfidfClassifier(),
    }
    if name == "iflytek":
        cut = names_of_two(words)
        found |= {
            "PET, names of any length": PETClassifier(mlm, first, words, **pet),
            "PET, names cut to two characters": PETClassifier(mlm, first, cut, **pet),
        }
        del found["P-tuning, 8 rows"], found["zero-shot"]
        for about, table in (("names of any length", words), ("names cut to two characters", cut)):
            found[f"zero-shot, {about}"] = ZeroShot(PETClassifier(mlm, first, table, **length))
    if name in ALL_METHODS:
        everything = {"trainable": "all", "learning_rate": 1e-2, "lm_learning_rate": RATES["P-tuning, all"]}
        causal = "[P*4]{text}[P*4][MASK]"
        found |= {
            "P-tuning, all": PTuningClassifier(mlm, f"[P*4]{first}[P*4]", words, **everything, **common),
            "P-tuning of the GPT": PTuningClassifier(gpt, causal, words, learning_rate=RATES["GPT"], **common),
            "SetFit": SetFitClassifier(mlm, learning_rate=1e-4, iterations=5, **length),
            "demonstrations": DemonstrationClassifier(mlm, first, words),
            "PET, unlabelled texts only": Unsupervised(
                PETClassifier(mlm, first, words, **pet | {"mlm_weight": 1.0, "epochs": 3})
            ),
            "PET, semi-supervised": PETClassifier(mlm, first, words, **pet | {"mlm_weight": 0.1}),
        }
    return found


def names_of_two(names):
    """Each name cut to two characters, the first and the next that no other has: 社交 for 社交工具."""
    cut = {}
    for name in sorted(names, key=len):
        cut[name] = next(word for c in name[1:] if (word := name[0] + c) not in cut.values())
    return cut


def pet_runs(name, pet, size, train, validation, unlabelled, test, cache):
    """The runs of all that one trained PETClassifier can answer with."""
    runs = []
    for split, (data, held_out) in enumerate(zip(train, validation, strict=True)):
        params = {key: value for key, value in pet.get_params().items() if key != "seed"}
        everything = [params, data.inputs, data.labels, unlabelled and unlabelled.inputs, test.inputs]
        path = cache.path(f"PET-split{split}", everything)
        found = cache.read(path)
        if found is None:
            found = trained_pet(pet, data, held_out, unlabelled, test)
            cache.write(path, found)
        print(f"{name} PET, split {split}: {found['fit_seconds']:.0f} s", file=sys.stderr, flush=True)
        seconds = found["fit_seconds"], found["predict_seconds"]
        runs += [Run(method, size, split, 0, said, *seconds) for method, said in found["predictions"].items()]
    return runs


def trained_pet(pet, data, held_out, unlabelled, test):
    """What a PETClassifier says of the test rows with each pattern, with all, and distilled."""
    begin = time.perf_counter()
    pet.fit(data.inputs, data.labels, unlabeled=unlabelled and unlabelled.inputs, validation_data=held_out_of(held_out))
    fitted = time.perf_counter()
    student, pet.student_ = pet.student_, None
    said = {"PET, ensemble": pet.predict(test.inputs)}
    if not isinstance(pet.verbalizer, Candidates):
        on_dev = pet.predict_proba_by_model(held_out.inputs).argmax(axis=-1)
        each = pet.predict_proba_by_model(test.inputs).argmax(axis=-1)
        labels = list(pet.verbalizer)
        best = np.argmax([(found == [labels.index(y) for y in held_out.labels]).mean() for found in on_dev])
        said |= {"PET, first pattern": [labels[i] for i in each[0]]}
        said |= {"PET, best pattern on dev": [labels[i] for i in each[best]]}
    if student is not None:
        texts = test.texts
        said["PET, distilled"] = student.predict(texts)
    return {
        "predictions": said,
        "fit_seconds": fitted - begin,
        "predict_seconds": time.perf_counter() - fitted,
    }


def held_out_of(data):
    """Development rows as `fit` takes them."""
    return data.inputs, data.labels


def data_of(name, folder, test_rows):
    """Training sets, development sets, unlabelled texts and test rows."""
    if name == "sentiment":
        train, valid, test = (read_sentiment(folder / "sentiment", part) for part in ("train", "valid", "test"))
        return [train[:FEW_LABELS]], [valid[:FEW_LABELS]], train[FEW_LABELS : FEW_LABELS + 400], test
    few = folder / "fewclue"
    splits = [[read_fewclue(few, name, f"{part}_{i}") for i in range(5)] for part in ("train", "dev")]
    unlabelled = read_fewclue(few, name, "unlabeled")[:400] if name in UNLABELLED else None
    test = read_fewclue(few, name, "test_public")
    drawn = np.random.default_rng(0).permutation(len(test))[:test_rows]
    return *splits, unlabelled, test[sorted(drawn.tolist())]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="keeps finished runs")
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--causal", default="gpt-tiny-zh")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--test-rows", type=int, default=1000, help="of FewCLUE")
    options = parser.parse_args()
    mlm, gpt = MaskedLM.from_pretrained(options.model), CausalLM.from_pretrained(options.causal)
    print(f"{machine('tensorflow', 'keras')}; {options.model}, {options.causal}; seed 0.")
    for name in options.sets:
        train, validation, unlabelled, test = data_of(name, options.data, options.test_rows)
        train, validation = train[: options.splits], validation[: options.splits]
        preset, begin = load_preset(name), time.perf_counter()
        classifiers = methods(name, mlm, gpt, preset)
        reference = "fine-tuning" if "fine-tuning" in classifiers else None
        found = compare(
            classifiers,
            train,
            test,
            seeds=[0],
            unlabeled=unlabelled,
            validation=validation,
            reference=reference,
            cache=options.work / name,
            report=lambda run: print(f"{run}: {run.fit_seconds:.0f} + {run.predict_seconds:.0f} s", file=sys.stderr),
        )
        if name != "iflytek":
            distill = unlabelled is not None and not isinstance(preset.verbalizer, Candidates)
            pet = PETClassifier(mlm, preset.patterns, preset.verbalizer, distill=distill, **pet_options(name, preset))
            cache, size = RunCache(options.work / name), found.runs[0].size
            own = pet_runs(name, pet, size, train, validation, unlabelled, test, cache)
            found = dataclasses.replace(found, runs=found.runs + own)
        print(f"\n## {name}\n\n{found.to_markdown()}\n({time.perf_counter() - begin:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
