import pytest

from nlpgen import Pattern, Vocab, WordPieceTokenizer
from nlpgen.errors import InputError

VOCAB = Vocab(
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "很", "好", "吃", "，", "不", "[", "]", "mask", "{", "}", "text"]
)
TOKENIZER = WordPieceTokenizer(VOCAB)


def decode(ids):
    return TOKENIZER.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize(
    ("template", "expected", "masks"),
    [
        ("[MASK]好，{text}", "[CLS][MASK]好，好吃[SEP]", [1]),
        ("{text}，[MASK]好", "[CLS]好吃，[MASK]好[SEP]", [4]),
        ("[MASK][MASK]{text}", "[CLS][MASK][MASK]好吃[SEP]", [1, 2]),
    ],
)
def test_encode(template, expected, masks):
    ((ids, positions),) = Pattern(template).encode(TOKENIZER, ["好吃"])
    assert (decode(ids), positions) == (expected, masks)


@pytest.mark.parametrize("max_length", [6, 8, 50])
@pytest.mark.parametrize("side", ["left", "right"])
def test_only_the_text_is_cut(max_length, side):
    text = "很好很好吃" * 30
    ((ids, (mask,)),) = Pattern("不{text}，[MASK]").encode(TOKENIZER, [text], max_length, side)
    assert len(ids) == max_length
    assert decode(ids[:2]) == "[CLS]不"
    assert decode(ids[-3:]) == "，[MASK][SEP]"
    assert mask == max_length - 2
    inner = decode(ids[2:-3])
    assert text.startswith(inner) if side == "right" else text.endswith(inner)


def test_the_pattern_alone_may_be_too_long():
    with pytest.raises(InputError, match="3 tokens may not be cut, but `max_length` leaves 2"):
        Pattern("{text}，[MASK]好").encode(TOKENIZER, ["好"], max_length=4)


def test_slots_in_a_text_are_plain_text():
    ((ids, positions),) = Pattern("{text}[MASK]").encode(TOKENIZER, ["[MASK]{text}"])
    assert decode(ids) == "[CLS][mask]{text}[MASK][SEP]"
    assert positions == [7]


@pytest.mark.parametrize("template", ["{text}", "[MASK]", "", None, "{a}{b}[MASK]"])
def test_bad_patterns(template):
    with pytest.raises(InputError, match="A pattern needs"):
        Pattern(template)
