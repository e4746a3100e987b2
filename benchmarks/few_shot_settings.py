"""Learning rates for the few-shot benchmarks: each method's, by development rows.

    python benchmarks/few_shot_settings.py --data FOLDER --work FOLDER

Trains on the first training sets of eprstmt and of tnews, as few_shot.py does, and scores on all development rows of
the set; test rows are not read. A method's rate is the one with the best mean of both sets, P-tuning's the one that is
best on eprstmt. Prints the table, says which rates are at an end of their grid, and writes the rates to
`few_shot_rates.json`, where the others read them. Finished runs stay in `--work`. (All development rows are five times
those of a split: more than a user with so few labels has, but the choice is one for all sets.)
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from few_shot_rates import RATES
from few_shot_tasks import classifier_of, read_task
from machine import machine

from nlpgen import CausalLM, MaskedLM
from nlpgen.data import read_fewclue
from nlpgen.prompts import compare

GRIDS = {
    "PET": (1e-4, 3e-4, 1e-3, 2e-3, 4e-3),
    "fine-tuning": (1e-4, 2e-4, 5e-4, 1e-3),
    "P-tuning, 8 rows": (3e-4, 1e-3, 3e-3, 1e-2),
    "P-tuning, all": (1e-4, 3e-4, 1e-3),
    "P-tuning of the GPT": (1e-2, 3e-2, 1e-1),
}
SETS = {"eprstmt": tuple(GRIDS), "tnews": ("PET", "fine-tuning")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="keeps finished runs")
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--causal", default="gpt-tiny-zh")
    parser.add_argument("--splits", type=int, default=2, help="training sets of each, at most five")
    parser.add_argument("--rates", type=Path, default=RATES, help="where the rates are written")
    options = parser.parse_args()
    mlm, gpt = MaskedLM.from_pretrained(options.model), CausalLM.from_pretrained(options.causal)
    accuracy = {}
    for name, methods in SETS.items():
        task = read_task(name, options.data, splits=options.splits)
        held_out = read_fewclue(options.data / "fewclue", name, "dev_few_all")
        for method in methods:
            for rate in GRIDS[method]:
                classifiers = {f"{method} {rate:g}": classifier_of(method, rate, mlm, gpt, task)}
                cache = options.work / name
                found = compare(classifiers, task.train, held_out, seeds=[0], clean=False, cache=cache)
                accuracy[name, method, rate] = found.table[0]["accuracy"]
                print(f"{name} {method} {rate:g}: {accuracy[name, method, rate]:.4f}", file=sys.stderr, flush=True)
    about = f"{options.model}, {options.causal}; seed 0, {options.splits} training sets"
    print(f"{machine('tensorflow', 'keras')}; {about}.\n")
    print(f"| method | learning rate | {' | '.join(SETS)} | mean |\n|{'---|' * (len(SETS) + 3)}")
    best = {}
    for method, grid in GRIDS.items():
        names = [name for name in SETS if method in SETS[name]]
        means = {rate: np.mean([accuracy[name, method, rate] for name in names]) for rate in grid}
        best[method] = max(means, key=means.get)
        for rate in grid:
            cells = " | ".join(f"{accuracy[name, method, rate]:.1%}" if name in names else "—" for name in SETS)
            print(f"| {method} | {rate:g}{' **best**' * (rate == best[method])} | {cells} | {means[rate]:.1%} |")
    at_end = [method for method, rate in best.items() if rate in (GRIDS[method][0], GRIDS[method][-1])]
    print(f"\nBest at an end of its grid: {', '.join(at_end) or 'none'}.")
    options.rates.write_text(json.dumps(best, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
