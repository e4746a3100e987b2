import pytest

from nlpgen.errors import InputError
from nlpgen.prompts.columns import as_columns
from nlpgen.prompts.question import Question

WORDS = {"a": "很", "b": "不"}


class Series(list):
    """A list with keys, as a pandas series is one."""

    def keys(self):
        return range(len(self))


class Frame(dict):
    columns = property(dict.keys)


def test_a_series_is_a_list():
    assert as_columns(Series(["好", "坏"]), ["text"]) == {"text": ["好", "坏"]}


def test_a_frame_has_a_domain():
    found = Question("[MASK]好{text}", WORDS).columns(Frame(text=Series("好坏"), kind=Series("xy")), "kind")
    assert found == {"text": ["好", "坏"], "kind": ["x", "y"]}
    with pytest.raises(InputError, match="`domain` is 'kind'"):
        Question("[MASK]好{text}", WORDS).columns(["好"], "kind")
