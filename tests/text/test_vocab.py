import json

import pytest

from nlpgen import Vocab
from nlpgen.errors import CheckpointWarning, VocabularyError
from tests.helpers import GOLDEN


def test_read_and_write(tmp_path):
    vocab = Vocab.read(GOLDEN / "b4k_bert" / "vocab.txt")
    vocab.write(tmp_path / "vocab.txt")
    assert (tmp_path / "vocab.txt").read_bytes() == (GOLDEN / "b4k_bert" / "vocab.txt").read_bytes()
    assert [vocab.id(vocab.token(i)) for i in range(len(vocab))] == list(range(len(vocab)))


def test_the_id_is_the_line_number_whatever_the_lines_hold(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\ufeff[PAD]\r\n\r\n好\r\n\u2028\r\n好\r\n坏\r\n".encode())
    with pytest.warns(CheckpointWarning) as seen:
        vocab = Vocab.read(path)
    assert [vocab.id(token) for token in ("[PAD]", "\u2028", "好", "坏")] == [0, 3, 4, 5]
    assert len(vocab) == 6
    messages = [str(warning.message) for warning in seen]
    assert any("1 blank lines (line 2 first)" in m for m in messages)
    assert any("'好' on lines 3 and 5" in m for m in messages)


def test_simplified_equals_bert4keras():
    golden = json.loads((GOLDEN / "b4k_tokenizer" / "golden.json").read_text())["simplified_vocab"]
    vocab = Vocab.read(GOLDEN / "b4k_tokenizer" / "vocab.txt")
    keep = vocab.simplified(first=("[PAD]", "[UNK]", "[CLS]", "[SEP]"))
    assert keep == golden["keep_tokens"]
    assert vocab.subset(keep).tokens == golden["tokens"]


def test_subset_refuses_ids_out_of_range():
    with pytest.raises(VocabularyError, match=r"holds 7 .*0 to 2"):
        Vocab(["a", "b", "c"]).subset([0, 7])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        ("[PAD]\n中".encode("gbk"), r"not UTF-8: byte 0xd6 at 6"),
        (b"x" * 2000, "at most 1,024 bytes"),
    ],
)
def test_bad_files(tmp_path, data, message):
    (tmp_path / "vocab.txt").write_bytes(data)
    with pytest.raises(VocabularyError, match=message):
        Vocab.read(tmp_path / "vocab.txt")
