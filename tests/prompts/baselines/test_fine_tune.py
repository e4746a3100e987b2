import inspect

import numpy as np

from nlpgen import TextClassifier
from nlpgen.prompts import FineTuneClassifier
from tests.prompts.baselines.helpers import topics
from tests.tasks.helpers import examples, tiny_bert


def test_it_is_the_text_classifier():
    """With equal arguments both learn the same, so the baseline is no weaker than the real thing."""
    data, held_out = examples(32, 0), examples(20, 1)
    options = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-2, "dropout": 0.0, "class_weight": "balanced"}
    options |= {"patience": 2, "weight_decay": 0.1, "pooling": "mean", "max_length": 9, "seed": 3}
    assert options.keys() < inspect.signature(TextClassifier).parameters.keys()
    assert list(inspect.signature(FineTuneClassifier).parameters) == list(inspect.signature(TextClassifier).parameters)
    ours = FineTuneClassifier(tiny_bert(), **options).fit(*data, unlabeled=["甲"], validation_data=held_out)
    plain = TextClassifier(tiny_bert(), **options).fit(*data, validation_data=held_out)
    assert [epoch["score"] for epoch in ours.history_] == [epoch["score"] for epoch in plain.history_]
    np.testing.assert_allclose(ours.predict_proba(held_out[0]), plain.predict_proba(held_out[0]), rtol=1e-4)


def test_the_embedded_model_learns_topics(embedded):
    train, test = topics()
    classifier = FineTuneClassifier(embedded, epochs=4, learning_rate=3e-4, max_length=16).fit(*train)
    assert classifier.score(*test) >= 0.7  # a third by chance
