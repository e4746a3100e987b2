import pytest

from nlpgen import Pattern, Vocab, WordPieceTokenizer
from nlpgen.errors import InputError

VOCAB = Vocab(
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "很", "好", "吃", "，", "不", "[", "]", "mask", "{", "}", "text"]
)
TOKENIZER = WordPieceTokenizer(VOCAB)


def decode(ids):
    return TOKENIZER.decode(ids, skip_special_tokens=False)


def encode(template, texts, **options):
    return [clozes[0] for clozes in Pattern(template).encode(TOKENIZER, {"text": texts}, **options)]


@pytest.mark.parametrize(
    ("template", "expected", "masks"),
    [
        ("[MASK]好，{text}", "[CLS][MASK]好，好吃[SEP]", [1]),
        ("{text}，[MASK]好", "[CLS]好吃，[MASK]好[SEP]", [4]),
        ("[MASK][MASK]{text}", "[CLS][MASK][MASK]好吃[SEP]", [1, 2]),
        ("[MASK]{text}[MASK]", "[CLS][MASK]好吃[MASK][SEP]", [1, 4]),
    ],
)
def test_encode(template, expected, masks):
    (cloze,) = encode(template, ["好吃"])
    assert (decode(cloze.token_ids), cloze.slots) == (expected, masks)


@pytest.mark.parametrize("max_length", [6, 8, 50])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("own", ["", ":left", ":right"])
def test_only_the_text_is_cut(max_length, side, own):
    text = "很好很好吃" * 30
    (cloze,) = encode(f"不{{text{own}}}，[MASK]", [text], max_length=max_length, truncate_side=side)
    assert len(cloze) == max_length
    assert decode(cloze.token_ids[:2]) == "[CLS]不"
    assert decode(cloze.token_ids[-3:]) == "，[MASK][SEP]"
    assert cloze.slots == [max_length - 2]
    inner = decode(cloze.token_ids[2:-3])
    assert text.startswith(inner) if (own or f":{side}") == ":right" else text.endswith(inner)
    assert cloze.is_text == [False] * 2 + [True] * len(inner) + [False] * 3


@pytest.mark.parametrize(
    ("template", "room", "expected"),
    [
        ("{a}，{b}[MASK]", 8, "好好，吃吃吃"),  # the longest first, of equal ones the first
        ("{a:1}，{b}[MASK]", 8, "好好好好，吃"),  # b first
        ("{a:1}，{b}[MASK]", 5, "好好，"),  # all of b, then a
        ("{a}，{b:1}[MASK]", 5, "，吃吃"),
    ],
)
def test_truncation_priorities(template, room, expected):
    ((cloze,),) = Pattern(template).encode(TOKENIZER, {"a": ["好" * 4], "b": ["吃" * 3]}, max_length=room + 1)
    assert decode(cloze.token_ids[1:-2]) == expected[: room - 2]


def test_masks_are_as_long_as_the_words_and_the_text_is_the_same():
    ((one, three),) = Pattern("{text}[MASK]好").encode(TOKENIZER, {"text": ["吃" * 9]}, [[4], [4, 4, 4]], max_length=10)
    assert decode(one.token_ids) == "[CLS]吃吃吃吃[MASK]好[SEP]"
    assert decode(three.token_ids) == "[CLS]吃吃吃吃[MASK][MASK][MASK]好[SEP]"
    assert (one.slots, three.slots) == ([5], [5, 6, 7])


def test_virtual_tokens_and_segments():
    pattern = Pattern("[P*2][MASK][P]{text}[SEP]{other}")
    ((cloze,),) = pattern.encode(TOKENIZER, {"text": ["好"], "other": ["吃吃"]})
    n = len(VOCAB)
    assert cloze.token_ids == [2, n, n + 1, 4, n + 2, 6, 3, 7, 7, 3]
    assert cloze.segment_ids == [0] * 7 + [1] * 3
    assert (pattern.num_virtual, pattern.fields) == (3, ["text", "other"])


def test_a_causal_cloze_ends_before_what_is_asked_for():
    ((first, second),) = Pattern("{text}，[MASK]").encode(TOKENIZER, {"text": ["好吃"]}, [[], [5]], causal=True)
    assert (decode(first.token_ids), first.slots) == ("[CLS]好吃，", [3])
    assert (decode(second.token_ids), second.slots) == ("[CLS]好吃，很", [3, 4])


def test_the_pattern_alone_may_be_too_long():
    with pytest.raises(InputError, match="has 1 tokens more than `max_length` allows"):
        encode("{text}，[MASK]好", ["好"], max_length=4)


def test_slots_in_a_text_are_plain_text():
    (cloze,) = encode("{text}[MASK]", ["[MASK]{text}"])
    assert decode(cloze.token_ids) == "[CLS][mask]{text}[MASK][SEP]"
    assert cloze.slots == [7]


def test_a_brace_is_written_twice():
    (cloze,) = encode("{{text}}{text}[MASK]", ["好"])
    assert decode(cloze.token_ids) == "[CLS]{text}好[MASK][SEP]"


def test_an_unknown_field():
    with pytest.raises(InputError, match="asks for title, but the inputs have text"):
        encode("{title}[MASK]", ["好"])


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{text}", "no .MASK."),
        ("[MASK]", "no field"),
        ("", "no .MASK.; it has no field"),
        (None, "a string"),
        ("{a}{a}[MASK]", "the field a stands in it twice"),
        ("{text}{text_b }[MASK]", "'{text_b }' is no slot"),
        ("{}{text}[MASK]", "'{}' is no slot"),
        ("[P*0]{text}[MASK]", "'.P.0.' is no slot"),
        ("{text}[MASK][UNK]", "'.UNK.' is no slot"),
        ("{text}[MASK][Mask]", "'.Mask.' is no slot"),
        ("{text}}[MASK]", "'}' is no slot"),
    ],
)
def test_bad_patterns(template, message):
    with pytest.raises(InputError, match=message):
        Pattern(template)
