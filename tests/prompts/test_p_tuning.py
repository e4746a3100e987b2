import json

import keras
import numpy as np
import pytest
from keras import ops

from nlpgen import CausalLM, MaskedLM, PETClassifier
from nlpgen.errors import InputError
from nlpgen.layers import PrefixEncoder, PromptEncoder
from nlpgen.models import Nezha, NezhaConfig
from nlpgen.prompts import Pattern, PromptServer, PTuningClassifier, Scorer, Verbalizer
from nlpgen.prompts.new_prompts import first_vectors, new_prompt, start
from nlpgen.tasks import softmax
from tests.helpers import array, assert_close
from tests.prompts.test_pet_training import LABELS, TEXTS, assert_same, weights

WORDS = {"正面": "很", "负面": "不太"}
PATTERN = "[P*2][MASK][P*2]{text}"
QUICK = {"epochs": 15, "batch_size": 6, "learning_rate": 3e-2, "max_length": 32, "lm_learning_rate": 1e-3}


@pytest.fixture(scope="module")
def embedded():
    """The embedded model without its upper layers, which is quicker to compile."""
    return MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=1)


@pytest.fixture(scope="module")
def fitted(embedded):
    return PTuningClassifier(embedded, PATTERN, WORDS, **QUICK).fit(TEXTS, LABELS)


def check_learned(clf, share):
    """The loss of the last epoch is below a share of the first one's."""
    assert clf.history_[-1]["loss"] < share * clf.history_[0]["loss"]


@pytest.fixture(scope="module")
def gpt():
    return CausalLM.from_pretrained("gpt-tiny-zh", num_hidden_layers=1)


@pytest.mark.backends
def test_only_the_prompt_is_trained(embedded):
    keras.utils.set_random_seed(0)  # of dropout on PyTorch
    before = weights(embedded)
    clf = PTuningClassifier(embedded, PATTERN, WORDS, **QUICK, weight_decay=0.1, mlm_weight=0.5, prefix_length=2)
    check_learned(clf.fit(TEXTS, LABELS, unlabeled=TEXTS), 0.97)  # most of it is the masked tokens
    assert_same(before, weights(embedded))
    assert clf.lm_ is embedded
    assert all(w.trainable for w in embedded.trainable_weights)
    assert {w.path.split("/")[0] for w in clf._scorer.model.trainable_variables} == {"virtual_tokens", "prefix"}


def test_virtual_tokens_are_rows_of_the_embedding_as_su_trains_them(embedded, fitted):
    """Put the learned vectors into the rows of unused tokens of a copy, and ask it with these tokens."""
    twin = MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=1)
    tokenizer, table = twin.tokenizer, array(twin.backbone.embeddings.token.embeddings)
    vectors = array(fitted._scorer.model.prompt.vectors())
    ids = [tokenizer.vocab.id(f"[unused{i + 1}]") for i in range(4)]
    table[ids] = vectors
    twin.backbone.embeddings.token.embeddings.assign(table)
    found, text = fitted.predict_proba(TEXTS), tokenizer.ids(TEXTS)
    for row, body in zip(found, text, strict=True):
        scores = []
        for word in WORDS.values():
            n = len(tokenizer.ids(word))
            cloze = [tokenizer.cls_id, *ids[:2], *[tokenizer.mask_id] * n, *ids[2:], *body, tokenizer.sep_id]
            logits = array(twin({"token_ids": np.array([cloze])}))[0, 3 : 3 + n].astype("float64")
            logp = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
            scores.append(sum(logp[i, id] for i, id in enumerate(tokenizer.ids(word))))
        # The twin's output rows of unused tokens moved with the table; they are no label words.
        assert_close(row, softmax(np.array(scores)), 1e-3)


def test_artefact_of_a_few_kilobytes(embedded, fitted, tmp_path):
    fitted.save(tmp_path / "prompt")
    files = {path.name: path.stat().st_size for path in (tmp_path / "prompt").iterdir()}
    assert set(files) == {"prompt.json", "prompt.safetensors"}
    assert sum(files.values()) < 4 * 256 * 4 + 3000
    loaded = PTuningClassifier.load(tmp_path / "prompt", backbone=embedded)
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    assert loaded.lm_ is embedded
    with pytest.raises(ValueError, match="Give the model as `backbone`"):
        PTuningClassifier.load(tmp_path / "prompt")


def test_a_prompt_of_another_model_is_refused(embedded, fitted, tmp_path):
    fitted.save(tmp_path / "prompt")
    other = MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=2)
    with pytest.raises(ValueError, match="num_hidden_layers: 1 expected, 2 found"):
        PTuningClassifier.load(tmp_path / "prompt", backbone=other)
    other = MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=1)
    table = other.backbone.embeddings.token.embeddings
    table.assign(2 * array(table))
    with pytest.raises(ValueError, match="weights: other values"):
        PTuningClassifier.load(tmp_path / "prompt", backbone=other)
    half = MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=1, dtype="bfloat16")
    assert PTuningClassifier.load(tmp_path / "prompt", backbone=half).predict(TEXTS[:1])


@pytest.mark.backends
@pytest.mark.parametrize(
    ("trainable", "lm_dropout", "head", "drops"),
    [
        ("prompt", None, "verbalizer", False),
        ("prompt", None, "classifier", False),
        ("prompt", True, "verbalizer", True),
        ("prompt+head", None, "verbalizer", False),
        ("all", None, "verbalizer", True),
        ("all", None, "classifier", True),
        ("all", False, "verbalizer", False),
    ],
)
def test_lm_dropout(embedded, trainable, lm_dropout, head, drops):
    """One step at a rate of nearly nothing: its loss is that of the predictions, unless units were dropped out."""
    rates = dict.fromkeys(["learning_rate", "head_learning_rate", "lm_learning_rate"], 1e-9)
    options = {"epochs": 1, "batch_size": len(TEXTS), "max_length": 32, "head": head, "trainable": trainable} | rates
    clf = PTuningClassifier(embedded, PATTERN, WORDS, lm_dropout=lm_dropout, **options).fit(TEXTS, LABELS)
    said = clf.predict_proba(TEXTS)[np.arange(len(TEXTS)), [clf.classes_.index(label) for label in LABELS]]
    difference = abs(clf.history_[0]["loss"] + np.log(said).mean())
    assert difference > 1e-4 if drops else difference < 1e-5


@pytest.mark.parametrize("kind", ["lstm", "mlp"])
def test_prompt_encoders(embedded, tmp_path, kind):
    before = weights(embedded)
    clf = PTuningClassifier(
        embedded, PATTERN, WORDS, prompt_encoder=kind, prompt_hidden_size=32, **QUICK | {"learning_rate": 1e-2}
    )
    check_learned(clf.fit(TEXTS, LABELS), 0.5)
    assert_same(before, weights(embedded))
    clf.save(tmp_path / "prompt")
    loaded = PTuningClassifier.load(tmp_path / "prompt", backbone=embedded)
    np.testing.assert_allclose(loaded.predict_proba(TEXTS), clf.predict_proba(TEXTS), atol=1e-6)


@pytest.mark.parametrize("trainable", ["prompt+head", "all"])
def test_more_may_be_trained_in_a_copy(embedded, tmp_path, trainable):
    before = weights(embedded)
    clf = PTuningClassifier(embedded, PATTERN, WORDS, trainable=trainable, **QUICK).fit(TEXTS, LABELS)
    check_learned(clf, 0.7)
    assert_same(before, weights(embedded))
    moved = [
        not np.array_equal(a, b) for a, b in zip(weights(embedded.backbone), weights(clf.lm_.backbone), strict=True)
    ]
    assert any(moved) == (trainable == "all")
    clf.save(tmp_path / "prompt")
    loaded = PTuningClassifier.load(tmp_path / "prompt", backbone=None if trainable == "all" else embedded)
    np.testing.assert_allclose(loaded.predict_proba(TEXTS), clf.predict_proba(TEXTS), atol=1e-6)


@pytest.mark.parametrize(("trainable", "name"), [("prompt+head", "head"), ("all", "lm")])
def test_learning_rates_are_separate(embedded, trainable, name):
    """Adam's first step moves each weight that has a gradient by its rate, so that the rates can be read off."""
    rates = {"learning_rate": 1e-3, f"{name}_learning_rate": 1e-4}
    options = QUICK | {"epochs": 1, "batch_size": 12, "weight_decay": 0.0} | rates
    clf = PTuningClassifier(embedded, PATTERN, WORDS, trainable=trainable, **options).fit(TEXTS, LABELS)
    first = first_vectors(embedded, None, 4, None)
    np.testing.assert_allclose(np.abs(array(clf._scorer.model.prompt.vectors()) - first).max(), 1e-3, rtol=1e-2)
    moved = [np.abs(a - b).max() for a, b in zip(weights(embedded), weights(clf.lm_), strict=True)]
    np.testing.assert_allclose(max(moved), 1e-4, rtol=1e-2)


@pytest.mark.parametrize("head", ["verbalizer", "classifier"])
def test_deep_prompts(embedded, tmp_path, head):
    before = weights(embedded)
    clf = PTuningClassifier(
        embedded,
        "[MASK]好{text}" if head == "verbalizer" else "{text}",
        WORDS if head == "verbalizer" else None,
        prefix_length=4,
        head=head,
        **QUICK | {"learning_rate": 0.1 if head == "verbalizer" else 5e-3, "epochs": 25},
    )
    check_learned(clf.fit(TEXTS, LABELS), 0.9)
    assert_same(before, weights(embedded))
    clf.save(tmp_path / "prompt")
    loaded = PTuningClassifier.load(tmp_path / "prompt", backbone=embedded)
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), clf.predict_proba(TEXTS))
    assert loaded.classes_ == clf.classes_


def test_a_causal_model(gpt, tmp_path):
    before = weights(gpt)
    clf = PTuningClassifier(gpt, "[P*2]{text}[P*2][MASK]", WORDS, **QUICK, mlm_weight=0.1)
    check_learned(clf.fit(TEXTS, LABELS), 0.9)
    assert_same(before, weights(gpt))
    clf.save(tmp_path / "prompt")
    loaded = PTuningClassifier.load(tmp_path / "prompt", backbone=gpt)
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), clf.predict_proba(TEXTS))


@pytest.mark.backends
def test_several_prompts_in_one_mixed_batch(embedded, fitted):
    topics = {"体育": "体育", "财经": "财经", "其他": "没有"}
    texts = ["股市大涨", "足球赛", "天气", "银行"]
    other = PTuningClassifier(embedded, "{text}[P*3][MASK]", topics, **QUICK | {"epochs": 2})
    other.fit(texts, ["财经", "体育", "其他", "财经"])
    server = PromptServer({"sentiment": fitted, "topic": other})
    requests = [("topic", text) for text in texts] + [("sentiment", text) for text in TEXTS]
    order = np.random.default_rng(0).permutation(len(requests))
    requests = [requests[i] for i in order]
    for (name, text), row in zip(requests, server.predict_proba(requests), strict=True):
        alone = server.classifiers[name].predict_proba(text)
        np.testing.assert_allclose(row, alone, atol=1e-5)
    assert server.predict(requests[:3]) == [server.classifiers[name].predict(text) for name, text in requests[:3]]


def test_prefixes_in_one_mixed_batch(embedded):
    """Words of one length need one cloze, those of two need two: a batch may have either, or both."""
    options = QUICK | {"epochs": 2, "prefix_length": 2}
    first = PTuningClassifier(embedded, "[MASK]好{text}", WORDS, **options).fit(TEXTS, LABELS)
    one_length = {"正面": "很", "负面": "不"}
    second = PTuningClassifier(embedded, "[P]{text}[MASK]", one_length, seed=1, **options).fit(TEXTS, LABELS)
    server = PromptServer({"a": first, "b": second})
    requests = [("ab"[i % 2], text) for i, text in enumerate(TEXTS)]
    alone = [server.predict_proba([request])[0] for request in requests[:4]]
    for (name, text), row in zip(requests, server.predict_proba(requests), strict=True):
        np.testing.assert_allclose(row, server.classifiers[name].predict_proba(text), atol=1e-5)
    np.testing.assert_allclose(alone, server.predict_proba(requests[:4]), atol=1e-5)


def test_prompts_that_cannot_be_served_together(fitted, tmp_path):
    twin = MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=1)
    fitted.save(tmp_path / "prompt")
    other = PTuningClassifier.load(tmp_path / "prompt", backbone=twin)
    with pytest.raises(InputError, match="another model object"):
        PromptServer({"a": fitted, "b": other})
    with pytest.raises(InputError, match="no prompt 'b'"):
        PromptServer({"a": fitted}).predict([("b", "好")])


@pytest.mark.parametrize("requests", [["abc"], ("a", "好"), [("a", "好", "坏")], [3]])
def test_requests_that_are_no_pairs(fitted, requests):
    with pytest.raises(InputError, match="each a pair"):
        PromptServer({"a": fitted}).predict(requests)


def test_a_server_knows_nothing_of_a_further_fit(embedded):
    """Neither of other constants and vectors, nor of other labels."""
    options = QUICK | {"epochs": 1, "normalization": "pmi"}
    clf = PTuningClassifier(embedded, PATTERN, WORDS, **options).fit(TEXTS, LABELS)
    server, requests = PromptServer({"a": clf}), [("a", text) for text in TEXTS]
    before, labels = np.array(server.predict_proba(requests)), server.predict(requests)
    clf.set_params(init="很差", seed=1).fit(TEXTS, LABELS)
    np.testing.assert_array_equal(server.predict_proba(requests), before)
    clf.set_params(verbalizer={"好": "很", "坏": "不太"}).fit(TEXTS, ["好"] * 6 + ["坏"] * 6)
    assert server.predict(requests) == labels


def test_init_from_a_text(embedded):
    table = array(embedded.backbone.embeddings.token.embeddings)
    ids = embedded.tokenizer.ids("很满意很")
    np.testing.assert_array_equal(first_vectors(embedded, "很满意", 4, None), table[ids])


def test_untrained_virtual_tokens_of_real_rows_are_those_tokens(embedded):
    clf = PTuningClassifier(embedded, "[P*3]，[MASK]好{text}", WORDS)
    scorer = clf._new_scorer(
        embedded, clf._new_question(LABELS, False), new_prompt(embedded, 3, "embedding", None), None
    )
    start(scorer.model, "我觉得", 0)
    plain = Scorer(embedded, Pattern("我觉得，[MASK]好{text}"), Verbalizer(WORDS))
    assert_close(scorer.label_scores({"text": TEXTS}), plain.label_scores({"text": TEXTS}), 1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trainable": "everything"}, "`trainable` must be one of"),
        ({"prompt_encoder": "gru"}, "`prompt_encoder` must be one of"),
        ({"pattern": "[MASK]好{text}"}, "nothing would be trained"),
        ({"verbalizer": None}, "`verbalizer` is missing"),
        ({"learning_rate": 0}, "`learning_rate` must be"),
        ({"prefix_length": -1}, "`prefix_length` must be"),
        ({"lm": 3}, "`lm` must be a MaskedLM"),
    ],
)
def test_bad_options(embedded, options, message):
    options = {"lm": embedded, "pattern": PATTERN, "verbalizer": WORDS} | options
    with pytest.raises(InputError, match=message):
        PTuningClassifier(**options).fit(TEXTS, LABELS)


def test_it_has_no_zero_shot_prediction(embedded):
    clf = PTuningClassifier(embedded, PATTERN, WORDS)
    with pytest.raises(InputError, match="learned nothing yet"):
        clf.predict("好")


def test_a_damaged_artefact(embedded, fitted, tmp_path):
    fitted.save(tmp_path / "prompt")
    path = tmp_path / "prompt" / "prompt.json"
    about = json.loads(path.read_text())
    for changes, message in (
        ({"class": "Other"}, "is of a 'Other'"),
        ({"params": None}, "has no arguments"),
        ({"params": about["params"] | {"depth": 3}}, "arguments that PTuningClassifier has not: depth"),
        ({"params": about["params"] | {"pattern": "[P*6][MASK]{text}"}}, "has 6 virtual tokens, there are 4 vectors"),
        ({"params": about["params"] | {"prefix_length": 2}}, "`prefix_length` is 2, there are 0 places"),
    ):
        path.write_text(json.dumps(about | changes))
        with pytest.raises(ValueError, match=message):
            PTuningClassifier.load(tmp_path / "prompt", backbone=embedded)


@pytest.mark.parametrize("cls", [PETClassifier, PTuningClassifier])
def test_a_folder_without_a_classifier(cls, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"Give a folder that {cls.__name__}.save wrote"):
        cls.load(tmp_path / "nowhere")


def test_prompt_encoder_layers_save(tmp_path):
    for layer in (PromptEncoder(3, 8, "lstm", 6), PromptEncoder(3, 8, "mlp"), PrefixEncoder(2, 2, 2, 4, hidden_size=5)):
        layer.build()
        twin = type(layer).from_config(layer.get_config())
        twin.build()
        twin.set_weights(layer.get_weights())
        index = np.zeros(2, "int32")
        np.testing.assert_array_equal(array(twin(index)), array(layer(index)))
        assert keras.saving.serialize_keras_object(layer)["registered_name"].startswith("nlpgen>")
        assert ops.shape(layer(index))[0] == 2


@pytest.mark.parametrize("trainable", ["prompt", "prompt+head", "all"])
def test_a_further_fit_knows_nothing_of_the_others(embedded, trainable):
    options = QUICK | {"epochs": 1, "trainable": trainable, "prefix_length": 1}
    clf = PTuningClassifier(embedded, PATTERN, WORDS, **options)
    first = clf.fit(TEXTS, LABELS).predict_proba(TEXTS)
    assert np.abs(clf.fit(TEXTS[::-1], LABELS[1:] + LABELS[:1]).predict_proba(TEXTS) - first).max() > 1e-3
    np.testing.assert_array_equal(clf.fit(TEXTS, LABELS).predict_proba(TEXTS), first)


def test_pmi_keeps_the_constants_of_the_first_prompt(embedded, tmp_path):
    """What the words score without a text before the vectors are learned."""
    clf = PTuningClassifier(embedded, PATTERN, WORDS, **QUICK | {"epochs": 2}, normalization="pmi")
    found = clf.fit(TEXTS, LABELS).predict_proba(TEXTS)
    scorer = clf._scorer
    learned = [array(v) for v in scorer.model.prompt.trainable_variables]
    constants = scorer.blank.copy()
    start(scorer.model, clf.init, clf.seed)
    scorer.keep_blank()
    assert_close(scorer.blank, constants, 1e-6)
    for variable, value in zip(scorer.model.prompt.trainable_variables, learned, strict=True):
        variable.assign(value)
    clf.save(tmp_path / "prompt")
    loaded = PTuningClassifier.load(tmp_path / "prompt", backbone=embedded)
    assert_close(loaded.predict_proba(TEXTS), found, 1e-6)
    assert_close(PromptServer({"a": loaded}).predict_proba([("a", text) for text in TEXTS]), found, 1e-6)


def test_a_fit_with_wrong_options_leaves_what_was_learned(embedded):
    clf = PTuningClassifier(embedded, PATTERN, WORDS, **QUICK | {"epochs": 1})
    found = clf.fit(TEXTS, LABELS).predict_proba(TEXTS)
    for wrong in (
        {"epochs": 0},
        {"patience": 1},
        {"unlabeled_batch_size": 0},
        {"verbalizer": {"正面": "很", "负面": "𠀀"}},
    ):
        kept = {name: getattr(clf, name) for name in wrong}
        with pytest.raises(InputError):
            clf.set_params(**wrong).fit(TEXTS, LABELS)
        np.testing.assert_array_equal(clf.set_params(**kept).predict_proba(TEXTS), found)


def test_a_prompt_is_not_loaded_on_a_model_trained_further(embedded, fitted, tmp_path):
    fitted.save(tmp_path / "prompt")
    twin = MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=1)
    kernel = twin.backbone.weights[-1]
    kernel.assign(array(kernel) * 1.01 + 1e-3)
    with pytest.raises(ValueError, match="weights: other values"):
        PTuningClassifier.load(tmp_path / "prompt", backbone=twin)
    half = MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=1, dtype="float16")
    assert PTuningClassifier.load(tmp_path / "prompt", backbone=half).classes_ == list(WORDS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt_hidden_size": -3}, "`prompt_hidden_size` must be"),
        ({"init": 5}, "`init` must be a text"),
        ({"init": " "}, "`init` must be a text"),
        ({"lm_dropout": 0.1}, "`lm_dropout` must be True, False or None"),
        ({"max_length": "a"}, "`max_length` must be"),
        ({"head": "classifier", "max_length": "a"}, "`max_length` must be"),
    ],
)
def test_more_bad_options(embedded, options, message):
    with pytest.raises(InputError, match=message):
        PTuningClassifier(embedded, PATTERN, WORDS, **options).fit(TEXTS, LABELS)


def test_models_that_cannot_be_used():
    """One with relative positions, before which no prefix stands, and one without a tokenizer."""
    config = NezhaConfig(
        vocab_size=9124, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=64,
    )  # fmt: skip
    lm = MaskedLM(Nezha(config))
    with pytest.raises(InputError, match="Nezha has relative positions"):
        PTuningClassifier(lm, PATTERN, WORDS, prefix_length=2).fit(TEXTS, LABELS)
    for pattern, words, head in ((PATTERN, WORDS, "verbalizer"), ("[P*2]{text}", None, "classifier")):
        with pytest.raises(InputError, match="has no tokenizer"):
            PTuningClassifier(lm, pattern, words, head=head).fit(TEXTS, LABELS)


def test_who_cannot_be_served_is_named(embedded, fitted):
    with pytest.raises(InputError, match="'b' is none"):
        PromptServer({"a": fitted, "b": PETClassifier(embedded, "[MASK]好{text}", WORDS)})
    with pytest.raises(InputError, match="'b' learned nothing yet"):
        PromptServer({"a": fitted, "b": PTuningClassifier(embedded, PATTERN, WORDS)})


@pytest.mark.backends
@pytest.mark.parametrize("kind", ["lstm", "mlp"])
def test_prompt_encoders_equal_torchs(kind):
    torch = pytest.importorskip("torch")
    layer = PromptEncoder(5, 8, kind, 6)
    layer.build()
    generator = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(generator.normal(0, 0.7, weight.shape))
    x = torch.tensor(array(layer.embeddings))[None]
    for each in layer.recurrent:
        lstm = torch.nn.LSTM(x.shape[-1], 3, batch_first=True, bidirectional=True)
        for direction, suffix in ((each.forward_layer, ""), (each.backward_layer, "_reverse")):
            kernel, recurrent, bias = (torch.tensor(array(w)) for w in direction.cell.weights)
            getattr(lstm, f"weight_ih_l0{suffix}").data = kernel.T
            getattr(lstm, f"weight_hh_l0{suffix}").data = recurrent.T
            getattr(lstm, f"bias_ih_l0{suffix}").data = bias
            getattr(lstm, f"bias_hh_l0{suffix}").data = torch.zeros_like(bias)
        x = lstm(x)[0]
    kernels = [(torch.tensor(array(dense.kernel)), torch.tensor(array(dense.bias))) for dense in layer.dense]
    x = torch.relu(x @ kernels[0][0] + kernels[0][1]) @ kernels[1][0] + kernels[1][1]
    assert_close(array(layer.vectors()), x[0].detach().numpy(), 1e-5)
