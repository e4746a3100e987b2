"""Entities: labelled spans of characters, and the tags of tokens that stand for them."""

from dataclasses import dataclass, field

import numpy as np

from nlpgen.errors import InputError

OUTSIDE = "O"
FORBIDDEN = -1e9
# First letters of tags in the schemes that are read, and what they mean. M is the I of BMES.
PREFIXES = {"B": "B", "I": "I", "M": "I", "E": "E", "S": "S"}
SCHEMES = {"BIO": "BI", "BIOES": "BIES"}


@dataclass(frozen=True, order=True)
class Entity:
    """A labelled span of a text.

    Attributes:
        start, end: characters, `text == passage[start:end]`.
        label: its type.
        text: what stands there.
    """

    start: int
    end: int
    label: str
    text: str = field(default="", compare=False)


def check_entities(texts, entities, known=None, what=""):
    """Entities as a list of lists of `Entity`, each with its text.

    Args:
        texts: strings.
        entities: for each text a list of `Entity` or `(start, end, label)`.
        known: labels that are allowed; any by default.
        what: word before "entities" in messages.

    Raises:
        InputError: if they do not fit the texts, with all that do not.
    """
    entities, problems, checked = [list(row) for row in entities], [], []
    if len(texts) != len(entities) or not texts:
        raise InputError(
            f"Got {len(texts)} {what}texts, but entities of {len(entities)}. Give a list for each text (an empty one "
            "where there are none), and one text at least."
        )
    for i, (text, row) in enumerate(zip(texts, entities, strict=True)):
        checked.append([])
        for entity in row:
            parts = (entity.start, entity.end, entity.label) if isinstance(entity, Entity) else entity
            problem = _problem(parts, text, known)
            if problem:
                problems.append(f"{what}text {i}: {entity!r:.80} {problem}")
            else:
                start, end, label = int(parts[0]), int(parts[1]), parts[2]
                checked[-1].append(Entity(start, end, label, text[start:end]))
    if problems:
        shown = problems[:10] + ([f"and {len(problems) - 10} more"] if len(problems) > 10 else [])
        raise InputError("These entities cannot be used:\n  " + "\n  ".join(shown))
    return [sorted(set(row)) for row in checked]


def _problem(parts, text, known):
    if not isinstance(parts, tuple | list) or len(parts) != 3:
        return "is no (start, end, label)"
    start, end, label = parts
    if not all(isinstance(x, int | np.integer) and not isinstance(x, bool) for x in (start, end)):
        return "must have whole numbers as start and end"
    if not 0 <= start < end <= len(text):
        return f"does not lie within its text of {len(text)} characters"
    if not isinstance(label, str) or not label or label == OUTSIDE:
        return f"must have a string as label, not {OUTSIDE!r}"
    if known is not None and label not in known:
        return f"has a label that the training data has not: {', '.join(known[:20])}"
    return None


def tags_of(types, scheme):
    """The tags of a scheme for types of entities.

    >>> tags_of(["人"], "BIOES")
    ['O', 'B-人', 'I-人', 'E-人', 'S-人']
    """
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in SCHEMES[scheme])]


def parse_tag(tag):
    """A tag as `(prefix, type)`; the prefix of `O` is `O`.

    Raises:
        InputError: if it is of no scheme that nlpgen reads.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, dash, kind = tag.partition("-")
    if prefix not in PREFIXES or not dash or not kind:
        raise InputError(
            f"The tag {tag!r} stands for no part of an entity: expected {OUTSIDE}, or B-, I-, M-, E- or S- and a type. "
            "Use SequenceTagger for such labels."
        )
    return PREFIXES[prefix], kind


def types_of(tags):
    """The types in the tags of a tagger, sorted; the inverse of `tags_of`."""
    return sorted({kind for _, kind in map(parse_tag, tags) if kind})


def follows(before, after, closes):
    """Whether a tag may stand after another; the ends of a text count as `O`.

    Args:
        before, after: `(prefix, type)`.
        closes: whether the scheme closes its entities (BIOES).
    """
    is_open = before[0] in "BI"
    if after[0] in ("I", "E"):
        return is_open and before[1] == after[1]
    return not (closes and is_open)


def penalties(tags):
    """What forbids every sequence of tags that is no sequence of entities: transitions, start and end.

    Args:
        tags: the labels of a tagger.

    Returns:
        Float32 arrays `(tags, tags)` (from, to), `(tags,)` and `(tags,)` of 0 and a large negative number.
    """
    parsed = [parse_tag(tag) for tag in tags]
    closes, outside = any(prefix in ("E", "S") for prefix, _ in parsed), (OUTSIDE, "")

    def table(pairs):
        return np.array([0.0 if follows(a, b, closes) else FORBIDDEN for a, b in pairs], dtype="float32")

    n = len(parsed)
    transitions = table([(a, b) for a in parsed for b in parsed]).reshape(n, n)
    return transitions, table([(outside, b) for b in parsed]), table([(a, outside) for a in parsed])


def tags_for(spans, length, scheme):
    """The tags of tokens.

    Args:
        spans: `(first token, last token, type)`, without overlap.
        length: number of tokens.
        scheme: `"BIO"` or `"BIOES"`.

    Example:
        >>> tags_for([(1, 3, "人"), (4, 4, "地")], 6, "BIOES")
        ['O', 'B-人', 'I-人', 'E-人', 'S-地', 'O']
    """
    tags = [OUTSIDE] * length
    for first, last, kind in spans:
        tags[first : last + 1] = [f"B-{kind}"] + [f"I-{kind}"] * (last - first)
        if scheme == "BIOES":
            tags[last] = f"E-{kind}" if last > first else f"S-{kind}"
    return tags


def spans_of(tags):
    """The inverse of `tags_for`, for tags in a legal order.

    >>> spans_of(["B-人", "B-人", "I-人", "O", "S-地"])
    [(0, 0, '人'), (1, 2, '人'), (4, 4, '地')]
    """
    spans = []
    for i, tag in enumerate(tags):
        prefix, kind = parse_tag(tag)
        if prefix in ("B", "S"):
            spans.append((i, i, kind))
        elif prefix in ("I", "E"):
            first, _, kind = spans.pop()
            spans.append((first, i, kind))
    return spans


def aligned(entities, offsets):
    """Entities as spans of tokens.

    Args:
        entities: of `Entity`.
        offsets: `(start, end)` in characters of each token.

    Returns:
        `[(first token, last token, type)]`, and the entities that do not start and end where tokens do.
    """
    firsts = {start: i for i, (start, _) in reversed(list(enumerate(offsets)))}
    lasts = {end: i for i, (_, end) in enumerate(offsets)}
    spans, others = [], []
    for entity in entities:
        if entity.start in firsts and entity.end in lasts:
            spans.append((firsts[entity.start], lasts[entity.end], entity.label))
        else:
            others.append(entity)
    return spans, others
