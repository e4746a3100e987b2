"""iPET: the models of several patterns label texts for each other (Schick & Schütze, 2021, section 3.4 of
https://arxiv.org/abs/2001.07676)."""

import numpy as np

from nlpgen.prompts.columns import joined, take

# How many times larger each generation's training set is, which share of the other models labels it, and how many texts
# a label has in the first one without labels.
GROWTH, SHARE, FIRST_TEXTS = 5, 0.25, 100


def labelled_by_others(said, weights, index, generation, columns, targets, pool, generator):
    """The next training set of a model: the labelled texts, and others with the labels that other models give them.

    A quarter of the other models, drawn at random, say each text's label. The shares of the labels are those of the
    labelled texts, or all alike; of the texts of a label as many are drawn as are wanted, each in proportion to its
    probability. An untrained model may never choose one of the labels: in the first generation without labelled texts
    those that are likeliest of a label are taken for it, even if another is likelier.

    Args:
        said: `(texts, labels)` of each model, the probabilities that it gives to the unlabelled texts.
        weights: how much each model counts.
        index: number of the model that will be trained on the set.
        generation: 0 for the first.
        columns, targets: the labelled texts; may be empty.
        pool: the unlabelled texts.
        generator: a NumPy random generator.

    Returns:
        Columns and targets.
    """
    others = [i for i in range(len(said)) if i != index] or [index]
    chosen = generator.permutation(others)[: max(1, round(SHARE * len(others)))]
    votes = weights[chosen] if weights[chosen].any() else None
    probabilities = np.average([said[i] for i in chosen], axis=0, weights=votes)
    guessed, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    num_labels = probabilities.shape[1]
    if len(targets):
        shares = np.bincount(targets, minlength=num_labels) / len(targets)
        wanted = len(targets) * GROWTH ** (generation + 1) - len(targets)
    else:
        shares = np.full(num_labels, 1 / num_labels)
        wanted = FIRST_TEXTS * num_labels * GROWTH**generation
    picked, given = [], []
    for label in range(num_labels):
        n = round(wanted * shares[label])
        if not len(targets) and generation == 0:
            n = min(n, max(1, len(guessed) // num_labels))
            drawn = np.argsort(-probabilities[:, label], kind="stable")[:n]
        else:
            here = np.flatnonzero(guessed == label)
            n = min(n, len(here))
            drawn = generator.choice(here, n, replace=False, p=sure[here] / sure[here].sum()) if n else here[:0]
        picked += drawn.tolist()
        given += [label] * len(drawn)
    further = take(pool, picked)
    return (joined(columns, further) if len(targets) else further), np.concatenate([targets, given]).astype("int32")
