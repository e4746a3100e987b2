"""The README's code runs and prints what the README says."""

import ast
import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from nlpgen.cli import main

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name="README.md"):
    """`(language, code)` of the code blocks."""
    return BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))


def with_output(language, name="README.md"):
    """`(code, output or None)` of the blocks in a language; a `text` block is the output of the one before."""
    found = blocks(name)
    for (kind, code), following in zip(found, [*found[1:], ("", "")], strict=True):
        if kind == language:
            yield code, following[1] if following[0] == "text" else None


def commands(code):
    """The command lines of a block as lists of words, comments left out."""
    return [words for line in code.splitlines() if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("name", ["README.md", "docs/prompt_learning.md", "docs/generation.md", "docs/reading.md"])
def test_python_blocks(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace, ran = {}, 0
    for code, expected in with_output("python", name):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, name, "exec"), namespace)
        if expected is not None:
            assert out.getvalue() == expected
        ran += 1
    assert ran >= 2


def test_command_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.txt").write_text("房间干净，下次还来。\n", encoding="utf-8")
    ran = 0
    for code, expected in with_output("bash"):
        for words in commands(code):
            if words[0] == "nlpgen":
                assert main(words[1:]) == 0, words
                ran += 1
        if expected is not None:
            assert capsys.readouterr().out == expected
        capsys.readouterr()
    assert ran >= 4


def test_the_chinese_readme_has_the_same_code():
    """All but the comments."""
    parse = {"python": lambda code: ast.dump(ast.parse(code)), "bash": commands}
    english, chinese = (
        [(language, parse.get(language, str)(code)) for language, code in blocks(name)]
        for name in ("README.md", "README.zh.md")
    )
    assert chinese == english
