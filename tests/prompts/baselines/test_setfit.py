import itertools

import numpy as np
import pytest

from nlpgen.models import SentenceEncoder
from nlpgen.prompts import SetFitClassifier
from nlpgen.prompts.baselines.setfit import CosineLoss, contrastive_pairs
from nlpgen.tasks import encode, outputs_of
from tests.helpers import array
from tests.prompts.baselines.helpers import topics
from tests.tasks.helpers import examples, tiny_bert

pytestmark = pytest.mark.backends
pytest.importorskip("sklearn")
FAST = {"batch_size": 16, "learning_rate": 3e-2}


def test_the_loss_is_that_of_torch():
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(10, 6)).astype("float32")
    same = np.array([1, 0, 0, 1, 1], dtype="float32")
    left, right = (torch.tensor(vectors[i::2]) for i in (0, 1))
    expected = torch.nn.functional.mse_loss(torch.nn.functional.cosine_similarity(left, right), torch.tensor(same))
    assert float(CosineLoss()(same, vectors)) == pytest.approx(float(expected), rel=1e-5)
    assert float(CosineLoss()(same, np.zeros_like(vectors))) == pytest.approx(0.6)  # and no NaN


def test_pairs_by_their_definition():
    targets = np.array([0, 1, 0, 2, 1, 0])  # the only text of label 2 has no other one to be paired with
    pairs, same = contrastive_pairs(targets, 40, np.random.default_rng(0))
    assert len(pairs) == 40 * (5 + 6)
    assert (same == (targets[pairs[:, 0]] == targets[pairs[:, 1]])).all()
    assert same.sum() == 40 * 5
    assert (pairs[:, 0] != pairs[:, 1]).all()
    every = {(i, j) for i, j in itertools.permutations(range(6), 2)}
    assert set(map(tuple, pairs.tolist())) == every  # all pairs there are come up
    again, _ = contrastive_pairs(targets, 40, np.random.default_rng(0))
    np.testing.assert_array_equal(again, pairs)


def gap(backbone, texts, labels):
    """How much more alike texts of one label are than texts of two, by the mean cosine."""
    encoder = SentenceEncoder(backbone)
    vectors = outputs_of(encoder, encode(encoder, [(text,) for text in texts]))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    same = np.equal.outer(labels, labels)
    return cosines[same & ~np.eye(len(texts), dtype=bool)].mean() - cosines[~same].mean()


def test_texts_of_a_label_come_together():
    bert, others = tiny_bert(), examples(40, 1)
    before = gap(bert, *map(np.array, others))
    classifier = SetFitClassifier(bert, iterations=10, **FAST).fit(*examples(32, 0))
    assert gap(classifier.model_.backbone, *map(np.array, others)) > before + 0.3
    assert classifier.score(*others) >= 0.9
    assert [epoch["epoch"] for epoch in classifier.history_] == [1]
    assert classifier.history_[0]["loss"] < 0.25  # that of a cosine of one half for all


def test_the_best_epoch_is_kept():
    data, held_out = examples(16, 2), examples(41, 3)
    classifier = SetFitClassifier(tiny_bert(), iterations=1, epochs=3, **FAST).fit(*data, validation_data=held_out)
    scores = [epoch["score"] for epoch in classifier.history_]
    assert len(scores) == 3
    assert classifier.score(*held_out) == pytest.approx(max(scores))


def test_the_head_is_fitted_to_the_tuned_vectors():
    (texts, labels), others = examples(24, 4), examples(8, 5)[0]
    classifier = SetFitClassifier(tiny_bert(), iterations=1, c=0.5, **FAST).fit(texts, labels)
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    bert = classifier.model_.backbone
    found, wanted = (
        np.concatenate([array(bert(bert.tokenizer([text]))).mean(axis=1) for text in rows]) for rows in (texts, others)
    )
    expected = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=5000)).fit(found, labels)
    np.testing.assert_allclose(classifier.predict_proba(others), expected.predict_proba(wanted), atol=1e-4)


def test_the_embedded_model_learns_topics(embedded):
    train, test = topics(train=30)
    classifier = SetFitClassifier(embedded, iterations=1, learning_rate=1e-4, max_length=16).fit(*train)
    assert classifier.score(*test) >= 0.7  # a third by chance
