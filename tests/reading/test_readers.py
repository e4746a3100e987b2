import json
import random
import re
import warnings

import keras
import numpy as np
import pytest

from nlpgen import MaskedLM, MLMReader, QAExample, Seq2SeqReader, SpanReader, UniLM
from nlpgen.checkpoints.safetensors import SafetensorsFile
from nlpgen.errors import ConfigError, InputError, InputWarning, NonFiniteOutput, WeightsMismatch
from nlpgen.reading.decoding import best_spans
from nlpgen.reading.mlm_reader import distinct
from nlpgen.reading.rows import RowReader, TrainingRows
from nlpgen.reading.scoring import pointer_span_scores, slot_span_scores
from nlpgen.reading.windows import read_passages
from tests.helpers import array, assert_close, random_text
from tests.reading.helpers import FAST, SMALL, examples, tiny_mlm
from tests.reading.test_decoding import article_decodes
from tests.tasks.helpers import tiny_bert

CLASSES = {"mlm": MLMReader, "span": SpanReader, "seq2seq": Seq2SeqReader}
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
        # Of two equal passages rounding decides.
        assert (again.text, again.start, again.passage is None) == (answer.text, answer.start, answer.passage is None)
        assert again.score == pytest.approx(answer.score, rel=1e-4)
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
            with pytest.raises((ConfigError, WeightsMismatch)):
                other.load(tmp_path / "reader")
    if cls is MLMReader:
        filled = MaskedLM.from_pretrained(tmp_path / "reader").fill_mask("天[MASK]地")
        assert filled == fitted.model_.fill_mask("天[MASK]地")


def test_only_a_reader_is_loaded(tmp_path):
    tiny_mlm().save_pretrained(tmp_path / "plain")
    with pytest.raises(ConfigError, match=r"of no reader. Train one: MLMReader\(model\).fit"):
        MLMReader.load(tmp_path / "plain")


def test_hugging_faces_question_answering(fitted, tmp_path):
    """Its logits are those of our pointers, and its folder a reader."""
    if type(fitted) is not SpanReader or keras.config.backend() != "tensorflow":
        pytest.skip("for one of them")
    transformers, reader = pytest.importorskip("transformers"), fitted
    reader.model_.save_pretrained(tmp_path / "hf", format="huggingface")
    import torch

    theirs = transformers.AutoModelForQuestionAnswering.from_pretrained(tmp_path / "hf")
    question, passage = "火？", "天日地人"
    ids = reader.model_.tokenizer(question, passage)
    with torch.no_grad():
        out = theirs(torch.tensor(ids["token_ids"]).long(), token_type_ids=torch.tensor(ids["segment_ids"]).long())
    columns = np.array([[0, *range(len(question) + 2, len(question) + 2 + len(passage))]])
    inputs = ids | {"columns": columns, "column_mask": np.ones_like(columns)}
    ours = array(reader.model_(inputs))[0]
    expected = np.stack([out.start_logits[0].numpy(), out.end_logits[0].numpy()])[:, columns[0]]
    assert_close(ours, expected)
    config = json.loads((tmp_path / "hf" / "config.json").read_text("utf-8"))
    config.pop("head", None)
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "hf" / "manifest.json").unlink(missing_ok=True)
    again = SpanReader.load(tmp_path / "hf", **SMALL)
    assert again.answer(question, passage, 3).alternatives[0].text in passage


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


@pytest.mark.backends
def test_the_head_of_the_passage_alone():
    """The softmax over the passage's tokens is that over the vocabulary, divided by their share."""
    reader = MLMReader(tiny_mlm(), **SMALL)
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


def article_answers(mlm, question, passages, slots):
    """bert4keras' example told anew: one pass a passage, greedy n-grams, the vote over decoded answers."""
    tokenizer, votes = mlm.tokenizer, {}
    for passage in passages:
        ids = [*tokenizer.ids(re.sub(" |、|；|，", ",", passage)), tokenizer.sep_id]
        row = [tokenizer.cls_id, *[tokenizer.mask_id] * slots, tokenizer.sep_id]
        row += [*tokenizer.ids(question), tokenizer.sep_id, *ids]
        logits = array(mlm({"token_ids": np.array([row])}))[0, 1 : 1 + slots].astype("float64")
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        chosen, score = article_decodes(probabilities, ids, tokenizer.sep_id)
        if text := tokenizer.decode(chosen):
            votes.setdefault(text, []).append(score)
    return {text: sum(s**2 for s in scores) / (sum(scores) + 1) for text, scores in votes.items()}


@pytest.mark.backends
def test_parity_with_bert4keras():
    mlm, generator, answered = tiny_mlm(), random.Random(0), 0
    for weight in mlm.head.weights:
        if weight.name == "bias":
            weight.assign(np.where(np.arange(weight.shape[0]) == 3, 1.5, array(weight)))  # some answers end
    reader = MLMReader(mlm, **SMALL | {"passage_length": 14, "stride": None}, decoding="greedy", vote="bert4keras")
    pairs = [
        ("".join(generator.choices("天地人", k=3)), ["".join(generator.choices("甲乙丙，日月", k=9)) for _ in range(4)])
        for _ in range(12)
    ]
    for (question, passages), answer in zip(pairs, reader.answer_batch(pairs, 9), strict=True):
        expected = article_answers(mlm, question, passages, 4)
        if not expected:
            assert answer.text == ""
            continue
        best = max(expected, key=lambda text: expected[text])
        found = passages[answer.passage][answer.start : answer.end]
        assert found == answer.text
        assert answer.score == pytest.approx(expected[best], rel=1e-4)
        assert mlm.tokenizer.decode(mlm.tokenizer.ids(found.replace("，", ","))) == best
        answered += 1
    assert answered >= 8


def test_mask_predict_by_hand():
    """Two passes over one row, told anew."""
    reader = MLMReader(tiny_mlm(), **SMALL, iterations=2)
    model = reader._fitted()
    (row,), _ = reader._row_reader(model).rows([("天？", ["甲乙丙日月山"])])
    inputs = reader._inputs(model, [row], 24)
    found = reader._outputs(model, inputs, [row])[0]
    first = array(model.predict_on_batch(inputs))[0]
    ((spans, _, none),) = best_spans(array(slot_span_scores(first[None])), first.shape[1] - 1, 1)
    columns = [0] if none > spans[0][0] else [*range(1 + spans[0][1], 2 + spans[0][2]), 0]
    ids = [*(row.token_ids[c - 1] for c in columns[:-1]), model.tokenizer.sep_id]
    order = np.argsort([first[i, c] for i, c in enumerate(columns)])
    kept = sorted(order[len(columns) // 2 :])
    second_ids = inputs["token_ids"].copy()
    for i in kept:
        second_ids[0, 1 + i] = ids[i]
    second = array(model.predict_on_batch(inputs | {"token_ids": second_ids}))[0]
    expected = np.array([first[i] if i in kept else second[i] for i in range(4)])
    assert_close(found[:, :7], expected[:, :7])
    assert not np.allclose(found[:, :7], first[:, :7])


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
        assert each.score == pytest.approx(expected[each.text] / total, rel=1e-4)
    assert answer.no_answer == pytest.approx(expected[""] / total, rel=1e-4)
    (pool,) = reader._pools([(question, [passage])])
    assert {span.text for span in pool.spans} == expected.keys() - {""}


def test_no_answer_that_is_not_found_is_no_likelier_than_the_least():
    reader = Seq2SeqReader(tiny_mlm(), **SMALL, beam_width=1, threshold=0.0)
    reader.model_ = reader._new_model()
    reader.model_.generate_ids = lambda sources, *_, **__: [[([5, 6, 3], -1.0), ([5, 3], -2.0)] for _ in sources]
    answer = reader.answer("天？", "地甲乙", top_k=2)
    assert (answer.text, answer.start, answer.end) == ("甲乙", 1, 3)
    odds = np.exp([-1.0, -2.0, -2.0])
    assert answer.score == pytest.approx(odds[0] / odds.sum())
    assert answer.no_answer == pytest.approx(odds[2] / odds.sum())


def test_rows_that_writing_is_learned_from():
    """The source, the answer but for its end; what counts are the answer and its end."""
    reader = Seq2SeqReader(tiny_mlm(), **SMALL)
    model = reader.model_ = reader._new_model()
    made = [QAExample("天？", "甲乙丙", "乙丙"), QAExample("地", "甲", [])]
    rows = TrainingRows(RowReader(model.tokenizer, 5, 11, 6), made, 3, 0.0, "random", 0).draw(1)
    assert [reader._length(row) for row in rows] == [10, 5]
    inputs, targets, weights = reader._targets(model, rows, reader._inputs(model, rows, 16))
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
    assert exact["f1"] >= greedy["f1"] - 3
    again = MLMReader(tiny_mlm(), **FAST, iterations=2).fit(train)
    assert again.evaluate(test)["f1"] >= 75
    with pytest.raises(InputError, match="None of the 1 examples can be learned from"):
        again.fit(odd[:1])


def test_a_stopped_run_goes_on(tmp_path, monkeypatch):
    """As if it had never stopped, dropout and the order of the rows included; and it can end with its best."""
    train, valid = examples(48, 0), examples(20, 1)
    whole = MLMReader(tiny_mlm(0.1), **FAST).fit(train, valid)
    reader = MLMReader(tiny_mlm(0.1), **FAST)
    evaluate, calls = reader.evaluate, []

    def stopped(examples):
        calls.append(examples)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(examples)

    monkeypatch.setattr(reader, "evaluate", stopped)
    with pytest.raises(KeyboardInterrupt):
        reader.fit(train, valid, state=tmp_path / "run")
    early = MLMReader(tiny_mlm(0.1), **FAST | {"epochs": 2}).fit(train, valid, state=tmp_path / "run")
    assert [each["epoch"] for each in early.history_] == [1, 2]
    assert early.evaluate(valid)["average"] == max(each["score"] for each in early.history_)
    again = MLMReader(tiny_mlm(0.1), **FAST).fit(train, valid, state=tmp_path / "run")
    assert [each["epoch"] for each in again.history_] == [1, 2, 3, 4]
    for ours, theirs in zip(again.history_, whole.history_, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
        assert ours["score"] == theirs["score"]
    for ours, theirs in zip(again.model_.get_weights(), whole.model_.get_weights(), strict=True):
        assert_close(ours, theirs)
    with pytest.raises(InputError, match=r"other settings: batch_size 16, now 8"):
        MLMReader(tiny_mlm(0.1), **FAST | {"batch_size": 8}).fit(train, valid, state=tmp_path / "run")


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


def test_hard_negatives_are_like_the_question():
    made = [QAExample("山水？", ["山水日"], ["日"]), QAExample("甲？", ["甲山水月"], ["月"])]
    made += [QAExample("丁？", [f"丁{c}丁"], [c]) for c in "乙丙天地人"]
    drawn = [row for epoch in range(1, 40) for row in rows_of(made, "bm25", 0.9).draw(epoch)]
    foreign = [row.passage.text for row in drawn if row.index == (0, None)]
    assert len(foreign) > 10
    assert set(foreign) == {"甲山水月"}


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
    with pytest.warns(InputWarning, match="1 of 1 questions have more than 5 tokens and were cut"):
        reader.answer("天地人山水火", ["天地"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader.answer("天地人山水", ["天地"])
    long = reader.answer("天？", ["日月" * 30], top_k=3)
    assert all(1 <= len(each.text) <= 3 for each in [long, *long.alternatives])  # the slots


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"answer_length": 1, "stride": 0, "vote": "mean"}, r"(?s)answer_length.*stride.*vote.*Correct them"),
        ({"loss": "crf", "negatives": "all", "negative_rate": 1}, r"(?s)negative_rate.*negatives.*loss"),
        ({"passage_length": 30}, "The model reads 32 tokens, but question, window and answer may have 42"),
        ({"stride": 12}, "`stride` must be less than `passage_length`"),
        ({"decoding": "greedy"}, "vote='bert4keras'"),
        ({"iterations": 3}, "`iterations` must be one of"),
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
    with pytest.raises(InputError, match="empty question"):
        reader.answer(" ", "天")
    with pytest.raises(InputError, match="must be one of cmrc2018"):
        reader.evaluate(examples(1, 0), "squad")
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


class Dice:
    """Stands for a model: random probabilities, so that what is around it can be tried ten thousand times."""

    def __init__(self, mlm):
        self.tokenizer, self.backbone = mlm.tokenizer, mlm.backbone
        self.generator = np.random.default_rng(0)

    def predict_on_batch(self, inputs):
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
                assert each.text == texts[each.passage].replace("\ud800", "\ufffd")[each.start : each.end]
                assert each.text.strip() == each.text
                found += 1
    assert found > 2000
