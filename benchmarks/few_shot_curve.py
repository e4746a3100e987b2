"""Accuracy against the number of labels: PET, fine-tuning, TF-IDF and a linear probe on Su's sentiment set.

    python benchmarks/few_shot_curve.py --data FOLDER --work FOLDER --plot benchmarks/few_shot_curve.png

FOLDER of `--data` holds `sentiment/`. Training sets of 4, 8, 16, 32 and 64 labels are drawn from the first 168 rows,
`--splits` of each, as balanced as can be, and 168 is all of them; 0 is the untrained model. All are judged on the same
test rows, 1,000 drawn once (`--test-rows`). No development row is read: the last epoch counts. The methods, on the
first pattern, and their learning rates are those of few_shot.py. Finished runs stay in `--work`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from few_shot_rates import RATES, read_rates
from few_shot_tasks import classifier_of, read_task
from machine import machine

from nlpgen import MaskedLM
from nlpgen.prompts import LinearProbeClassifier, TfidfClassifier, learning_curve
from nlpgen.training.plot import check_figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="keeps finished runs")
    parser.add_argument("--plot", type=Path, help="e.g. curve.png")
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--sizes", type=int, nargs="+", default=[0, 4, 8, 16, 32, 64, 168])
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--test-rows", type=int, default=1000)
    parser.add_argument("--rates", type=Path, default=RATES, help="what few_shot_settings.py wrote")
    options = parser.parse_args()
    if options.plot:
        check_figure(options.plot)
    mlm, rates = MaskedLM.from_pretrained(options.model), read_rates(options.rates)
    task = read_task("sentiment", options.data)
    drawn = np.random.default_rng(0).permutation(len(task.test))[: options.test_rows]
    classifiers = {name: classifier_of(name, rates[name], mlm, None, task) for name in ("PET", "fine-tuning")}
    classifiers["linear probe"] = LinearProbeClassifier(mlm, max_length=task.options["max_length"])
    classifiers["TF-IDF"] = TfidfClassifier()
    found = learning_curve(
        classifiers,
        task.train[0],
        task.test[sorted(drawn.tolist())],
        sizes=options.sizes,
        seeds=[0],
        splits=options.splits,
        reference="fine-tuning",
        cache=options.work / "curve",
        report=lambda run: print(f"{run}: {run.fit_seconds:.0f} + {run.predict_seconds:.0f} s", file=sys.stderr),
    )
    print(f"{machine('tensorflow', 'keras')}; {options.model}; seed 0, {options.splits} training sets of each size;")
    print(f"learning rates {', '.join(f'{name} {rates[name]:g}' for name in ('PET', 'fine-tuning'))}.\n")
    print(found.to_markdown())
    if options.plot:
        found.plot(options.plot)


if __name__ == "__main__":
    main()
