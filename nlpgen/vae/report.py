"""A diagnosis as text and as a picture."""

import math

import numpy as np

from nlpgen.training.plot import figure_class, save_figure


def report(found):
    """The lines of `Diagnosis.report`."""
    latent = found._latent
    lines = [
        f"{type(latent).__name__}({latent.size}) on {found.num_lines} lines, {found.num_tokens} tokens; nats a line",
        f"reconstruction      {found.reconstruction:9.2f}",
        f"KL                  {found.kl:9.2f}",
        f"bound               {found.bound:9.2f}   reconstruction + KL, to the latent's own prior",
        f"NLL                 {found.nll:9.2f}   importance-weighted, {found.num_samples} samples, under "
        + ("the latent's own prior" if found.nll_prior == "Standard" else f"{found.nll_prior}: may exceed the bound"),
        f"perplexity          {found.perplexity:9.2f}   of the NLL, a token",
        f"mutual information  {found.mi:9.2f}   at most log {found.num_lines} = {found.mi_ceiling:.2f}"
        + ("; at its ceiling: give more lines" if found.mi > found.mi_ceiling - 0.1 else ""),
        f"marginal KL         {found.marginal_kl:9.2f}   KL - mutual information",
        f"shuffle gap         {found.shuffle_gap:9.2f}   ± {found.shuffle_error:.2f}; 0: the decoder ignores z",
        f"gap, first token    {found.gap_by_position[0]:9.2f}",
        f"active units        {found.active_units:6d}/{latent.size}"
        + (f"   says nothing here: {latent.unit_note}" if latent.unit_note else ""),
    ]
    if len(found.kl_terms) > 1 and math.isfinite(found.kl):
        quartiles = " ".join(f"{x:.3f}" for x in np.quantile(found.kl_terms, (0, 0.25, 0.5, 0.75, 1)))
        lines.insert(3, f"KL by dimension     {quartiles}   least, quartiles, most")
    if found.entropy_gap is not None:
        lines.append(f"entropy gap         {found.entropy_gap:9.2f}   to as many draws of N(0, I); 0: z is like them")
    if found.code_perplexity is not None:
        lines.append(f"codes in use        {found.used_codes:9.1%}   perplexity {found.code_perplexity:.1f}")
    lines += [
        f"reconstructed       {found.exact:9.1%}   token F1 {found.token_f1:.3f}, BLEU {found.bleu:.3f}",
    ]
    if not math.isnan(found.reverse_perplexity):
        lines += [
            f"samples             {len(found.samples):9d}   from "
            + ("the latent's own prior" if found.prior == "Standard" else f"the fitted {found.prior}"),
            f"forward perplexity  {found.forward_perplexity:9.1f}   of samples, under bigrams of the lines",
            f"reverse perplexity  {found.reverse_perplexity:9.1f}   of the lines, under bigrams of the samples",
            f"self-BLEU           {found.self_bleu:9.3f}   distinct-1 {found.distinct_1:.3f}, "
            f"distinct-2 {found.distinct_2:.3f}",
        ]
    return "\n".join(lines)


def plot(found, path):
    """Draw a `Diagnosis`; see `Diagnosis.plot`."""
    figure = figure_class()(figsize=(11, 7), layout="constrained")
    (training, dimensions), (positions, space) = figure.subplots(2, 2)
    _draw_training(training, found._vae.history_)
    order = np.sort(found.kl_terms)[::-1] if math.isfinite(found.kl) else []
    dimensions.bar(np.arange(len(order)), order)
    dimensions.set(xlabel="dimension, by its KL", ylabel="KL, nats")
    positions.bar(np.arange(1, len(found.gap_by_position) + 1), found.gap_by_position)
    positions.set(xlabel="token", ylabel="shuffle gap, nats")
    _draw_space(space, *found.means(), found.path())
    save_figure(figure, path)


def _draw_training(axes, history):
    epochs = [record["epoch"] for record in history]
    for name in ("reconstruction", "kl", "validation_reconstruction", "validation_kl"):
        if history and name in history[0]:
            dashed = "--" if name.startswith("validation") else "-"
            axes.plot(epochs, [record[name] for record in history], dashed, label=name.replace("_", " "))
    axes.set(xlabel="epoch", ylabel="nats a line", yscale="symlog")
    if history:
        axes.legend(fontsize=7)


def _draw_space(axes, means, radii, path):
    """The two main directions of the means, a ball around each, and a path."""
    from matplotlib.patches import Circle

    centre = means.mean(axis=0)
    _, _, directions = np.linalg.svd(means - centre, full_matrices=False)
    points, way = (means - centre) @ directions[:2].T, (path - centre) @ directions[:2].T
    if points.shape[1] == 2:
        for point, radius in zip(points[:200], radii, strict=False):
            axes.add_patch(Circle(point, radius, alpha=0.08, linewidth=0))
        axes.plot(points[:, 0], points[:, 1], ".", markersize=2)
        axes.plot(way[:, 0], way[:, 1], "-o", markersize=3, color="tab:red", label="from one line to another")
        axes.legend(fontsize=7)
    axes.set(xlabel="first direction of the means", ylabel="second", aspect="equal")
