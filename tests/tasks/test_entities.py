"""Tags against all sequences of tags: exactly those that say entities are legal."""

import itertools

import pytest

from nlpgen.errors import InputError
from nlpgen.tasks import Entity
from nlpgen.tasks.entities import aligned, check_entities, parse_tag, penalties, spans_of, tags_for, tags_of, types_of


def all_spans(length, types):
    """Every set of spans without overlap, from the definition."""

    def from_token(i):
        if i == length:
            yield []
            return
        yield from from_token(i + 1)
        for last, kind in itertools.product(range(i, length), types):
            for rest in from_token(last + 1):
                yield [(i, last, kind), *rest]

    return list(from_token(0))


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_the_legal_sequences_are_those_of_entities(scheme):
    types, length = ["人", "地"], 4
    tags = tags_of(types, scheme)
    assert types_of(tags) == types
    transitions, start, end = penalties(tags)
    written = {tuple(tags_for(spans, length, scheme)): spans for spans in all_spans(length, types)}
    legal = {
        tuple(tags[i] for i in row)
        for row in itertools.product(range(len(tags)), repeat=length)
        if start[row[0]] + end[row[-1]] + sum(transitions[a, b] for a, b in itertools.pairwise(row)) == 0
    }
    assert legal == set(written)
    assert all(spans_of(tags) == spans for tags, spans in written.items())


def test_bmes_without_outside():
    """The tags of word segmentation: every character belongs to a word."""
    tags = ["B-词", "M-词", "E-词", "S-词"]
    _, start, end = penalties(tags)
    assert [tag for tag, x in zip(tags, start, strict=True) if x == 0] == ["B-词", "S-词"]
    assert [tag for tag, x in zip(tags, end, strict=True) if x == 0] == ["E-词", "S-词"]
    assert spans_of(["B-词", "M-词", "E-词", "S-词"]) == [(0, 2, "词"), (3, 3, "词")]


@pytest.mark.parametrize("tag", ["NN", "X-人", "B-", "LABEL_0", "o"])
def test_other_tags(tag):
    with pytest.raises(InputError, match="stands for no part of an entity"):
        parse_tag(tag)


def test_alignment():
    offsets = [(0, 1), (1, 3), (4, 6)]
    good, bad = Entity(0, 3, "a"), [Entity(2, 3, "a"), Entity(0, 2, "a"), Entity(3, 6, "a")]
    assert aligned([good, *bad], offsets) == ([(0, 1, "a")], bad)


def test_all_wrong_entities_at_once():
    texts = ["张三去北京", "好"]
    wrong = [[(0, 2, "人"), (3, 9, "地"), (2, 2, "地"), (0, "2", "人")], [(0, 1, "O"), (0, 1), Entity(0, 1, "物")]]
    with pytest.raises(InputError) as error:
        check_entities(texts, wrong, ["人", "地"])
    lines = str(error.value).splitlines()
    assert len(lines) == 1 + 6
    for part in ("within its text of 5", "whole numbers", "not 'O'", "no (start, end, label)", "has not: 人, 地"):
        assert part in str(error.value)
    with pytest.raises(InputError, match="Got 2 texts, but entities of 1"):
        check_entities(texts, [[]])


def test_entities_carry_their_text():
    ((first, second),) = check_entities(["张三去北京"], [[(3, 5, "地"), (0, 2, "人"), (0, 2, "人")]])
    assert (first.text, second.text) == ("张三", "北京")
