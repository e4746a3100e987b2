"""Learning rates for benchmarks/few_shot.py: each method's, by the development rows of two sets.

    python benchmarks/few_shot_settings.py --data FOLDER --work FOLDER

Trains on the first training sets of eprstmt and of tnews, and scores on all their development rows; the test rows are
not read. A method's rate is the one with the best mean of both sets, or of eprstmt for the two methods that
few_shot.py asks of reviews only. Finished runs stay in `--work`. (All development rows are five times those of a split:
more than a user with so few labels has, but the choice is one for all sets.)
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from machine import machine

from nlpgen import CausalLM, MaskedLM, PETClassifier, PTuningClassifier
from nlpgen.data import read_fewclue
from nlpgen.prompts import FineTuneClassifier, compare, load_preset

RATES = {
    "PET": (3e-4, 1e-3, 2e-3),
    "fine-tuning": (1e-4, 2e-4, 5e-4),
    "P-tuning, 8 rows": (1e-3, 3e-3, 1e-2),
    "P-tuning, all": (3e-5, 1e-4, 3e-4),
    "P-tuning of the GPT": (1e-3, 3e-3, 1e-2),
}
SETS = {"eprstmt": tuple(RATES), "tnews": ("PET", "fine-tuning", "P-tuning, 8 rows")}


def classifier_of(method, rate, mlm, gpt, preset):
    """A method with a learning rate; other arguments are those of few_shot.py."""
    common = {"batch_size": 16, "max_length": preset.max_length}
    pattern, words = preset.patterns[0], preset.verbalizer
    prompted = f"[P*4]{pattern}[P*4]"
    match method:
        case "PET":
            return PETClassifier(mlm, pattern, words, learning_rate=rate, epochs=10, mlm_weight=0.0, **common)
        case "fine-tuning":
            return FineTuneClassifier(mlm, learning_rate=rate, epochs=20, **common)
        case "P-tuning, 8 rows":
            return PTuningClassifier(mlm, prompted, words, learning_rate=rate, epochs=20, **common)
        case "P-tuning, all":
            rates = {"learning_rate": 1e-2, "lm_learning_rate": rate}
            return PTuningClassifier(mlm, prompted, words, trainable="all", epochs=20, **rates, **common)
    return PTuningClassifier(gpt, "[P*4]{text}[P*4][MASK]", words, learning_rate=rate, epochs=20, **common)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="keeps finished runs")
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--causal", default="gpt-tiny-zh")
    parser.add_argument("--splits", type=int, default=2, help="training sets of each, at most five")
    options = parser.parse_args()
    mlm, gpt = MaskedLM.from_pretrained(options.model), CausalLM.from_pretrained(options.causal)
    accuracy = {}
    for name in SETS:
        train = [read_fewclue(options.data / "fewclue", name, f"train_{i}") for i in range(options.splits)]
        held_out = read_fewclue(options.data / "fewclue", name, "dev_few_all")
        preset = load_preset(name)
        for method in SETS[name]:
            for rate in RATES[method]:
                classifier = classifier_of(method, rate, mlm, gpt, preset)
                found = compare(
                    {f"{method} {rate:g}": classifier},
                    train,
                    held_out,
                    seeds=[0],
                    clean=False,
                    cache=options.work / name,
                )
                accuracy[name, method, rate] = found.table[0]["accuracy"]
                print(f"{name} {method} {rate:g}: {accuracy[name, method, rate]:.4f}", file=sys.stderr, flush=True)
    about = f"{options.model}, {options.causal}; seed 0, {options.splits} training sets"
    print(f"{machine('tensorflow', 'keras')}; {about}.\n")
    print(f"| method | learning rate | {' | '.join(SETS)} | mean |\n|{'---|' * (len(SETS) + 3)}")
    for method, rates in RATES.items():
        names = [name for name in SETS if method in SETS[name]]
        means = {rate: np.mean([accuracy[name, method, rate] for name in names]) for rate in rates}
        for rate in rates:
            cells = " | ".join(f"{accuracy[name, method, rate]:.1%}" if name in names else "—" for name in SETS)
            best = " **best**" if means[rate] == max(means.values()) else ""
            print(f"| {method} | {rate:g}{best} | {cells} | {means[rate]:.1%} |")


if __name__ == "__main__":
    main()
