"""A masked language model so small that tests can train a reader, and what it can learn."""

import numpy as np

from nlpgen import MaskedLM, QAExample
from tests.tasks.helpers import tiny_bert

SMALL = {"answer_length": 4, "question_length": 6, "passage_length": 12, "stride": 6}
FAST = SMALL | {"epochs": 4, "batch_size": 16, "learning_rate": 1e-2, "negative_rate": 0.0}


def tiny_mlm(dropout=0.0, longest=32):
    mlm = MaskedLM(tiny_bert(dropout, longest))
    mlm.build()
    generator = np.random.default_rng(1)
    for weight in mlm.head.weights:
        centre = 1.0 if weight.name == "gamma" else 0.0
        weight.assign(generator.normal(centre, 0.2, weight.shape))
    return mlm


def examples(n, seed, unanswerable=False):
    """Which of 日, 月 or 日日 stands there? Passages of a window or more; with `unanswerable` a third have none."""
    generator = np.random.default_rng(seed)
    made = []
    for i in range(n):
        filler = "".join(generator.choice(list("甲乙丙丁天地人山水"), generator.integers(4, 20)))
        answer = str(generator.choice(["日", "月", "日日"]))
        at = generator.integers(0, len(filler) + 1)
        if unanswerable and i % 3 == 2:
            made.append(QAExample("火？", [filler], []))
        else:
            made.append(QAExample("火？", [filler[:at] + answer + filler[at:]], [answer]))
    return made
