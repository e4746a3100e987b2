"""A picture of a training run (needs matplotlib: `pip install nlpgen[plot]`)."""

import os
from pathlib import Path


def plot_history(history, path):
    """Draw loss and accuracy over steps, with held-out accuracy where it was measured.

    Args:
        history: reports of `Run`.
        path: a PNG file; it is written beside and renamed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [report["step"] for report in history]
    left.plot(steps, [report["loss"] for report in history])
    left.set(xlabel="step", ylabel="training loss")
    right.plot(steps, [report["accuracy"] for report in history], label="training")
    judged = [report for report in history if "held_out" in report]
    for name in judged[-1]["held_out"] if judged else ():
        values = [report["held_out"][name] for report in judged]
        right.plot([report["step"] for report in judged], values, label=name, lw=2 if name == "all" else 0.8)
    right.set(xlabel="step", ylabel="accuracy")
    right.legend(fontsize=7)
    path = Path(path)
    beside = path.with_name(f".{path.name}.new")
    figure.savefig(beside, format="png", dpi=110)
    os.replace(beside, path)
