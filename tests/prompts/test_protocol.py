"""The protocol on classifiers whose accuracy is known, and on a small real one."""

import gc
import json
import sys
from collections import Counter

import numpy as np
import pytest

from nlpgen import PETClassifier, TextClassifier
from nlpgen.data import LabelledTexts
from nlpgen.errors import InputError, NlpgenError, RunFailed
from nlpgen.estimator import Estimator
from nlpgen.metrics import accuracy, holm, macro_f1, mcnemar, paired_bootstrap
from nlpgen.prompts import compare, learning_curve
from tests.tasks.helpers import tiny_bert

TRUTH = {f"第{i}句": "正面" if i % 3 else "负面" for i in range(1000)}
TEXTS, LABELS = list(TRUTH), list(TRUTH.values())
TRAIN, TEST = (TEXTS[:100], LABELS[:100]), (TEXTS[400:], LABELS[400:])
TURNED = {"正面": "负面", "负面": "正面"}


@pytest.fixture(autouse=True, scope="module")
def quick_collection():
    """The protocol collects garbage between classifiers; what TensorFlow made before need not be searched each time."""
    gc.freeze()
    yield
    gc.unfreeze()


class Majority(Estimator):
    """Always the most frequent label."""

    def __init__(self):
        pass

    def fit(self, texts, labels):
        self.label_ = Counter(labels).most_common(1)[0][0]
        return self

    def predict(self, texts):
        return [self.label_] * len(texts)


class Oracle(Estimator):
    """Right with a given probability, each time anew for each seed; it needs no labels."""

    zero_shot = True

    def __init__(self, chance=0.9, seed=0):
        self.chance = chance
        self.seed = seed

    def fit(self, texts, labels):
        return self

    def predict(self, texts):
        right = np.random.default_rng([self.seed, round(self.chance * 1000)]).random(len(texts)) < self.chance
        return [TRUTH[text] if ok else TURNED[TRUTH[text]] for text, ok in zip(texts, right, strict=True)]


class Spy(Estimator):
    """Notes in `log` what it was given; fails at call number `fails_at`."""

    def __init__(self, log, fails_at=None, seed=0):
        self.log = log
        self.fails_at = fails_at
        self.seed = seed

    def fit(self, texts, labels, unlabeled=None, validation_data=None):
        self.seen_ = True
        self.log.append((self.seed, texts, labels, unlabeled, validation_data))
        if self.fails_at == len(self.log):
            raise ValueError("out of luck")
        return self

    def predict(self, texts):
        return Oracle(0.8, self.seed).predict(texts)


class SpyWithoutState(Spy):
    """As `Spy`, with a log that is no argument, so that a cache knows it again."""

    log = []

    def __init__(self, seed=0, chance=0.8):
        self.seed = seed
        self.chance = chance
        self.fails_at = None


def rows(found):
    return {(row["classifier"], row["size"]): row for row in found.table}


def test_each_training_set_with_each_seed():
    log = []
    spy, majority = Spy(log), Majority()
    splits = [(TEXTS[i : i + 4], LABELS[i : i + 4]) for i in (0, 10, 20)]
    found = compare({"spy": spy, "majority": majority}, splits, TEST, seeds=(5, 7))
    assert [(run.classifier, run.split, run.seed) for run in found.runs] == [
        *(("spy", split, seed) for split in range(3) for seed in (5, 7)),
        *(("majority", split, None) for split in range(3)),
    ]
    assert [(seed, texts, labels) for seed, texts, labels, *_ in log] == [
        (seed, *split) for split in splits for seed in (5, 7)
    ]
    assert (spy.seed, hasattr(spy, "seen_"), hasattr(majority, "label_")) == (0, False, False)


def test_the_numbers_are_those_of_the_runs():
    classifiers = {"a": Oracle(0.9), "b": Oracle(0.85), "majority": Majority()}
    found = compare(classifiers, TRAIN, TEST, seeds=range(4), reference="b")
    runs = {name: [run.predictions for run in found.runs if run.classifier == name] for name in classifiers}
    expected = TEST[1]
    table = {name: rows(found)[name, 100] for name in classifiers}
    for name, predicted in runs.items():
        scores = [accuracy(expected, x) for x in predicted]
        row = table[name]
        assert row["runs"] == len(scores) == (1 if name == "majority" else 4)
        assert row["accuracy"] == pytest.approx(np.mean(scores))
        assert row["clean_accuracy"] == row["accuracy"]
        assert row["accuracy_sd"] == (None if len(scores) == 1 else pytest.approx(np.std(scores, ddof=1)))
        assert row["macro_f1"] == pytest.approx(np.mean([macro_f1(expected, x) for x in predicted]))
    assert table["majority"]["accuracy"] == pytest.approx(expected.count("正面") / 600)
    boot = paired_bootstrap(expected, runs["a"], runs["b"])
    assert [table["a"][key] for key in ("difference", "low", "high", "bootstrap_p")] == [
        boot.difference,
        boot.low,
        boot.high,
        boot.p,
    ]
    tests = sorted(mcnemar(expected, x, y).p for x, y in zip(runs["a"], runs["b"], strict=True))
    assert table["a"]["mcnemar_p"] == pytest.approx(min(1, tests[1] * 2))
    tests = sorted(mcnemar(expected, runs["majority"][0], y).p for y in runs["b"])  # with every seed
    assert table["majority"]["mcnemar_p"] == pytest.approx(min(1, tests[1] * 2))
    for key in ("bootstrap_p", "mcnemar_p"):
        raw = [table[name][key] for name in ("a", "majority")]
        assert [table[name][f"{key}_holm"] for name in ("a", "majority")] == holm(raw)
        assert table["b"][key] is table["b"][f"{key}_holm"] is None


def test_a_real_difference_is_found_and_none_is_not():
    found = rows(compare({"a": Oracle(0.9), "b": Oracle(0.8), "c": Oracle(0.901)}, TRAIN, TEST, reference="a"))
    assert found["b", 100]["difference"] == pytest.approx(-0.1, abs=0.04)
    assert found["b", 100]["high"] < 0
    assert max(found["b", 100][key] for key in ("bootstrap_p_holm", "mcnemar_p_holm")) < 0.01
    assert min(found["c", 100][key] for key in ("bootstrap_p_holm", "mcnemar_p_holm")) > 0.05
    assert found["c", 100]["low"] < 0 < found["c", 100]["high"]


def test_fit_gets_no_test_text_and_what_it_takes():
    log = []
    unlabeled, validation = TEXTS[200:300], (TEXTS[300:340], LABELS[300:340])
    classifiers = {"spy": Spy(log), "majority": Majority()}  # which takes neither
    compare(classifiers, TRAIN, TEST, seeds=(0,), unlabeled=unlabeled, validation=validation)
    assert log == [(0, *TRAIN, unlabeled, validation)]
    log.clear()
    pairs = [(TEXTS[:4], LABELS[:4]), (TEXTS[4:8], LABELS[4:8])]
    held_out = [(TEXTS[10:12], LABELS[10:12]), (TEXTS[12:14], LABELS[12:14])]
    compare({"spy": Spy(log)}, pairs, TEST, seeds=(0,), validation=held_out)
    assert [call[4] for call in log] == held_out


def test_one_field_goes_in_as_strings_and_several_as_columns():
    log = []
    columns = {"title": TEXTS[:4], "body": TEXTS[4:8]}
    train = LabelledTexts(columns, LABELS[:4])

    class Columns(Spy):
        def predict(self, texts):
            return ["正面"] * len(texts["title"])

    compare({"spy": Columns(log)}, train, train, seeds=(0,), clean=False)
    assert log[0][1:3] == (columns, LABELS[:4])
    log.clear()
    single = LabelledTexts({"text": TEXTS[:4]}, LABELS[:4])
    compare({"spy": Spy(log)}, single, TEST, seeds=(0,), unlabeled=LabelledTexts({"text": TEXTS[9:11]}, None))
    assert log[0][1:4] == (TEXTS[:4], LABELS[:4], TEXTS[9:11])


def test_without_labels_only_zero_shot_classifiers_take_part():
    found = compare({"oracle": Oracle(), "majority": Majority()}, None, TEST)
    assert [(run.classifier, run.size, run.split, run.seed) for run in found.runs] == [("oracle", 0, 0, 0)]
    found = compare({"oracle": Oracle()}, None, TEST, unlabeled=TEXTS[:50])  # something random may be learned
    assert [run.seed for run in found.runs] == [0, 1, 2]
    with pytest.raises(InputError, match="none of majority is one"):
        compare({"majority": Majority()}, None, TEST)


def test_what_does_not_learn_runs_once():
    class Fixed(Estimator):
        def predict(self, texts):
            return ["正面"] * len(texts)

    found = compare({"fixed": Fixed(), "oracle": Oracle()}, [TRAIN, TRAIN], TEST, reference="fixed")
    assert [(run.split, run.seed) for run in found.runs[:1]] == [(None, None)]
    assert len(found.runs) == 7
    assert rows(found)["oracle", 100]["mcnemar_p"] < 0.001


def test_one_training_may_answer_in_several_ways(tmp_path):
    class Both(Oracle):
        fitted = 0

        def fit(self, texts, labels):
            Both.fitted += 1
            return self

        def predict(self, texts):
            right = [TRUTH[text] for text in texts]
            return {"right": right, "wrong": [TURNED[label] for label in right]}

    reported = []
    for _ in range(2):  # the second time from the cache
        found = compare(
            {"both": Both(), "oracle": Oracle()},
            TRAIN,
            TEST,
            seeds=(0, 1),
            reference="oracle",
            cache=tmp_path,
            report=reported.append,
        )
        assert Both.fitted == 2
        assert reported[-len(found.runs) :] == found.runs
    assert {key: row["accuracy"] for key, row in rows(found).items() if "both" in key[0]} == {
        ("both, right", 100): 1,
        ("both, wrong", 100): 0,
    }
    assert rows(found)["both, wrong", 100]["mcnemar_p"] < 0.001
    few = type("Few", (Both,), {"predict": lambda self, texts: {"right": ["正面"]}})
    with pytest.raises(RunFailed, match="must give 2 strings"):
        compare({"few": few()}, TRAIN, (TEXTS[500:502], LABELS[500:502]), seeds=(0,))


def test_leaks_are_left_out_of_the_tests():
    """Half of the test rows were seen; the one classifier is right on those, the other on the rest."""
    train = [(TEXTS[400:550], LABELS[400:550]), (TEXTS[550:700], LABELS[550:700])]

    class Half(Estimator):
        def __init__(self, first):
            self.first = first

        def fit(self, texts, labels):
            return self

        def predict(self, texts):
            n = len(texts) // 2
            good = range(n) if self.first else range(n, 2 * n)
            return [TRUTH[text] if i in good else TURNED[TRUTH[text]] for i, text in enumerate(texts)]

    found = compare({"seen": Half(True), "unseen": Half(False)}, train, TEST, reference="unseen")
    assert found.leaks.counts == {"train": 300, "repeated": 0}
    row = rows(found)["seen", 150]
    assert (row["accuracy"], row["clean_accuracy"]) == (0.5, 0)
    assert row["difference"] == -1
    assert "300 of 600 test rows are clean (300 train, 0 repeated)" in found.to_markdown()
    row = rows(compare({"seen": Half(True), "unseen": Half(False)}, train, TEST, reference="unseen", clean=False))
    assert row["seen", 150]["difference"] == 0
    with pytest.raises(InputError, match="0 of 600 test rows are clean"):
        compare({"seen": Half(True)}, TEST, TEST)
    found = compare({"seen": Half(True)}, TEST, TEST, clean=False)
    assert found.table[0]["clean_accuracy"] is None
    assert "clean rows" not in found.to_markdown().splitlines()[0]


def test_learning_curve():
    log = []
    classifiers = {"spy": Spy(log), "oracle": Oracle(), "majority": Majority()}
    found = learning_curve(classifiers, TRAIN, TEST, (0, 4, 8, 100), seeds=(0, 1), splits=3, reference="spy")
    assert {key: row["runs"] for key, row in rows(found).items()} == {
        ("oracle", 0): 1,
        **{(name, size): 6 for name in ("spy", "oracle") for size in (4, 8)},
        **{("majority", size): 3 for size in (4, 8)},
        **{(name, 100): 2 for name in ("spy", "oracle")},
        ("majority", 100): 1,
    }
    assert rows(found)["oracle", 0]["difference"] is None
    assert rows(found)["oracle", 8]["difference"] is not None
    drawn = {size: [labels for _, _, labels, *_ in log if len(labels) == size] for size in (4, 8, 100)}
    assert all(Counter(labels) == {"正面": 2, "负面": 2} for labels in drawn[4])
    assert drawn[100] == [TRAIN[1]] * 2
    small, large = ([set(texts) for _, texts, *_ in log if len(texts) == size] for size in (4, 8))
    assert all(a < b for a, b in zip(small, large, strict=True))
    tested = [row for row in found.table if row["bootstrap_p"] is not None]
    assert [row["bootstrap_p_holm"] for row in tested] == holm([row["bootstrap_p"] for row in tested])


def test_columns_are_drawn_by_rows():
    class Columns(Majority):
        def predict(self, texts):
            return [self.label_] * len(texts["a"])

        def fit(self, texts, labels):
            assert [TRUTH[text] for text in texts["a"]] == labels
            assert texts["b"] == [text + "。" for text in texts["a"]]
            return super().fit(texts, labels)

    train, test = (
        LabelledTexts({"a": texts, "b": [text + "。" for text in texts]}, labels) for texts, labels in (TRAIN, TEST)
    )
    assert len(learning_curve({"columns": Columns()}, train, test, (0, 8), splits=2).runs) == 2


def test_it_goes_on_where_it_stopped(tmp_path):
    log = SpyWithoutState.log
    log.clear()
    classifiers = {"spy": SpyWithoutState(), "oracle": Oracle()}
    splits = [(TEXTS[:4], LABELS[:4]), (TEXTS[4:8], LABELS[4:8])]

    def stop(run):
        if len(log) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(classifiers, splits, TEST, cache=tmp_path / "new" / "folder", report=stop)
    cache = tmp_path / "new" / "folder"
    assert len(list(cache.iterdir())) == len(log) == 2
    found = compare(classifiers, splits, TEST, cache=cache)
    assert len(log) == 6
    again = compare(classifiers, splits, TEST, cache=cache)
    assert len(log) == 6
    assert again.runs == found.runs
    assert [run.predictions for run in found.runs] == [
        run.predictions for run in compare(classifiers, splits, TEST).runs
    ]
    assert sorted(path.name.split(".")[0] for path in cache.iterdir())[-1] == "spy-4-split1-seed2"


@pytest.mark.parametrize(
    "change",
    [
        {"classifiers": {"spy": SpyWithoutState(chance=0.7)}},
        {"train": (TEXTS[:4], LABELS[1:5])},
        {"train": (TEXTS[1:5], LABELS[:4])},
        {"test": (TEXTS[500:], LABELS[500:])},
        {"unlabeled": TEXTS[20:22]},
        {"validation": (TEXTS[20:22], LABELS[20:22])},
        {"seeds": (1,)},
    ],
)
def test_a_cached_run_is_of_the_same_data_and_arguments(tmp_path, change):
    log = SpyWithoutState.log
    log.clear()
    settings = {
        "classifiers": {"spy": SpyWithoutState()},
        "train": (TEXTS[:4], LABELS[:4]),
        "test": TEST,
        "seeds": (0,),
    }
    for _ in range(2):
        compare(**settings, cache=tmp_path)
    assert len(log) == 1
    compare(**settings | change, cache=tmp_path)
    assert len(log) == 2
    compare(**settings | {"test": (TEST[0], TEST[1][::-1])}, cache=tmp_path)  # predictions do not depend on them
    assert len(log) == 2


def test_a_damaged_cache_is_named(tmp_path):
    compare({"oracle": Oracle()}, TRAIN, TEST, cache=tmp_path, seeds=(0,))
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text(encoding="utf-8")[:-5], encoding="utf-8")
    with pytest.raises(RunFailed, match=rf"{path.name} is damaged.*Delete it"):
        compare({"oracle": Oracle()}, TRAIN, TEST, cache=tmp_path, seeds=(0,))


def test_a_run_that_fails_is_named_and_loses_nothing():
    log = []
    splits = [(TEXTS[:4], LABELS[:4]), (TEXTS[4:8], LABELS[4:8])]
    with pytest.raises(RunFailed, match="spy failed with 4 labels, split 1, seed 1: out of luck") as error:
        compare({"oracle": Oracle(), "spy": Spy(log, fails_at=5)}, splits, TEST)
    assert [run.classifier for run in error.value.finished] == ["oracle"] * 6 + ["spy"] * 4
    assert isinstance(error.value.__cause__, ValueError)


@pytest.mark.parametrize("answer", [["正面"], [1] * 600, np.ones(600)])
def test_predictions_that_are_none(answer):
    class Odd(Majority):
        def predict(self, texts):
            return answer

    with pytest.raises(RunFailed, match="must give 600 strings"):
        compare({"odd": Odd()}, TRAIN, TEST)


def test_numpy_strings_are_labels():
    class Numpy(Oracle):
        def predict(self, texts):
            return np.array(super().predict(texts))

    found = compare({"numpy": Numpy(), "plain": Oracle()}, TRAIN, TEST, seeds=np.arange(2))
    assert rows(found)["numpy", 100]["accuracy"] == rows(found)["plain", 100]["accuracy"]
    assert json.loads(found.to_json())["runs"][0]["seed"] == 0


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"classifiers": {}}, ["must be a dict"]),
        ({"classifiers": [Oracle()]}, ["must be a dict"]),
        (
            {"classifiers": {"x": 3}, "seeds": (), "reference": "y", "test": ([], [])},
            ["x: a classifier has", "`seeds` must be", "`reference` must be one of x", "`test` is empty"],
        ),
        ({"seeds": (1, 1)}, ["different whole numbers"]),
        ({"seeds": (-1,)}, ["0 or more"]),
        ({"train": []}, ["no training set"]),
        ({"train": (TEXTS[:2], LABELS[:3])}, ["`train` has 2 texts and 3 labels"]),
        ({"train": TEXTS[:2]}, ["`train` must be LabelledTexts"]),
        ({"test": None}, ["`test` must be"]),
        ({"test": LabelledTexts({"text": ["甲"]}, None)}, ["with labels"]),
        ({"validation": [TRAIN, TRAIN]}, ["`validation` has 2 sets"]),
    ],
)
def test_bad_arguments(change, messages):
    with pytest.raises(InputError) as error:
        compare(**{"classifiers": {"oracle": Oracle()}, "train": TRAIN, "test": TEST} | change)
    for message in messages:
        assert message in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": ()}, "`sizes` is empty"),
        ({"sizes": (101,)}, "need 101 rows, but there are 100"),
        ({"validation": [TRAIN]}, "must be one set"),
    ],
)
def test_bad_arguments_of_a_curve(options, message):
    with pytest.raises(InputError, match=message):
        learning_curve({"oracle": Oracle()}, TRAIN, TEST, **options)


def test_markdown():
    splits = [(TEXTS[:6], LABELS[:6]), (TEXTS[6:12], LABELS[6:12])]
    found = compare({"good": Oracle(0.9), "majority": Majority()}, splits, TEST, reference="majority")
    lines = found.to_markdown().splitlines()
    assert lines[0] == (
        "| classifier | labels | runs | accuracy | on clean rows | macro-F1 | against majority [95 %] | p "
        "| McNemar p | fit s | predict s |"
    )
    assert len({line.count("|") for line in lines[:4]}) == 1
    row = rows(found)["good", 6]
    cells = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    accuracy = f"{100 * row['accuracy']:.1f} ± {100 * row['accuracy_sd']:.1f}"
    assert cells[:5] == ["good", "6", "6", accuracy, accuracy]
    percent = [100 * row[key] for key in ("difference", "low", "high")]
    assert cells[6] == "{:+.1f} [{:+.1f}, {:+.1f}]".format(*percent)
    assert cells[7:9] == ["< 0.001", "< 0.001"]
    assert [cell.strip() for cell in lines[3].split("|")[7:10]] == ["", "", ""]
    assert "- 2 training sets of 6 labels, the first: 正面 4, 负面 2." in lines
    assert "600 of 600 test rows are clean (0 train, 0 repeated); 正面 400, 负面 200" in found.to_markdown()
    assert "against" not in compare({"good": Oracle()}, TRAIN, TEST).to_markdown()


def test_many_classes_are_counted():
    labels = [f"类{i:02}" for i in range(30)]
    found = compare({"majority": Majority()}, (TEXTS[:30], labels), (TEXTS[400:430], labels))
    assert "类09 1 and 20 more classes" in found.to_markdown()


def test_json_holds_everything():
    found = compare({"a": Oracle(), "b": Majority()}, TRAIN, TEST, reference="b", unlabeled=TEXTS[400:410])
    value = json.loads(found.to_json())
    assert value["table"] == found.table
    assert value["expected"] == TEST[1]
    assert [run["predictions"] for run in value["runs"]] == [run.predictions for run in found.runs]
    assert value["leaks"] == {"train": [], "unlabeled": list(range(10)), "repeated": []}
    assert value["clean_rows"] == list(range(10, 600))
    assert value["train_balance"] == {"100": [dict(Counter(TRAIN[1]).most_common())]}


def test_plot(tmp_path):
    found = learning_curve(
        {"oracle": Oracle(), "majority": Majority()}, TRAIN, TEST, (0, 4, 16), seeds=(0, 1), splits=2
    )
    found.plot(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


def test_a_plot_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NlpgenError, match=r"pip install 'nlpgen\[plot\]'"):
        compare({"oracle": Oracle()}, TRAIN, TEST).plot(tmp_path / "x.png")


@pytest.mark.backends
def test_a_real_classifier(tmp_path):
    """One that learns which texts hold 甲 beats the majority; a second time its runs come from the cache."""
    generator = np.random.default_rng(0)
    texts = sorted({"".join(generator.choice(list("甲乙丙丁天地人山"), 6)) for _ in range(500)})
    data = LabelledTexts({"text": texts}, ["有" if "甲" in text else "无" for text in texts])
    train, test = data[:150], data[150:]
    tuned = TextClassifier(tiny_bert(), epochs=8, batch_size=16, learning_rate=3e-2, dropout=0.0)
    classifiers = {"tuned": tuned, "majority": Majority()}
    found = compare(classifiers, train, test, seeds=(0,), reference="majority", cache=tmp_path)
    table = rows(found)
    assert table["tuned", 150]["accuracy"] > 0.9
    assert table["tuned", 150]["bootstrap_p_holm"] < 0.01
    assert not hasattr(tuned, "model_")
    assert compare(classifiers, train, test, seeds=(0,), reference="majority", cache=tmp_path).runs == found.runs


def test_a_prompt_classifier_without_labels(embedded):
    reviews = [("房间很干净，服务也好，下次还来。", "正面"), ("太差了，等了一个小时，再也不来。", "负面")] * 2
    texts, labels = [text + str(i) for i, (text, _) in enumerate(reviews)], [label for _, label in reviews]
    pet = PETClassifier(embedded, "[MASK]满意。{text}", {"正面": "很", "负面": "不"})
    found = compare({"pet": pet}, None, (texts, labels), seeds=(0,))
    assert found.table[0]["accuracy"] == pet.score(texts, labels)
