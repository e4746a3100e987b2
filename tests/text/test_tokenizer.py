import json
import random

import numpy as np
import pytest

from nlpgen import Vocab, WordPieceTokenizer
from nlpgen.errors import InputError, VocabularyError
from nlpgen.text import fit_lengths
from tests.helpers import GOLDEN

B4K = json.loads((GOLDEN / "b4k_tokenizer" / "golden.json").read_text())
HF = json.loads((GOLDEN / "hf_tokenizer" / "golden.json").read_text())
VOCAB = Vocab.read(GOLDEN / "hf_tokenizer" / "vocab.txt")
TOKENIZERS = {lowercase: WordPieceTokenizer(VOCAB, lowercase=lowercase) for lowercase in (False, True)}


@pytest.fixture
def tokenizer():
    return TOKENIZERS[True]


@pytest.mark.parametrize("row", HF, ids=lambda row: f"{row['do_lower_case']}-{row['text'][:10]!r}")
def test_ids_and_offsets_equal_hugging_face(row):
    encoding = TOKENIZERS[row["do_lower_case"]].encode(row["text"], special_tokens=True)
    assert encoding.token_ids == row["ids"]
    assert [list(offset) for offset in encoding.offsets] == row["offsets"]


def test_ids_equal_bert4keras_but_for_very_long_words():
    """The table of docs/tokenizer.md: words of 101 to 200 letters are the only difference on these strings."""
    differ = [
        row["text"] for row in B4K["single"] if TOKENIZERS[row["do_lower_case"]].encode(row["text"]).token_ids != row["ids"]
    ]
    assert len(differ) == 2
    assert all(max(map(len, text.split())) > 100 for text in differ)


def test_pairs_and_truncation_equal_bert4keras(tokenizer):
    rows = [row for row in B4K["pairs"] if row["pattern"] == "S*E*E" and row["truncate_from"] in ("left", "right")]
    assert len(rows) == 48
    for row in rows:
        encoding = tokenizer.encode(
            row["first"], row["second"], max_length=row["maxlen"], truncate_side=row["truncate_from"]
        )
        assert (encoding.token_ids, encoding.segment_ids) == (row["ids"], row["segments"])


def test_only_the_named_part_is_cut(tokenizer):
    first, second = "今天天气很好", "北京的天气也很好"
    whole = tokenizer.encode(first, second)
    cut = tokenizer.encode(first, second, max_length=12, truncate="second")
    assert cut.token_ids[:8] == whole.token_ids[:8]
    assert len(cut) == 12
    assert tokenizer.encode(first, second, max_length=12, truncate="first").token_ids[-9:] == whole.token_ids[-9:]
    with pytest.raises(InputError, match="may not be cut are 6"):
        tokenizer.encode(first, second, max_length=8, truncate="second")


def test_fit_lengths_equals_cutting_one_by_one():
    generator = random.Random(0)
    for _ in range(300):
        lengths = [generator.randrange(12) for _ in range(generator.randrange(1, 5))]
        budget = generator.randrange(sum(lengths) + 3)
        slow = list(lengths)
        while sum(slow) > budget:
            slow[slow.index(max(slow))] -= 1
        assert fit_lengths(lengths, budget) == slow


def test_typed_special_tokens_are_plain_text(tokenizer):
    text = "[MASK]好[SEP]"
    assert not set(tokenizer.encode(text).token_ids[1:-1]) & tokenizer.special_ids - {tokenizer.unk_id}
    marked = tokenizer.encode(text, special_tokens=True).token_ids
    assert marked == [tokenizer.cls_id, tokenizer.mask_id, VOCAB.id("好"), tokenizer.sep_id, tokenizer.sep_id]


def test_a_batch_is_padded_and_equals_its_members(tokenizer):
    texts, pairs = ["今天", "Hello 世界 123", ""], ["好", "", "天气很好"]
    batch = tokenizer(texts, pairs)
    assert batch["token_ids"].dtype == np.int32
    for i, (text, pair) in enumerate(zip(texts, pairs, strict=True)):
        single = tokenizer.encode(text, pair)
        assert batch["token_ids"][i, : len(single)].tolist() == single.token_ids
        assert batch["segment_ids"][i, : len(single)].tolist() == single.segment_ids
        assert (batch["token_ids"][i, len(single) :] == tokenizer.pad_id).all()


def test_any_string_is_read_and_offsets_lie_in_it(tokenizer):
    """2,000 strings of random characters, lone surrogates and NUL among them."""
    generator = random.Random(0)
    for _ in range(2000):
        text = "".join(chr(generator.choice(CHARACTERS)) for _ in range(generator.randrange(20)))
        encoding = tokenizer.encode(text)
        inner = [offset for offset, part in zip(encoding.offsets, encoding.parts, strict=True) if part == 0]
        assert all(0 <= start <= end <= len(text) for start, end in inner)
        assert inner == sorted(inner)


CHARACTERS = [*range(0, 0x250), *range(0x4E00, 0x4F00), *range(0xD800, 0xD810), 0x1F600, 0x200D, 0xFF21, 0x130, 0x301]


def test_offsets_give_the_characters_back(tokenizer):
    text = "😀ＡＢ今天\u0301CAFÉ的２０"
    encoding = tokenizer.encode(text)
    for id, (start, end) in zip(encoding.token_ids[1:-1], encoding.offsets[1:-1], strict=True):
        token = VOCAB.token(id).removeprefix("##")
        if id != tokenizer.unk_id and token.isascii():
            assert len(text[start:end]) == len(token)
    assert [text[s:e] for s, e in encoding.offsets[1:-1]][:1] == ["😀ＡＢ"]


@pytest.mark.parametrize(
    "text", ["今天天气很好", "hello world", "北京2024年中国人民", "中国hello world中国", "3.14", "“hello”", "unaffable playing cafe"]
)
def test_decode_gives_the_text_back(tokenizer, text):
    ids = tokenizer.encode(text).token_ids
    if tokenizer.unk_id not in ids:
        assert tokenizer.decode(ids) == text
    assert tokenizer.decode(ids, skip_special_tokens=False).startswith("[CLS]")


def test_decode_drops_by_id_not_by_look():
    vocab = Vocab(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[speaker1]", "好", "##ing"])
    tokenizer = WordPieceTokenizer(vocab)
    assert tokenizer.decode([2, 5, 6, 3]) == "[speaker1]好"
    assert tokenizer.decode([7]) == "##ing"
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("bad", [None, 3, b"x", ["好", None], [["好"]]])
def test_what_is_no_string_is_refused(tokenizer, bad):
    with pytest.raises(InputError, match="must be a"):
        tokenizer(bad)


def test_missing_special_tokens():
    with pytest.raises(VocabularyError, match=r"no \[CLS\], \[SEP\]"):
        WordPieceTokenizer(Vocab(["[PAD]", "[UNK]", "好"]))
    with pytest.raises(VocabularyError, match=r"no \[MASK\]"):
        _ = WordPieceTokenizer(Vocab(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "好"])).mask_id


def test_a_hundred_thousand_characters(tokenizer):
    text = "今天天气很好" * 17_000
    assert len(tokenizer.encode(text)) == len(text) + 2
    assert len(tokenizer.encode(text, max_length=512)) == 512
