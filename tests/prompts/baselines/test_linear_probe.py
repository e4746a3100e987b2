import numpy as np
import pytest

from nlpgen import Bert
from nlpgen.prompts import LinearProbeClassifier
from nlpgen.prompts.baselines.logistic import fit_standardized
from tests.helpers import GOLDEN, array
from tests.prompts.baselines.helpers import topics
from tests.tasks.helpers import examples, tiny_bert

pytestmark = pytest.mark.backends
pytest.importorskip("sklearn")


def pipeline(c):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000))


def means(bert, texts):
    """The definition, each text for itself: the mean of the last hidden states of `[CLS] text [SEP]`."""
    return np.concatenate([array(bert(bert.tokenizer([text]))).mean(axis=1) for text in texts])


def test_equals_scikit_learn_on_the_means():
    bert = tiny_bert()
    (texts, labels), (others, _) = examples(40, 0), examples(20, 1)
    probe = LinearProbeClassifier(bert, c=0.7).fit(texts, labels)
    expected = pipeline(0.7).fit(means(bert, texts), labels)
    assert probe.classes_ == expected.classes_.tolist()
    np.testing.assert_allclose(probe.predict_proba(others), expected.predict_proba(means(bert, others)), atol=1e-5)


def test_features_of_any_size():
    """One has a large mean, one is tiny, one is constant up to rounding: no difference to scaling them by hand."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(60, 4)) * [1, 1, 1e-3, 1e-9] + [0, 50, 0, 3]
    targets = (features[:, 0] + features[:, 1] - 50 > 0).astype(int)
    kernel, bias, _ = fit_standardized(features, targets, c=1.0)
    expected = pipeline(1.0).fit(features[:, :3], targets).decision_function(features[:, :3])
    logits = features @ kernel + bias
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], expected, atol=1e-5)


def test_the_backbone_is_shared():
    bert = Bert.from_pretrained(GOLDEN / "hf_bert_model")
    probe = LinearProbeClassifier(bert).fit(["天地", "人和", "大中", "上国"], ["a", "b", "a", "b"])
    assert probe.model_.backbone is bert
    assert probe.c_ == 1.0  # two texts of a label are too few to choose by


def test_the_embedded_model_knows_topics(embedded):
    train, test = topics()
    assert LinearProbeClassifier(embedded).fit(*train).score(*test) >= 0.7  # a third by chance
