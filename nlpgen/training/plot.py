"""Pictures: that of a training run, and how all are written (needs matplotlib: `pip install nlpgen[plot]`)."""

import os
from pathlib import Path

from nlpgen.errors import NlpgenError, OutputError


def plot_history(history, path):
    """Draw loss and accuracy over steps, with held-out accuracy where it was measured.

    Args:
        history: reports of `Run`.
        path: see `save_figure`.
    """
    figure = figure_class()(figsize=(9, 3.5), layout="constrained")
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
    save_figure(figure, path)


def figure_class():
    """Matplotlib's `Figure`.

    Raises:
        NlpgenError: if matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NlpgenError("A picture needs matplotlib. Install it with: pip install 'nlpgen[plot]'") from error
    return Figure


def check_figure(path):
    """Raise an error if a picture cannot be written there; see `save_figure`."""
    path = Path(path)
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}. Make it first.")
    known = figure_class()().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise OutputError(f"{path}: a picture's name must end in one of {', '.join(f'.{each}' for each in known)}.")


def save_figure(figure, path):
    """Write a picture beside and rename it.

    Args:
        figure: of `figure_class`.
        path: a file in an existing folder; its ending says the format, e.g. `.png` or `.pdf`.

    Raises:
        NlpgenError: if matplotlib is missing.
        OutputError: if there is no such folder, matplotlib knows no such format, or it cannot be written.
    """
    check_figure(path)
    path = Path(path)
    beside = path.with_name(f".{path.name}.new")
    try:
        figure.savefig(beside, format=path.suffix[1:].lower(), dpi=110)
        os.replace(beside, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error}") from error
