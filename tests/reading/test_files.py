import json
import re
import warnings

import pytest

from nlpgen.errors import InputError, InputWarning
from nlpgen.reading import QAExample, read_qa
from nlpgen.reading.example import check_examples, check_pairs
from tests.helpers import shared_data

PASSAGE, QUESTION = "北京是中国的首都。\u2028第二行", "中国的首都是哪里？"


def written(tmp_path, value, name="qa.json", **options):
    path = tmp_path / name
    path.write_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, **options), "utf-8")
    return path


def squad(*rows):
    return {"version": "1", "data": [{"paragraphs": [{"context": PASSAGE, "qas": list(rows)}]}]}


FORMS = {
    "squad": squad({"question": QUESTION, "id": "1", "answers": [{"text": "北京", "answer_start": -1}]}),
    "cmrc": [{"context_text": PASSAGE, "qas": [{"query_text": QUESTION, "query_id": "1", "answers": ["北京"]}]}],
    "webqa": {"1": {"question": QUESTION, "evidences": {"1#0": {"answer": ["北京"], "evidence": PASSAGE}}}},
    "sogou": [{"question": QUESTION, "id": "1", "passages": [{"passage": PASSAGE, "answer": "北京"}]}],
    "ours": {"question": QUESTION, "id": "1", "passages": [PASSAGE], "answers": ["北京"]},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form, tmp_path):
    expected = [QAExample(QUESTION, [PASSAGE], ["北京"], "1")]
    assert read_qa(written(tmp_path, FORMS[form])) == expected
    assert read_qa(written(tmp_path, FORMS[form], indent=1)) == expected


HUGGING_FACE = [
    {
        "id": "1",
        "context": PASSAGE,
        "question": QUESTION,
        "answers": {"text": ["北京", "中国"], "answer_start": [0, 3]},
    },
    {"id": "2", "context": PASSAGE, "question": QUESTION, "answers": {"text": [], "answer_start": []}},
]


def test_what_hugging_faces_datasets_write(tmp_path):
    expected = [QAExample(QUESTION, [PASSAGE], ["北京", "中国"], "1"), QAExample(QUESTION, [PASSAGE], [], "2")]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in HUGGING_FACE)
    for content in (lines, HUGGING_FACE):
        assert read_qa(written(tmp_path, content)) == expected
    assert read_qa(written(tmp_path, HUGGING_FACE[0])) == expected[:1]


@pytest.mark.parametrize(
    "answers",
    [["北京", "中国"], [{"text": "北京"}, {"text": "中国"}], {"text": ["北京", "中国"], "answer_start": [0, 3]}],
)
def test_answers_are_written_in_any_way_in_every_form(answers, tmp_path):
    rows = [
        squad({"question": QUESTION, "answers": answers}),
        [{"context_text": PASSAGE, "qas": [{"query_text": QUESTION, "answers": answers}]}],
        {"": {"question": QUESTION, "evidences": {"1": {"answer": answers, "evidence": PASSAGE}}}},
        [{"question": QUESTION, "passages": [{"passage": PASSAGE, "answer": answers}]}],
        [{"question": QUESTION, "passages": [PASSAGE], "answers": answers}],
        [{"question": QUESTION, "passages": [PASSAGE], "answer": answers}],
        [{"question": QUESTION, "context": PASSAGE, "answers": answers}],
    ]
    for value in rows:
        assert read_qa(written(tmp_path, value)) == [QAExample(QUESTION, [PASSAGE], ["北京", "中国"])]


def test_json_lines(tmp_path):
    lines = [json.dumps(FORMS["ours"], ensure_ascii=False), "", json.dumps(FORMS["sogou"][0])]
    assert len(read_qa(written(tmp_path, "\n".join(lines)))) == 2


def test_several_answers_passages_and_none(tmp_path):
    rows = [
        {"question": "甲", "answers": [{"text": "北京"}, {"text": "中国"}]},
        {"question": "乙", "answers": [], "is_impossible": True},
        {"question": "丙", "is_impossible": "true"},
        {"question": "丙", "is_impossible": 1},
        {"question": "丁"},
        {"question": "戊", "answers": [{"text": ""}]},
        {"question": "己", "answers": {"text": ["北京", "中国"], "answer_start": [0, 3]}},
        {"question": "庚", "answers": [{"text": "北京"}], "is_impossible": "true"},  # CJRC's scorer counts the answer
    ]
    examples = read_qa(written(tmp_path, squad(*rows)))
    both = ("北京", "中国")
    assert [each.answers for each in examples] == [both, (), (), (), None, (), both, ("北京",)]
    passages = [{"passage": "一", "answer": ""}, {"passage": "二", "answer": "二"}, {"passage": "二二", "answer": "二"}]
    (example,) = read_qa(written(tmp_path, [{"question": "几？", "passages": passages}]))
    assert (example.passages, example.answers) == (("一", "二", "二二"), ("二",))
    passages = [{"passage": "一", "answer": []}, {"passage": "二", "answer": ["二", "一"]}]
    assert read_qa(written(tmp_path, [{"question": "几？", "passages": passages}]))[0].answers == ("二", "一")
    webqa = {"1": {"question": "问", "evidences": {"a": {"answer": ["no_answer"], "evidence": "文"}}}}
    assert read_qa(written(tmp_path, webqa))[0].answers == ()


def test_bad_rows_are_listed_with_their_lines(tmp_path):
    rows = [
        {"question": QUESTION, "answers": ["北京"]},
        {"question": " ", "answers": ["北京"]},
        {"question": QUESTION, "answers": [None]},
        7,
    ]
    path = written(tmp_path, squad(*rows), indent=1)
    lines = path.read_text("utf-8").split("\n")
    with pytest.warns(InputWarning, match=r"3 of 4 questions cannot be used(.|\n)*left out"):
        examples = read_qa(path)
    assert len(examples) == 1
    assert len(examples.problems) == 3
    for problem, text in zip(
        examples.problems[:2], ("not empty. Received: ' '", "answers must be strings"), strict=True
    ):
        place, number, message = problem.split(":", 2)
        assert place == str(path)
        assert text in message
        assert lines[int(number) - 1].strip() == "{"
    assert '" "' in lines[int(examples.problems[0].split(":")[1])]
    line, message = examples.problems[2].split(":", 2)[1:]
    assert lines[int(line) - 1].strip() == '"qas": ['  # a number itself has no place
    assert message == " a question must have `question`. Received: 7"


BAD = '{"question": " ", "passages": []}'


@pytest.mark.parametrize(
    ("content", "line", "received"),
    [
        ("\n[7]", 2, "7"),
        ("[true]", 1, "True"),
        ('\n\n["two",\n3]', 3, "'two'"),
        ("[null]", 1, "None"),
        ("[[\n]]", 1, r"\[\]"),
        (f"[{BAD},\n12345]", 1, "12345"),
        (f"[{BAD},\n[12345]]", 2, r"\[12345\]"),
        (f'[{BAD},\n{{"question": "问"}}]', 2, r"an object with the keys \['question'\]"),
        ('{"1": {"question": " ", "evidences": {}},\n"2": 7}', 1, "7"),
        ('{"1": {"question": " ", "evidences": {}},\n"2": []}', 2, r"\[\]"),
        ('{\n"data": 3}', 1, "3"),
        ('{\n"data":\n[3]}', 3, "3"),
        ('{"data": [{"paragraphs":\n[4]}]}', 2, "4"),
        ('{"data": [\n{"paragraphs": [{"context": "文",\n"qas": [true]}]}]}', 3, "True"),
        ('[\n{"context_text": "文", "qas":\n7}]', 2, r"an object with the keys \['context_text', 'qas'\]"),
        (f"{BAD}\n\n7\n{BAD}", 3, "7"),
        (f"{BAD}\ntrue\n{BAD}", 2, "True"),
    ],
)
def test_lines_of_what_is_no_question(content, line, received, tmp_path):
    path = written(tmp_path, content)
    with pytest.raises(
        InputError, match=rf"{re.escape(str(path))}:{line}: .* must have .*\. Received: {received}(\n|$)"
    ):
        read_qa(path)


def test_bad_lines(tmp_path):
    good = json.dumps(FORMS["ours"])
    path = written(tmp_path, f"{good}\n{{broken\n[]\n{good}\n")
    with pytest.warns(InputWarning, match="2 of 4"):
        examples = read_qa(path)
    assert examples.problems == [
        f"{path}:2: not JSON: Expecting property name enclosed in double quotes (column 2)",
        f"{path}:3: a question must have `question`, and `passages` or `context`. Received: []",
    ]
    path = written(tmp_path, f"{{broken\n{good}\n{good}\n")
    with pytest.warns(InputWarning, match="1 of 3"):
        assert len(read_qa(path)) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[\n{"question": "甲" 3}]', r"qa.json:2: not JSON: Expecting ',' delimiter \(column 18\). Mend"),
        ("[" * 200_000, "qa.json:1: not JSON that can be read: nested too deep. Mend"),
        ("3", "qa.json is of no form that is known.*Received: 3"),
        ("", "qa.json has no questions"),
        (" \n\n", "qa.json has no questions"),
        ("[]", "qa.json has no questions"),
        ("{}", "qa.json has no questions"),
        (
            {"version": "1", "questions": [FORMS["ours"]]},
            r"of no form that is known.*`evidences`. Received: an object with the keys \['version', 'questions'\]",
        ),
        ({"1": {"question": "甲"}}, r"of no form that is known.*the keys \['1'\]"),
        (
            [{"question": "甲", "passage": "乙"}],
            r"`passages` or `context`. Received: an object with the keys \['question', 'passage'\]",
        ),
        ([{"context": "甲", "answers": []}], r"`question`, and .* the keys \['context', 'answers'\]"),
        ([{"question": "甲", "context": None}], r"passages must be strings. Received: None"),
        ([{"question": "甲", "passages": [{"text": "乙"}]}], r"passages must be strings. Received: \[{'text': '乙'}\]"),
        (squad({"query": "甲"}), r"must have `question`. Received: an object with the keys \['query'\]"),
        ({"data": [{"paragraphs": [{"text": "甲", "qas": []}]}]}, r"`context`, and `qas`, .*keys \['text', 'qas'\]"),
        (squad({"question": ""}), "1 of 1 questions cannot be used"),
        ({"data": [{"paragraphs": 3}]}, "must have `paragraphs`, a list. Received: an object with the keys"),
        ({"data": [{"paragraphs": [{"context": "甲"}]}]}, r"`qas`, a list. Received: .*keys \['context'\]"),
        ({"1": {"question": "甲", "evidences": ["乙"]}}, "must have `evidences`, an object of objects"),
        (
            {"1": {"question": "甲", "evidences": {"a": {"answer": [["甲"]], "evidence": "文"}}}},
            "answers must be strings",
        ),
        (squad({"question": "甲", "answers": [float("nan")]}), "answers must be strings"),
        (
            [{"question": "甲", "passages": [{"passage": "乙", "answer": "乙"}, {"passage": "丙"}]}],
            "all passages must have `answer`, or none; 1 of 2 have it",
        ),
        ('[{"question": ' + "7" * 5000 + "}]", "qa.json:1: not JSON that can be read: Exceeds the limit"),
        ([{"context_text": "甲", "title": "乙"}], r"`qas`, a list. Received: .*keys \['context_text', 'title'\]"),
        ([{"question": "甲", "passages": [3]}], "passages must be strings"),
    ],
)
def test_files_that_cannot_be_used(content, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_qa(written(tmp_path, content))


def test_no_file(tmp_path):
    for path in (tmp_path / "no.json", tmp_path, "~nobody-of-that-name/qa.json"):
        with pytest.raises(InputError, match="cannot be read"):
            read_qa(path)
    with pytest.raises(InputError, match="`path` must be a file of questions"):
        read_qa(None)


def test_numbers_are_answers(tmp_path):
    (example,) = read_qa(written(tmp_path, squad({"question": "甲", "answers": [3, 1.5, 10**400]})))
    assert example.answers == ("3", "1.5", "1" + "0" * 400)


def test_another_encoding(tmp_path):
    (tmp_path / "gbk.json").write_bytes(
        json.dumps(FORMS["cmrc"], ensure_ascii=False).replace("\u2028", "").encode("gbk")
    )
    with pytest.raises(InputError, match="not UTF-8"):
        read_qa(tmp_path / "gbk.json")


def test_examples_are_checked():
    good = QAExample("问", ["文"], ["文"])
    assert check_examples([good]) == [good]
    assert QAExample("问", "文", "文") == good
    assert QAExample("问", "文", ["", "文"]).targets == ["文"]
    for wrong in ([], "问", [("问", "文")]):
        with pytest.raises(InputError, match="list of QAExample"):
            check_examples(wrong)
    with pytest.raises(
        InputError, match=r"(?s)examples\[0\]. has no `answers`.*examples\[1\].answers. must be strings"
    ):
        check_examples([QAExample("问", "文", None), QAExample("问", "文", [3])])
    with pytest.raises(InputError, match=r"(?s)\[0\]. has an empty question.*\[1\]. has a passage.*\[2\]. must be a"):
        check_pairs([(" ", "文"), ("问", ["文", None]), "问"])
    for wrong in (None, 3, "问", {"问": "文"}):
        with pytest.raises(InputError, match=r"`pairs` must be a list of \(question, passages\). Received: "):
            check_pairs(wrong)


@pytest.mark.needs_data("data/qa")
@pytest.mark.parametrize(
    ("name", "questions", "unanswerable", "passages", "problems"),
    [
        ("cmrc2018/cmrc2018_dev.json", 3219, 0, 3219, 0),
        ("cmrc2018/squad-style/cmrc2018_dev.json", 3219, 0, 3219, 0),
        ("expmrc/train-pseudo-cmrc2018.json", 10142, 0, 10142, 0),
        ("dureader_robust/dev.json", 1417, 0, 1417, 0),
        ("cjrc/dev_ground_truth.json", 6000, 1189, 6000, 0),
        ("webqa/me_test.ann.json", 3024, 0, 3024, 0),
        ("webqa/WebQA.sample.bert4keras.json", 11, 0, 220, 1),
        ("sogouqa/SogouQA.sample.bert4keras.json", 21, 0, 210, 1),
    ],
)
def test_released_files(name, questions, unanswerable, passages, problems):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        examples = read_qa(shared_data("qa") / name)
    assert len(examples) == questions
    assert sum(not each.targets for each in examples) == unanswerable
    assert sum(len(each.passages) for each in examples) == passages
    assert len(examples.problems) == problems  # the samples end with a record that has no question
    assert check_examples(examples)
