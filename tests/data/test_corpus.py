import gzip
import lzma
import random

import pytest

from nlpgen.data import Corpus
from nlpgen.errors import InputError


@pytest.fixture
def folder(tmp_path):
    lines = [f"第{i}行" for i in range(200)]
    text = "\n".join(lines) + "\n\n"
    (tmp_path / "plain.txt").write_text("\ufeff" + text, encoding="utf-8")
    (tmp_path / "packed.txt.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "small.txt.xz").write_bytes(lzma.compress("只有\n\n  三\n行 ".encode()))
    (tmp_path / "README.md").write_text("no corpus", encoding="utf-8")
    return tmp_path


def test_genres_are_the_text_files(folder):
    assert Corpus(folder).names == ["packed", "plain", "small"]
    assert Corpus(folder, ["small"]).names == ["small"]


@pytest.mark.parametrize("name", ["plain", "packed"])
def test_the_last_lines_are_held_out(folder, name):
    corpus = Corpus(folder)
    train, held_out = list(corpus.lines(name)), list(corpus.lines(name, "held_out"))
    assert (len(train), len(held_out)) == (196, 4)
    assert held_out == [f"第{i}行" for i in range(196, 200)]
    assert train + held_out == list(corpus.lines(name, "all"))


def test_a_small_file_holds_out_one_line(folder):
    corpus = Corpus(folder)
    assert list(corpus.lines("small")) == ["只有", "三"]
    assert list(corpus.lines("small", "held_out")) == ["行"]
    assert list(Corpus(folder, held_out=0).lines("small")) == ["只有", "三", "行"]


def test_a_name_may_be_any(tmp_path):
    for name in ("news 2024.txt", "v1.2.TXT", "新闻.txt.gz", ".hidden.txt", "notes.md"):
        content = "好\n坏\n".encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    corpus = Corpus(tmp_path)
    assert corpus.names == ["news 2024", "v1.2", "新闻"]
    assert [list(corpus.lines(name, "all")) for name in corpus.names] == [["好", "坏"]] * 3


def test_a_line_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "bad.txt").write_bytes("好\n坏".encode() + b"\xff\n")
    with pytest.raises(InputError, match=r"bad\.txt:2: not UTF-8: byte 0xff at 3"):
        list(Corpus(tmp_path).lines("bad"))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("suffix", ["gz", "xz"])
def test_damage_in_the_middle_is_named(tmp_path, suffix, seed):
    """Whether it shows in the packing itself, in characters that are none, or in the checksum only."""
    rng = random.Random(seed)
    text = "\n".join("".join(rng.choices("天地玄黄宇宙洪荒", k=20)) for _ in range(200)).encode()
    packed = bytearray((gzip if suffix == "gz" else lzma).compress(text))
    packed[len(packed) // 2 + 50 * seed] ^= 0xFF
    path = tmp_path / f"a.txt.{suffix}"
    path.write_bytes(packed)
    with pytest.raises(InputError, match=rf"a\.txt\.{suffix} is cut, damaged or no \.{suffix} file"):
        list(Corpus(tmp_path).lines("a"))


def test_a_packed_line_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "bad.txt.gz").write_bytes(gzip.compress("好\n坏".encode() + b"\xff\n"))
    with pytest.raises(InputError, match=r"bad\.txt\.gz:2: not UTF-8: byte 0xff at 3"):
        list(Corpus(tmp_path).lines("bad"))


@pytest.mark.parametrize("name", ["packed.txt.gz", "small.txt.xz"])
def test_a_cut_file_is_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=f"{name} is cut"):
        list(Corpus(folder).lines(name.split(".")[0]))


def test_errors_name_what_there_is(folder, tmp_path):
    with pytest.raises(InputError, match="There is no folder"):
        Corpus(folder / "none")
    with pytest.raises(InputError, match="packed, plain, small; expected law"):
        Corpus(folder, ["law"])
    with pytest.raises(InputError, match="no genre 'law'"):
        list(Corpus(folder).lines("law"))
    with pytest.raises(InputError, match="`split` is one of"):
        list(Corpus(folder).lines("plain", "test"))
    with pytest.raises(InputError, match="`genres` is empty"):
        Corpus(folder, [])
    with pytest.raises(InputError, match="`held_out` is a share"):
        Corpus(folder, held_out=1.0)
    (folder / "plain.txt.gz").write_bytes(gzip.compress(b"x"))
    with pytest.raises(InputError, match="holds plain in two forms"):
        Corpus(folder)
