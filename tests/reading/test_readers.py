import copy
import dataclasses
import json
import random
import re
import warnings

import keras
import numpy as np
import pytest

from nlpgen import MaskedLM, MLMReader, QAExample, Seq2SeqReader, SpanReader, UniLM
from nlpgen.checkpoints.safetensors import SafetensorsFile
from nlpgen.errors import ConfigError, InputError, InputWarning, NonFiniteOutput
from nlpgen.reading.example import fingerprint
from nlpgen.reading.mlm_reader import distinct
from nlpgen.reading.rows import RowReader, TrainingRows
from nlpgen.reading.scoring import pointer_span_scores, slot_span_scores, span_at
from nlpgen.reading.windows import Passage, matchable, read_passages
from tests.helpers import array, assert_close, random_text
from tests.reading.helpers import FAST, SMALL, examples, tiny_mlm
from tests.reading.test_decoding import article_decodes
from tests.small_models import NAMES, small_model
from tests.tasks.helpers import tiny_bert

CLASSES = {"mlm": MLMReader, "span": SpanReader, "seq2seq": Seq2SeqReader}
MASKED = [name for name, head in NAMES if head == "masked_lm"]
EPOCHS = {"mlm": 4, "span": 4, "seq2seq": 12}  # what it takes to learn which of three stands there


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.backends) for name in CLASSES])
def fitted(request):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*__array__.*")  # Keras, of NumPy on PyTorch
        reader = CLASSES[request.param](tiny_mlm(), **FAST | {"epochs": EPOCHS[request.param]})
        return reader.fit(examples(96, 0, True), examples(60, 1, True))


def test_it_learns(fitted):
    """Passages that are longer than a window, and no answer where there is none."""
    test = examples(60, 2, True)
    scores = fitted.evaluate(test)
    assert scores["exact_match"] >= 75
    assert scores["no_answer_accuracy"] >= 70
    assert scores["has_answer_f1"] >= 75
    assert scores["f1"] >= scores["exact_match"]
    assert scores["ece"] <= 0.25
    assert len(fitted.history_) == fitted.epochs
    assert max(each["score"] for each in fitted.history_) >= 75
    assert set(fitted.calibration_) == {"temperature", "threshold", "ece_before", "ece_after"}
    assert fitted.unlearned_ == []


def test_answers_stand_in_the_passages(fitted):
    pairs = [(each.question, list(each.passages) * (i % 3)) for i, each in enumerate(examples(30, 3))]
    answers = fitted.answer_batch(pairs, top_k=4)
    for (question, passages), answer in zip(pairs, answers, strict=True):
        for each in [answer, *answer.alternatives]:
            if each.text:
                assert passages[each.passage][each.start : each.end] == each.text
                assert 0 < each.score <= 1
        again = fitted.answer(question, passages, top_k=4)
        assert (again.text, again.start, again.passage) == (answer.text, answer.start, answer.passage)
        assert again.score == pytest.approx(answer.score, rel=1e-5)
        if not passages:
            assert (answer.text, answer.passage, answer.no_answer) == ("", None, 1.0)
    assert sum(bool(answer.text) for answer in answers) > 10
    assert fitted.answer("火？", "天日地").text == fitted.answer("火？", ["天日地"]).text == "日"
    assert fitted.answer_batch([]) == []


def test_a_folder_keeps_everything(fitted, tmp_path):
    cls, pairs = type(fitted), [(each.question, each.passages) for each in examples(20, 4, True)]
    fitted.save(tmp_path / "reader")
    again = cls.load(tmp_path / "reader")
    assert again.answer_batch(pairs, 3) == fitted.answer_batch(pairs, 3)
    assert (again.temperature_, again.threshold_) == (fitted.temperature_, fitted.threshold_)
    assert again.calibration_ == fitted.calibration_
    same = {name: value for name, value in again.get_params().items() if name not in ("mlm", "model")}
    assert same == {name: value for name, value in fitted.get_params().items() if name not in ("mlm", "model")}
    fitted.save(tmp_path / "half", dtype="float16")
    halves = SafetensorsFile(tmp_path / "half" / "model.safetensors")
    assert {halves.dtype(name) for name in halves} == {"float16"}
    for half, whole in zip(cls.load(tmp_path / "half").answer_batch(pairs), fitted.answer_batch(pairs), strict=True):
        assert half.score == pytest.approx(whole.score, abs=0.02)
    assert cls.load(tmp_path / "reader", threshold=2.0).answer(*pairs[0]).text == ""
    for other in CLASSES.values():
        if other is not cls:
            message = f"reader is an? {cls.__name__}: load it with {cls.__name__}.load."
            with pytest.raises(ConfigError, match=message):
                other.load(tmp_path / "reader")
    if cls is MLMReader:
        filled = MaskedLM.from_pretrained(tmp_path / "reader").fill_mask("天[MASK]地")
        assert filled == fitted.model_.fill_mask("天[MASK]地")


def test_a_refused_training_leaves_the_reader_as_it_was(fitted):
    question, passages = "火？", ["天日地"]
    before, epochs = fitted.answer(question, passages), fitted.epochs
    with pytest.raises(InputError, match="`epochs` must be"):
        fitted.set_params(epochs=0).fit(examples(4, 0))
    with pytest.raises(InputError, match="`metric` must be one of"):
        fitted.set_params(epochs=epochs).fit(examples(4, 0), metric="squad")
    assert fitted.answer(question, passages) == before
    assert fitted.calibration_ is not None


def test_what_is_known_before_a_training(tmp_path):
    reader = MLMReader(tiny_mlm(), **SMALL)
    known = {"temperature_": 1.0, "threshold_": 0.5, "calibration_": None, "history_": (), "unlearned_": ()}
    assert {name: getattr(reader, name) for name in known} == known
    reader.answer("天？", "天")
    reader.save(tmp_path)
    assert {name: getattr(MLMReader.load(tmp_path), name) for name in known} == known


@pytest.mark.parametrize("fitted", ["mlm"], indirect=True)
def test_calibration_errors_by_hand(fitted):
    """Of the best answers, bin by bin, where a quarter of the questions are said to have none."""
    made = [each if i % 4 else dataclasses.replace(each, answers=[]) for i, each in enumerate(examples(60, 1, True))]
    reader, pairs = copy.copy(fitted).set_params(threshold=0.0), [(each.question, each.passages) for each in made]
    found, errors = reader.calibrate(made), {}
    for name, temperature in (("ece_after", found["temperature"]), ("ece_before", 1.0)):
        reader.temperature_, gaps = temperature, [0] * 15
        for example, answer in zip(made, reader.answer_batch(pairs), strict=True):
            gaps[min(int(answer.score * 15), 14)] += answer.score - (answer.text in example.answers)
        errors[name] = sum(map(abs, gaps)) / 60
    assert {name: found[name] for name in errors} == pytest.approx(errors)
    assert min(errors.values()) > 0.02
    assert abs(errors["ece_before"] - errors["ece_after"]) > 0.01


@pytest.mark.parametrize("fitted", ["mlm"], indirect=True)
def test_an_epoch_is_judged_by_answers_at_a_threshold_of_a_half(fitted):
    """Before a temperature is fitted, where some of the validation questions have no answer."""
    reader = copy.copy(fitted).set_params(threshold=0.5)
    reader.temperature_ = 1.0
    best = max(each["score"] for each in fitted.history_)
    assert reader.evaluate(examples(60, 1, True))["average"] == pytest.approx(best)


def test_a_metric_to_choose_by():
    """Where two answers are right CJRC's gives half a point to one of them, CMRC's a whole one.

    As all questions have an answer the reader answers them, though it has learned that there is none.
    """
    train, both = [QAExample("火？", "天", [])] * 24, [QAExample("火？", ["日"], ["日", "月"])]
    options = FAST | {"epochs": 1, "batch_size": 24}
    reader = MLMReader(tiny_mlm(), **options).fit(train, both, metric="cjrc")
    assert reader.history_[0]["score"] == reader.evaluate(both, "cjrc")["average"] == 50
    assert reader.evaluate(both)["average"] == 100
    assert reader.calibration_["ece_after"] == pytest.approx(reader.answer("火？", "日").score)  # which is not right
    reader.temperature_ = 1.0
    unsure = reader.answer("火？", "日")
    assert reader.calibration_["ece_before"] == pytest.approx(unsure.score)
    assert unsure.score < unsure.no_answer
    assert reader.fit(train).calibration_ is None
    with pytest.raises(InputError, match="`metric` must be one of"):
        reader.calibrate(both, "squad")


def test_only_a_reader_is_loaded(tmp_path):
    tiny_mlm().save_pretrained(tmp_path / "plain")
    with pytest.raises(ConfigError, match=r"plain is a MaskedLM, not a reader. Train one: MLMReader\(mlm\).fit"):
        MLMReader.load(tmp_path / "plain")


@pytest.mark.parametrize("fitted", ["span"], indirect=True)
def test_hugging_faces_question_answering(fitted, tmp_path):
    """Its logits are those of our pointers, and its folder a reader that answers by them."""
    transformers, reader = pytest.importorskip("transformers"), fitted
    reader.model_.save_pretrained(tmp_path / "hf", format="huggingface")
    import torch

    theirs = transformers.AutoModelForQuestionAnswering.from_pretrained(tmp_path / "hf")
    question, passage = "火？", "天，日地go人"
    ids = reader.model_.tokenizer(question, passage)
    with torch.no_grad():
        out = theirs(torch.tensor(ids["token_ids"]).long(), token_type_ids=torch.tensor(ids["segment_ids"]).long())
    texts = ["天", "，", "日", "地", "go", "人"]  # of tokens
    columns = np.array([[0, *range(len(question) + 2, len(question) + 2 + len(texts))]])
    inputs = ids | {"columns": columns, "column_mask": np.ones_like(columns)}
    ours = array(reader.model_(inputs))[0]
    expected = np.stack([out.start_logits[0].numpy(), out.end_logits[0].numpy()])[:, columns[0]]
    assert_close(ours, expected)
    config = json.loads((tmp_path / "hf" / "config.json").read_text("utf-8"))
    config.pop("head", None)
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "hf" / "manifest.json").unlink(missing_ok=True)
    first, last = expected - np.log(np.exp(expected).sum(axis=1, keepdims=True))
    odds = {
        "".join(texts[i : j + 1]): np.exp(first[1 + i] + last[1 + j] - first[0] - last[0])
        for i in range(len(texts))
        for j in range(i, min(i + SMALL["answer_length"], len(texts)))
    }
    answer = SpanReader.load(tmp_path / "hf", **SMALL, threshold=0.0).answer(question, passage)
    assert answer.text == max(odds, key=odds.get)
    assert answer.score == pytest.approx(odds[answer.text] / (1 + sum(odds.values())), rel=1e-5)
    assert answer.no_answer == pytest.approx(1 / (1 + sum(odds.values())), rel=1e-5)


# --- the input, the head, and the article's decoding


def test_the_input_is_the_articles():
    """`[CLS]`, the slots, `[SEP]`, the question, `[SEP]`, the passage with its lists as one span, `[SEP]`."""
    reader = MLMReader(tiny_mlm(), **SMALL)
    model = reader._fitted()
    (row,), _ = reader._row_reader(model).rows([("天地？", ["甲、乙，go 丙"])])
    inputs = reader._inputs(model, [row], 24)
    length = int(inputs["padding_mask"].sum())
    tokens = model.tokenizer.tokens(inputs["token_ids"][0][:length])
    unknown = "[UNK]"
    expected = ["[CLS]", *["[MASK]"] * 4, "[SEP]", "天", "地", unknown, "[SEP]"]
    assert tokens == [*expected, "甲", unknown, "乙", unknown, "go", unknown, "丙", "[SEP]"]
    assert inputs["positions"].tolist() == [[1, 2, 3, 4]]
    assert inputs["columns"][0, :8].tolist() == [9, *range(10, 17)]
    assert row.passage.offsets == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 6), (6, 7), (7, 8)]


def masked_lm(name):
    """A small one of an architecture, with room for a row and a tokenizer."""
    tokenizer = tiny_mlm().tokenizer
    sizes = {"max_position_embeddings": 34, "vocab_size": len(tokenizer.vocab), "pad_token_id": tokenizer.pad_id}
    mlm = small_model(name, "masked_lm", **sizes)
    mlm.tokenizer = mlm.backbone.tokenizer = tokenizer
    return mlm


@pytest.mark.backends
@pytest.mark.parametrize("name", MASKED)
def test_the_head_of_the_passage_alone(name):
    """The softmax over the passage's tokens is that over the vocabulary, divided by their share."""
    reader = MLMReader(masked_lm(name), **SMALL)
    model = reader._fitted()
    rows, _ = reader._row_reader(model).rows([("天？", ["甲乙甲丙", "日月"]), ("地", ["山"])])
    inputs = reader._inputs(model, rows, 24)
    own = array(model(inputs))
    everything = array(model({name: x for name, x in inputs.items() if name != "distinct"}))
    logits = array(model({name: inputs[name] for name in ("token_ids", "padding_mask", "positions")}))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    for i, row in enumerate(rows):
        ids = [model.tokenizer.sep_id, *row.token_ids]
        expected = probabilities[i][:, ids]
        assert_close(np.exp(everything[i, :, : len(ids)]), expected)
        share = probabilities[i][:, sorted(set(ids))].sum(axis=1, keepdims=True)
        assert_close(np.exp(own[i, :, : len(ids)]), expected / share)
        assert (own[i, :, len(ids) :] < -1e8).all()


@pytest.mark.parametrize("name", MASKED)
def test_readers_of_every_masked_language_model(name, tmp_path):
    """Their answers come back from their folders, and do not depend on what else is in the batch."""
    for cls in (MLMReader, SpanReader):
        reader = cls(masked_lm(name), **SMALL, threshold=0.0)
        reader.model_ = reader._new_model()
        pairs = [(each.question, each.passages) for each in examples(3, 0)]
        answers = reader.answer_batch(pairs, 3)
        for one, other in zip(reader.answer_batch(pairs[:1], 3), answers, strict=False):
            assert (one.text, one.start) == (other.text, other.start)
            assert (one.score, one.no_answer) == pytest.approx((other.score, other.no_answer), rel=1e-5)
        reader.save(tmp_path / cls.__name__)
        assert cls.load(tmp_path / cls.__name__).answer_batch(pairs, 3) == answers


def test_logits_in_half_precision_are_summed_in_float32():
    model = MLMReader(MaskedLM.from_pretrained("bert-tiny-zh", dtype="mixed_bfloat16"))._new_model()
    hidden = keras.ops.cast(np.random.default_rng(0).normal(size=(2, 4, 256)), "bfloat16")
    ids = np.array([[5, 6, 7], [8, 9, 5]])
    table = array(model.backbone.embeddings.token.embeddings)[ids]
    expected = array(keras.ops.cast(model.head(hidden), "float32")) @ table.transpose(0, 2, 1)
    assert_close(array(model.own_logits(hidden, ids)), expected + array(model.head.bias)[ids][:, None])


def article_answers(mlm, question, passages, slots, question_length, passage_length):
    """bert4keras' example told anew: one pass a passage, greedy n-grams, the vote over decoded answers."""
    tokenizer, votes = mlm.tokenizer, {}
    for passage in passages:
        ids = [*tokenizer.ids(re.sub(" |、|；|，", ",", passage))[: passage_length - 1], tokenizer.sep_id]
        row = [tokenizer.cls_id, *[tokenizer.mask_id] * slots, tokenizer.sep_id]
        row += [*tokenizer.ids(question)[: question_length - 1], tokenizer.sep_id, *ids]
        logits = array(mlm({"token_ids": np.array([row])}))[0, 1 : 1 + slots].astype("float64")
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        chosen, score = article_decodes(probabilities, ids, tokenizer.sep_id)
        if text := tokenizer.decode(chosen):
            votes.setdefault(text, []).append(score)
    return {text: sum(s**2 for s in scores) / (sum(scores) + 1) for text, scores in votes.items()}


@pytest.mark.backends
@pytest.mark.filterwarnings("ignore::nlpgen.errors.InputWarning")  # questions that were cut
def test_parity_with_bert4keras():
    mlm, generator, answered, repeated = tiny_mlm(), random.Random(0), 0, 0
    for weight in mlm.head.weights:
        if weight.name == "bias":
            weight.assign(np.where(np.arange(weight.shape[0]) == 3, 1.5, array(weight)))  # some answers end
    reader = MLMReader(mlm, **SMALL | {"stride": None}, decoding="greedy", vote="bert4keras")
    pairs = []  # some questions and passages are too long, some passages are given again, of 龘 there is no token
    for _ in range(30):
        passages = ["".join(generator.choices("甲乙丙，日月龘", k=generator.randint(6, 14))) for _ in range(3)]
        pairs.append(("".join(generator.choices("天地人", k=generator.randint(3, 7))), [*passages, passages[0]]))
    for (question, passages), answer in zip(pairs, reader.answer_batch(pairs, 9), strict=True):
        expected = article_answers(mlm, question, passages, 4, 6, 12)
        if not expected:
            assert answer.text == ""
            continue
        best = max(expected, key=lambda text: expected[text])
        found = passages[answer.passage][answer.start : answer.end]
        assert found == answer.text
        assert answer.score == pytest.approx(expected[best], rel=1e-5)
        assert mlm.tokenizer.decode(mlm.tokenizer.ids(found.replace("，", ","))) == best
        answered += 1
        repeated += answer.passage == 0
    assert answered >= 20
    assert repeated >= 5


@pytest.mark.backends
@pytest.mark.parametrize("iterations", [2, 4])
def test_mask_predict_by_hand(iterations):
    """Several passes over rows of different lengths, told anew, a row after the other."""
    reader = MLMReader(tiny_mlm(), **SMALL, iterations=iterations)
    model = reader._fitted()
    pairs = [("天？", ["甲乙丙日月山"]), ("地", ["人日月"]), ("火水？", ["山水甲乙", "月"])]
    rows, _ = reader._row_reader(model).rows(pairs)
    inputs, changed = reader._inputs(model, rows, 24), 0
    outputs = reader._outputs(model, inputs, rows)
    for i, row in enumerate(rows):
        one = {name: x[i : i + 1].copy() for name, x in inputs.items()}
        first = said = array(model.predict_on_batch(one))[0]
        for n in range(1, iterations):
            best = int(array(slot_span_scores(said[None])).argmax())
            begin, end = span_at(best, said.shape[1] - 1)
            columns = [*range(1 + begin, 2 + end), 0] if best else [0]
            ids = [*(row.token_ids[c - 1] for c in columns[:-1]), model.tokenizer.sep_id]
            order = np.argsort([said[slot, c] for slot, c in enumerate(columns)])
            kept = sorted(order[int(len(columns) * (1 - n / iterations)) :])
            one["token_ids"][0, 1:5] = model.tokenizer.mask_id
            for slot in kept:
                one["token_ids"][0, 1 + slot] = ids[slot]
            again = array(model.predict_on_batch(one))[0]
            said = np.array([said[slot] if slot in kept else again[slot] for slot in range(4)])
        width = 1 + len(row.token_ids)
        assert_close(outputs[i, :, :width], said[:, :width])
        changed += not np.allclose(said[:, :width], first[:, :width])
    assert changed >= 3


@pytest.mark.backends
@pytest.mark.parametrize("loss", ["spans", "tokens"])
def test_only_hidden_slots_are_learned(loss):
    """Of those that show a token of the answer nothing is counted."""
    reader = MLMReader(tiny_mlm(), **SMALL, iterations=2, loss=loss)
    model = reader._fitted()
    made = [QAExample("天？", "甲乙丙", "甲乙丙")] * 8
    rows = TrainingRows(RowReader(model.tokenizer, 5, 11, 6), made, 3, 0.0, "random", 0).draw(1)
    plain = reader._inputs(model, rows, 24)
    generator = np.random.default_rng(0)
    inputs, targets, weights = reader._targets(model, rows, {name: x.copy() for name, x in plain.items()}, generator)
    slots = inputs["token_ids"][:, 1:5]
    asked = slots == model.tokenizer.mask_id
    assert asked.any(axis=1).all()
    assert 2 < (~asked).any(axis=1).sum() < 8
    right = np.array([[*model.tokenizer.ids("甲乙丙"), 3]] * 8)
    assert (slots[~asked] == right[~asked]).all()
    if loss == "tokens":
        assert (targets == right).all()
        assert (weights == asked).all()
        return
    read, said = array(model(inputs)), array(model(inputs | {"asked": np.ones_like(inputs["asked"])}))
    length = inputs["column_mask"].sum(axis=1)[0]
    assert (read[..., :length] == np.where(asked[..., None], said, 0)[..., :length]).all()
    assert (read[..., length:] < -1e8).all()


def test_how_many_slots_are_hidden():
    """Of the answer and its end any number of tokens is as likely, and each of them (Ghazvininejad et al., 2019)."""
    reader, n = MLMReader(tiny_mlm(), **SMALL, iterations=2), 5000
    model = reader._fitted()
    made = [QAExample("天？", "甲乙丙", "甲乙丙")]
    rows = TrainingRows(RowReader(model.tokenizer, 5, 11, 6), made, 3, 0.0, "random", 0).draw(1)
    inputs = {name: np.repeat(x, n, axis=0) for name, x in reader._inputs(model, rows, 24).items()}
    inputs, _, _ = reader._targets(model, rows * n, inputs, np.random.default_rng(0))
    hidden = inputs["token_ids"][:, 1:5] == model.tokenizer.mask_id
    counts = np.bincount(hidden.sum(axis=1), minlength=5)
    # Half of the rows show nothing, the others 0 to 3 of 4; within four standard errors.
    for count, share in zip([*counts, *hidden.sum(axis=0)], [0, *[1 / 8] * 3, 5 / 8, *[13 / 16] * 4], strict=True):
        assert abs(count - n * share) <= 4 * np.sqrt(n * share * (1 - share))


@pytest.mark.backends
def test_of_what_is_shown_the_rest_is_right():
    """Where a row shows some of an answer, others are not right any more; where it shows nothing, all are."""
    reader = MLMReader(tiny_mlm(), **SMALL, iterations=2)
    model = reader._fitted()
    made = [QAExample("天？", "甲乙丙丁甲乙", ["甲乙", "丙丁"])] * 12
    rows = TrainingRows(RowReader(model.tokenizer, 5, 11, 6), made, 3, 0.0, "random", 0).draw(1)
    inputs, gold, _ = reader._targets(model, rows, reader._inputs(model, rows, 24), np.random.default_rng(0))
    width, shown = inputs["columns"].shape[1] - 1, 0
    for asked, row in zip(inputs["asked"], gold, strict=True):
        spans = [span_at(i, width) for i in row if i >= 0]
        assert spans == ([(0, 1), (4, 5)] if not asked.all() else [(0, 1), (2, 3), (4, 5)])
        shown += not asked.all()
    assert 2 < shown < 10


def test_the_articles_loss():
    """The cross-entropy of all tokens of the answers and their ends, divided by how many they are."""
    mlm, made = (
        tiny_mlm(),
        [QAExample("天？", "甲乙丙", "乙丙"), QAExample("地", "日甲月", "甲"), QAExample("火", "水", [])],
    )
    fitted = MLMReader(mlm, **SMALL, loss="tokens", epochs=1, negative_rate=0.0).fit(made)
    tokenizer, losses = mlm.tokenizer, []
    for example in made:
        answer = example.answers[0] if example.answers else ""
        row = [2, *[4] * 4, 3, *tokenizer.ids(example.question), 3, *tokenizer.ids(example.passages[0]), 3]
        logits = array(mlm({"token_ids": np.array([row])}))[0, 1:5]
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        losses += [-log_probs[i, token] for i, token in enumerate([*tokenizer.ids(answer), 3])]
    assert len(losses) == 6
    assert fitted.history_[0]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


# --- windows


def odds_of_windows(reader, model, question, passages):
    """`(row, {(first, last): odds})`, window by window and span by span, counted in the passage."""
    longest = reader._longest()
    for row in reader._row_reader(model).rows([(question, passages)])[0]:
        out = array(model.predict_on_batch(reader._inputs(model, [row], 24)))[0].astype("float64")
        if type(reader) is SpanReader:
            out -= np.log(np.exp(out).sum(axis=1, keepdims=True))
        none, odds = out[0, 0] if type(reader) is MLMReader else out[:, 0].sum(), {}
        for first in range(row.end - row.begin):
            for last in range(first, min(first + longest, row.end - row.begin)):
                if type(reader) is SpanReader:
                    score = out[0, 1 + first] + out[1, 1 + last]
                else:
                    tokens = last - first + 1
                    score = sum(out[i, 1 + first + i] for i in range(tokens)) + out[tokens, 0]
                odds[row.begin + first, row.begin + last] = np.exp(score - none)
        yield row, odds


@pytest.mark.backends
@pytest.mark.parametrize("name", ["mlm", "span"])
def test_a_place_in_several_windows_counts_once(name):
    reader = CLASSES[name](tiny_mlm(), **SMALL, threshold=0.0)
    model = reader.model_ = reader._new_model()
    passages = ["甲乙丙丁天地人山水火木日月" * 2, "天日地"]
    odds = {}
    for row, window in odds_of_windows(reader, model, "天？", passages):
        for span, value in window.items():
            place = row.index[1], *span
            odds[place] = max(odds.get(place, 0), value)
    total, sums, counted = 1 + sum(odds.values()), {}, set()
    for i, first, last in sorted(odds, key=lambda place: -odds[place]):
        text = passages[i][first : last + 1]
        sums[text] = sums.get(text, 0) + odds[i, first, last] / total
    for i in (0, 1):
        best = sorted((place for place in odds if place[0] == i), key=lambda place: -odds[place])[:20]
        counted |= {passages[i][first : last + 1] for _, first, last in best}
    expected = {text: sums[text] for text in counted}
    (pool,) = reader._pools([("天？", passages)])
    assert {span.text for span in pool.spans} == expected.keys()
    assert_close(np.exp(pool.scores), [expected[span.text] for span in pool.spans])
    assert np.exp(pool.none) == pytest.approx(1 / total)
    assert np.exp(pool.rest) == pytest.approx(1 - 1 / total - sum(expected.values()), rel=1e-3)


@pytest.mark.backends
@pytest.mark.parametrize("fitted", ["mlm", "span"], indirect=True)
def test_the_articles_vote_over_exact_answers(fitted):
    """The best answer of each window, where it is likelier than none, with its probability."""
    reader, generator, several = copy.copy(fitted).set_params(vote="bert4keras"), random.Random(0), 0
    model = reader.model_
    for _ in range(10):
        passages = ["".join(generator.choices("甲乙丙丁天日月", k=generator.randint(4, 30))) for _ in range(3)]
        scores = {}
        for row, odds in odds_of_windows(reader, model, "天？", passages):
            (first, last), best = max(odds.items(), key=lambda item: item[1])
            if best >= 1:
                key = passages[row.index[1]][first : last + 1]
                known = scores.setdefault(key, {})
                known[row.index[1]] = max(known.get(row.index[1], 0), best / (1 + sum(odds.values())))
        votes = {text: sum(s**2 for s in each.values()) / (sum(each.values()) + 1) for text, each in scores.items()}
        answer = reader.answer("天？", passages, top_k=99)
        assert answer.text == max(votes, key=votes.get, default="")
        assert answer.no_answer is None
        if votes:
            assert answer.score == pytest.approx(votes[answer.text], rel=1e-5)
        for each in answer.alternatives:
            assert each.score == pytest.approx(votes[each.text], rel=1e-5)
        several += len(votes) > 1
    assert several >= 3


@pytest.mark.parametrize("name", CLASSES)
def test_equal_passages_are_read_once(name):
    reader = CLASSES[name](tiny_mlm(), **SMALL, threshold=0.0)
    reader.model_ = reader._new_model()
    one, other = "甲乙丙丁天地人山水火木日月", "天日地"
    answer = reader.answer("天？", [one, other], 3)
    again = reader.answer("天？", [one, one, other, one], 3)
    for ours, theirs in zip([again, *again.alternatives], [answer, *answer.alternatives], strict=True):
        assert (ours.text, ours.start, ours.passage) == (theirs.text, theirs.start, 2 * theirs.passage)
        assert (ours.score, ours.no_answer) == pytest.approx((theirs.score, theirs.no_answer), rel=1e-5)


def test_as_many_alternatives_as_there_are():
    """With 60 characters of one token each, and answers of up to 3, all of them are in some."""
    reader = MLMReader(tiny_mlm(), **SMALL)
    passage = "".join(map(chr, range(0x4E00, 0x4E00 + 60)))
    answer = reader.answer("天？", passage, top_k=60)
    found = [answer, *answer.alternatives] if answer.text else answer.alternatives
    assert "".join(each.text for each in sorted(found, key=lambda each: each.start)) == passage


# --- what is written


@pytest.mark.backends
def test_what_is_written_by_hand():
    """With room for all n-grams the search finds each with its probability, as the whole row read at once says."""
    passage, question, end = "甲乙丙甲乙", "天？", 3
    reader = Seq2SeqReader(tiny_mlm(), **SMALL | {"answer_length": 3}, beam_width=9, threshold=0.0)
    model = reader.model_ = reader._new_model()
    ids, before = model.tokenizer.ids(passage), [2, *model.tokenizer.ids(question), end]
    expected = {}
    for text in ("", "甲", "乙", "丙", "甲乙", "乙丙", "丙甲"):
        target, source = [*model.tokenizer.ids(text), end], [*before, *ids, end]
        row = np.array([[*source, *target[:-1]]], "int32")
        segments = np.arange(row.shape[1])[None] >= len(source)
        logits = array(UniLM.call(model, {"token_ids": row, "segment_ids": segments.astype("int32")}))[0]
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        places = np.arange(len(target)) + len(source) - 1
        expected[text] = np.exp(log_probs[places, target].sum())
    total = sum(expected.values())
    answer = reader.answer(question, passage, top_k=9)
    found = [answer, *answer.alternatives]
    assert answer.text == max(expected.keys() - {""}, key=expected.get)
    for each in found:
        assert each.start == passage.index(each.text)  # where it first stands
        assert each.score == pytest.approx(expected[each.text] / total, rel=1e-5)
    assert answer.no_answer == pytest.approx(expected[""] / total, rel=1e-5)
    (pool,) = reader._pools([(question, [passage])])
    assert {span.text for span in pool.spans} == expected.keys() - {""}


@pytest.mark.backends
def test_no_answer_that_the_search_dropped():
    """It has the probability of the end as the first token, padding or not."""
    reader = Seq2SeqReader(tiny_mlm(), **SMALL, beam_width=1, threshold=0.0)
    model = reader.model_ = reader._new_model()
    found = [([5, 6, 3], -1.0), ([5, 3], -2.0)]
    model.generate_ids = lambda sources, *_, **__: [found[: 1 + (i == 0)] for i in range(len(sources))]
    answers = reader.answer_batch([("天？", "地甲乙"), ("地", "地甲乙" * 3)], top_k=2)
    assert (answers[0].text, answers[0].start, answers[0].end) == ("甲乙", 1, 3)
    for answer, question, passage, scores in zip(answers, ("天？", "地"), (1, 3), ([-1.0, -2.0], [-1.0]), strict=True):
        ids = model.tokenizer.ids
        row = np.array([[2, *ids(question), 3, *ids("地甲乙" * passage), 3]], "int32")
        logits = array(UniLM.call(model, {"token_ids": row, "segment_ids": np.zeros_like(row)}))[0, -1]
        odds = np.exp([*scores, logits[3] - np.log(np.exp(logits).sum())])
        assert answer.no_answer == pytest.approx(odds[-1] / odds.sum(), rel=1e-5)
        assert answer.score == pytest.approx(odds[0] / odds.sum(), rel=1e-5)


def test_rows_that_writing_is_learned_from():
    """The source, the answer but for its end; what counts are the answer and its end."""
    reader = Seq2SeqReader(tiny_mlm(), **SMALL)
    model = reader.model_ = reader._new_model()
    made = [QAExample("天？", "甲乙丙", "乙丙"), QAExample("地", "甲", [])]
    rows = TrainingRows(RowReader(model.tokenizer, 5, 11, 6), made, 3, 0.0, "random", 0).draw(1)
    assert [reader._length(row) for row in rows] == [10, 5]
    inputs, targets, weights = reader._targets(model, rows, reader._inputs(model, rows, 16), None)
    ids, end = model.tokenizer.ids, 3
    assert inputs["token_ids"][0, :10].tolist() == [2, *ids("天？"), end, *ids("甲乙丙"), end, *ids("乙丙")]
    assert inputs["segment_ids"][0].tolist() == [0] * 8 + [1, 1] + [0] * 6
    assert inputs["positions"][0, :3].tolist() == [7, 8, 9]
    assert targets[0, :3].tolist() == [*ids("乙丙"), end]
    assert targets[1, 0] == end
    assert weights.tolist() == [[1, 1, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]]


def test_training_options_learn_too():
    """The article's loss with its vote and greedy decoding; several passes. What cannot be learned is listed."""
    train, test = examples(96, 0), examples(40, 2)
    odd = [QAExample("天？", ["地"], ["人"]), QAExample("天？", [""], [])]
    with pytest.warns(InputWarning, match=r"2 of 98 examples cannot be learned from(.|\n)*the first is 96: no answer"):
        article = MLMReader(tiny_mlm(), **FAST, loss="tokens", vote="bert4keras", decoding="greedy").fit([*train, *odd])
    assert [i for i, _ in article.unlearned_] == [96, 97]
    greedy = article.evaluate(test)
    assert greedy["f1"] >= 60
    assert "ece" not in greedy
    exact = article.set_params(decoding="exact", vote="probability").evaluate(test)
    assert exact["f1"] >= greedy["f1"]
    again = MLMReader(tiny_mlm(), **FAST, iterations=2).fit(train)
    assert again.evaluate(test)["f1"] >= 75
    with pytest.raises(InputError, match="None of the 1 examples can be learned from"):
        again.fit(odd[:1])


def test_a_stopped_run_goes_on(tmp_path, monkeypatch):
    """As if it had never stopped, with its dropout, order of rows and what these show; and it can end with its best."""
    train, valid = examples(48, 0), examples(20, 1)
    options = FAST | {"iterations": 2}
    whole = MLMReader(tiny_mlm(0.1), **options).fit(train, valid)
    evaluate, calls = MLMReader.evaluate, []

    def stopped(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(MLMReader, "evaluate", stopped)
        with pytest.raises(KeyboardInterrupt):
            MLMReader(tiny_mlm(0.1), **options).fit(train, valid, state=tmp_path / "run")
    early = MLMReader(tiny_mlm(0.1), **options | {"epochs": 2}).fit(train, valid, state=tmp_path / "run")
    assert [each["epoch"] for each in early.history_] == [1, 2]
    assert early.evaluate(valid)["average"] == max(each["score"] for each in early.history_)
    again = MLMReader(tiny_mlm(0.1), **options).fit(train, valid, state=tmp_path / "run")
    assert [each["epoch"] for each in again.history_] == [1, 2, 3, 4]
    for ours, theirs in zip(again.history_, whole.history_, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
        assert ours["score"] == theirs["score"]
    for ours, theirs in zip(again.model_.get_weights(), whole.model_.get_weights(), strict=True):
        assert_close(ours, theirs)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The folder of a run of one epoch; `fit_again` goes on with it."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    fit_again(folder)
    return folder


def fit_again(folder, train=None, valid=None, metric="cmrc2018", **changes):
    reader = MLMReader(tiny_mlm(), **FAST | {"epochs": 1} | changes)
    return reader.fit(train or examples(16, 0), valid or examples(4, 1), state=folder, metric=metric)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 8}, r"batch_size 16, now 8\. Use"),
        ({"learning_rate": 2e-2}, r"learning_rate 0\.01, now 0\.02\. Use"),
        ({"weight_decay": 0.0}, r"weight_decay 0\.01, now 0\.0\. Use"),
        ({"seed": 1}, r"seed 0, now 1\. Use"),
        ({"stride": 3}, r"stride 6, now 3\. Use"),
        (
            {"vote": "bert4keras", "decoding": "greedy"},
            r"vote 'probability', now 'bert4keras', decoding 'exact', now 'greed",
        ),
        ({"iterations": 2, "loss": "tokens"}, r"iterations 1, now 2, loss 'spans', now 'tokens'\. Use"),
        ({"negative_rate": 0.5}, r"negative_rate 0\.0, now 0\.5\. Use"),
        ({"negatives": "bm25"}, r"negatives 'random', now 'bm25'\. Use"),
        ({"metric": "drcd"}, r"metric 'cmrc2018', now 'drcd'\. Use"),
        (
            {"train": examples(16, 2)},
            r"examples '16 examples, SHA-256 \w{16}', now '16 examples, SHA-256 \w{16}'\. Use",
        ),
        ({"train": examples(16, 0)[::-1]}, r"examples '16 examples.*', now '16 examples.*'\. Use"),
        ({"valid": examples(4, 2)}, r"validation_data '4 examples, SHA-256 \w{16}', now '4 examples.*'\. Use"),
        ({"valid": examples(3, 1)}, r"validation_data '4 examples, SHA-256 \w{16}', now '3 examples.*'\. Use"),
    ],
)
def test_a_run_with_other_options_or_data_does_not_go_on(kept, changes, message):
    with pytest.raises(InputError, match="run was started with other settings: " + message):
        fit_again(kept, **changes)


def test_a_run_that_goes_on_may_change_how_long_it_trains_and_what_it_says(tmp_path, capsys):
    before = fit_again(tmp_path / "run", seed=np.int64(0), batch_size=np.int64(16))
    changed = fit_again(tmp_path / "run", epochs=2, patience=1, threshold=0.3, verbose=True)
    assert changed.history_[0] == before.history_[0]
    assert len(changed.history_) == 2
    assert capsys.readouterr().out.startswith("epoch 2 ")
    before.save(tmp_path / "reader")
    assert MLMReader.load(tmp_path / "reader").seed == 0


@pytest.mark.parametrize(
    ("name", "value"), [("question", "水？"), ("passages", ("日", "月")), ("answers", ("日", "月")), ("answers", ())]
)
def test_fingerprints_of_examples(name, value):
    example = QAExample("火？", "日月", "日")
    assert fingerprint([example]) != fingerprint([dataclasses.replace(example, **{name: value})])
    assert fingerprint([example]) == fingerprint([dataclasses.replace(example, id="7", group="a")])


# --- what is learned from


def rows_of(made, negatives="random", rate=0.5, **changes):
    tokenizer = tiny_mlm().tokenizer
    options = {"question_length": 5, "room": 6, "stride": 3} | changes
    return TrainingRows(RowReader(tokenizer, **options), made, 3, rate, negatives, 0)


def test_rows_hold_every_occurrence():
    """Of all answers, in all widths and cases; not of those that are too long, or that a window cuts."""
    made = [QAExample("天？", ["日天ＧＯ日地go山水日月日"], ["日", "go", "天Go日地"])]
    rows = rows_of(made, rate=0.0)
    for epoch in range(1, 30):
        (row,) = rows.draw(epoch)
        text = [row.passage.text[slice(*row.passage.stretch(row.begin + a, row.begin + b))] for a, b in row.spans]
        begin, end = row.passage.offsets[row.begin][0], row.passage.offsets[row.end - 1][1]
        window = row.passage.text[begin:end]
        assert len(text) == len(re.findall("日|go|ＧＯ", window))
        assert set(text) <= {"日", "go", "ＧＯ"}


@pytest.mark.parametrize("negatives", ["random", "bm25"])
def test_negatives_have_no_answer(negatives):
    made = examples(20, 0)
    rows, own, foreign, right = rows_of(made, negatives), 0, 0, 0
    for epoch in range(1, 6):
        drawn = rows.draw(epoch)
        assert len(drawn) == 20
        for row in drawn:
            example = made[row.index[0]]
            if row.spans:
                right += 1
                continue
            text = row.passage.text[row.passage.offsets[row.begin][0] : row.passage.offsets[row.end - 1][1]]
            assert example.answers[0] not in text
            own, foreign = own + (row.index[1] is not None), foreign + (row.index[1] is None)
    assert own > 10
    assert foreign > 10
    assert right > 35


def test_negatives_by_hand():
    """All windows of its own passages without an answer, even one that is too long; all of others' passages."""
    made = [QAExample("天？", ["日天地天地天地甲乙丙丁天地", "山水"], ["日", "甲乙丙丁"])]
    made += [QAExample("地？", "月", "月")]
    rows, found = rows_of(made, rate=0.9), set()
    for row in (row for epoch in range(1, 100) for row in rows.draw(epoch) if not row.spans):
        found.add((row.index, row.passage.text[row.begin : row.end]))
    own = {((0, 0), "天地天地甲乙"), ((0, 0), "丙丁天地"), ((0, 1), "山水")}
    windows = ("日天地天地天", "天地天地甲乙", "地甲乙丙丁天", "丙丁天地", "山水")
    assert found == own | {((0, None), "月"), *(((1, None), text) for text in windows)}


def test_hard_negatives_are_like_the_question():
    made = [QAExample("山水？", ["山水日"], ["日"]), QAExample("甲？", ["甲山水月"], ["月"])]
    made += [QAExample("丁？", [f"丁{c}丁"], [c]) for c in "乙丙天地人"]
    rows = rows_of(made, "bm25", 0.9)
    drawn = [row for epoch in range(1, 40) for row in rows.draw(epoch)]
    foreign = [row.passage.text for row in drawn if row.index == (0, None)]
    assert len(foreign) > 10
    assert set(foreign) == {"甲山水月"}


def test_what_cuts_a_token_is_an_answer_only_where_nothing_else_is():
    both = Passage("9岁，19岁", [0] * 5, [(0, 1), (1, 2), (2, 3), (3, 5), (5, 6)])
    assert both.spans_of(["9岁"]) == [(0, 1)]
    assert both.spans_of(["岁，1"]) == [(1, 3)]
    assert Passage("才19岁", [0] * 3, [(0, 1), (1, 3), (3, 4)]).spans_of(["9岁", "7"]) == [(1, 2)]


@pytest.mark.parametrize("text", ["甲 乙", "甲　乙", "甲,乙", "甲，乙", "甲、乙", "甲､乙", "甲；乙"])
def test_marks_of_lists_are_equal(text):
    (passage,) = read_passages(tiny_mlm().tokenizer, [text])
    assert matchable(text) == "甲,乙"
    assert [passage.text[slice(*passage.stretch(*span))] for span in passage.spans_of(["甲、乙"])] == [text]


def test_why_nothing_is_learned():
    made = [QAExample("天？", "甲乙丙丁天", answer) for answer in ("天", "甲乙丙丁", "月")]
    rows = rows_of([*made, QAExample("天？", [" ", ""], "天")], rate=0.0)
    fits = "no answer that fits stands in a passage"
    assert rows.unlearned == [(1, fits), (2, fits), (3, "no tokens")]


def test_windows_cover_a_passage():
    (passage,) = read_passages(tiny_mlm().tokenizer, ["甲乙丙丁天地人山水火木日月"])
    assert passage.windows(6, 3) == [(0, 6), (3, 9), (6, 12), (9, 13)]
    assert passage.windows(20, 3) == [(0, 13)]
    assert passage.windows(6, None) == [(0, 6)]
    assert distinct(np.array([[3, 5, 3], [5, 5, 5]])).tolist() == [[1, 1, 0], [1, 0, 0]]


# --- what goes wrong


@pytest.mark.parametrize("name", CLASSES)
def test_odd_passages(name):
    reader = CLASSES[name](tiny_mlm(), **SMALL | {"answer_length": 3 if name == "span" else 4})
    reader.model_ = reader._new_model()
    none = reader.answer("天？", ["", " \u2028 "])
    assert (none.text, none.passage, none.start, none.end, none.no_answer) == ("", None, 0, 0, 1.0)
    answer = reader.set_params(threshold=0.0).answer("天？", ["", "龘靐😀"], top_k=2)  # no token that it knows
    assert answer.passage == 1
    assert answer.text == "龘靐😀"[answer.start : answer.end] != ""
    pair = "天地人山水火", ["天地"]
    for call, argument in ((reader.answer, pair), (reader.answer_batch, ([pair],))):
        with pytest.warns(InputWarning, match="1 of 1 questions have more than 5 tokens and were cut") as caught:
            call(*argument)
        assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader.answer("天地人山水", ["天地"])
    long = reader.answer("天？", ["日月" * 30], top_k=3)
    assert all(1 <= len(each.text) <= 3 for each in [long, *long.alternatives])  # the slots
    with pytest.warns(InputWarning, match="1 of 2 questions have more than 5 tokens and were cut") as caught:
        reader.set_params(epochs=1).fit([*examples(1, 0), QAExample("天地人山水火", "天地", "地")])
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"answer_length": 1, "stride": 0, "vote": "mean"}, r"(?s)answer_length.*stride.*vote.*Correct them"),
        ({"loss": "crf", "negatives": "all", "negative_rate": 1}, r"(?s)negative_rate.*negatives.*loss"),
        ({"passage_length": 30}, "The model reads 32 tokens, but question, window and answer may have 42"),
        ({"stride": 12}, "`stride` must be less than `passage_length`"),
        ({"decoding": "greedy", "answer_length": 1}, r"(?s)needs `vote='bert4keras'`\n.*answer_length.*Correct them"),
        ({"iterations": 3}, "`iterations` must be one of"),
        ({"iterations": 2.0}, "`iterations` must be one of"),
        ({"threshold": -1}, "`threshold` must be a number"),
        ({"epochs": 0}, "`epochs` must be a whole number"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        MLMReader(tiny_mlm(), **SMALL | options).fit(examples(2, 0))


def test_wrong_calls():
    reader = MLMReader(tiny_mlm(), **SMALL)
    with pytest.raises(InputError, match="`top_k` must be a whole number"):
        reader.answer("天？", "天", top_k=0)
    for pairs in (None, 3):
        with pytest.raises(InputError, match="`pairs` must be a list"):
            reader.answer_batch(pairs)
    with pytest.raises(InputError, match="empty question"):
        reader.answer(" ", "天")
    with pytest.raises(InputError, match="list of QAExample"):
        reader.fit([("天？", "天")])
    with pytest.raises(InputError, match="`mlm` must be a MaskedLM"):
        MLMReader("bert-tiny-zh").fit(examples(2, 0))
    with pytest.raises(InputError, match="`mlm` must be a MaskedLM"):
        Seq2SeqReader(tiny_bert()).fit(examples(2, 0))
    with pytest.raises(InputError, match="SpanReader has learned nothing yet"):
        SpanReader(tiny_mlm()).answer("天？", "天")
    with pytest.raises(InputError, match="Seq2SeqReader has learned nothing yet"):
        Seq2SeqReader(tiny_mlm()).answer("天？", "天")
    with pytest.raises(InputError, match="`beam_width` must be a whole number"):
        Seq2SeqReader(tiny_mlm(), **SMALL, beam_width=0).fit(examples(2, 0))
    for metric in ("squad", ["cmrc2018"]):
        with pytest.raises(InputError, match="must be one of cmrc2018"):
            reader.evaluate(examples(1, 0), metric)
    with pytest.raises(InputError, match="question, window and answer may have 34"):
        Seq2SeqReader(tiny_mlm(), **SMALL | {"passage_length": 23}).fit(examples(2, 0))
    with pytest.raises(InputError, match="Only vote='probability'"):
        MLMReader(tiny_mlm(), **SMALL, vote="bert4keras").calibrate(examples(2, 0))
    broken = tiny_mlm()
    broken.head.bias.assign(np.full(broken.head.bias.shape, np.nan))
    with pytest.raises(NonFiniteOutput, match="NaN or infinity for '天？'"):
        MLMReader(broken, **SMALL).answer("天？", "天")
    reader = Seq2SeqReader(broken, **SMALL)
    reader.model_ = reader._new_model()
    with pytest.raises(NonFiniteOutput, match="NaN or infinity for '天？'"):
        reader.answer("天？", "天")


def test_answers_that_hold_unknown_characters_vote_for_themselves(embedded):
    """`龘` and `靐` are both [UNK]."""
    reader = MLMReader(embedded, **SMALL, vote="bert4keras")
    reader.model_ = Dice(embedded)
    found = reader.answer_batch([("天？", ["龘", "靐"])] * 200, top_k=2)
    assert any({"龘", "靐"} == {each.text for each in [answer, *answer.alternatives]} for answer in found)


class Dice:
    """Stands for a model: random probabilities, so that what is around it can be tried ten thousand times."""

    def __init__(self, mlm):
        self.tokenizer, self.backbone = mlm.tokenizer, mlm.backbone
        self.generator = np.random.default_rng(0)

    def predict_on_batch(self, inputs):
        if "columns" not in inputs:  # the next token
            return self.generator.normal(0, 3, (len(inputs["token_ids"]), 1, 1 + self.tokenizer.eos_id))
        rows, width = inputs["columns"].shape
        slots = inputs["positions"].shape[1] if "positions" in inputs else 2
        x = self.generator.normal(0, 3, (rows, slots, width)) - 5
        return np.where(inputs["column_mask"][:, None, :], x, -1e9).astype("float32")

    def span_scores(self, outputs, longest):
        return pointer_span_scores(outputs, longest) if outputs.shape[1] == 2 else slot_span_scores(outputs)

    def generate_ids(self, sources, sampler, max_new_tokens, constraint, batch_size):
        return [[self._written(i, constraint) for _ in range(sampler.n_best)] for i in range(len(sources))]

    def _written(self, index, constraint):
        ids = []
        while not ids or ids[-1] != self.tokenizer.eos_id:
            ids.append(int(self.generator.choice(sorted(constraint(index, ids)))))
        return ids, self.generator.normal(0, 3) - 5


@pytest.mark.parametrize("name", CLASSES)
def test_ten_thousand_unicode_passages(name, embedded):
    """Offsets are exact whatever a passage holds: emoji, full width, combining marks, U+2028, controls, surrogates."""
    generator, found = random.Random(0), 0
    reader = CLASSES[name](tiny_mlm(), **SMALL, threshold=0.0)
    reader.model_ = Dice(embedded)
    passages = [random_text(generator, 24) for _ in range(10_000)]
    passages[:3] = ["👨‍👩‍👧ＡＢＣ\u2028日", "\ud800", "e\u0301 ﬁ İ"]
    pairs = [("天？", passages[i : i + 10]) for i in range(0, len(passages), 10)]
    for (_, texts), answer in zip(pairs, reader.answer_batch(pairs, top_k=5), strict=True):
        for each in [answer, *answer.alternatives]:
            if each.text:
                assert each.text == texts[each.passage][each.start : each.end]
                assert each.text.strip() == each.text
                found += 1
    assert found > 2000


@pytest.mark.parametrize("name", CLASSES)
def test_long_unicode_passages(name):
    """The same with a model, and passages of several windows."""
    generator, several = random.Random(1), 0
    reader = CLASSES[name](tiny_mlm(), **SMALL, threshold=0.0)
    reader.model_ = reader._new_model()
    pairs = [("天？", [random_text(generator, 120)]) for _ in range(200)]
    for (_, (text,)), answer in zip(pairs, reader.answer_batch(pairs, top_k=3), strict=True):
        for each in [answer, *answer.alternatives]:
            assert each.text == text[each.start : each.end]
            assert each.text.strip() == each.text
        several += len(text) > 40 and len(answer.alternatives) == 2
    assert several > 80
