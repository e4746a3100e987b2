"""The README's code runs and prints what the README says."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from nlpgen.cli import main

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READMES = ["README.md", "README.zh.md"]
GUIDES = ["docs/prompt_learning.md"]


def blocks(name):
    """`(language, code, output or None)` of the code blocks; a `text` block is the output of the one before."""
    found = BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))
    for (language, code), following in zip(found, [*found[1:], ("", "")], strict=True):
        if language != "text":
            yield language, code, following[1] if following[0] == "text" else None


@pytest.mark.parametrize("name", READMES + GUIDES)
def test_python_blocks(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace, ran = {}, 0
    for language, code, expected in blocks(name):
        if language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(code, name, "exec"), namespace)
            if expected is not None:
                assert out.getvalue() == expected
            ran += 1
    assert ran >= 2


@pytest.mark.parametrize("name", READMES)
def test_command_lines(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.txt").write_text("房间干净，下次还来。\n", encoding="utf-8")
    ran = 0
    for language, code, expected in blocks(name):
        for line in code.splitlines() if language == "bash" else ():
            if line.startswith("nlpgen "):
                assert main(shlex.split(line, comments=True)[1:]) == 0, line
                ran += 1
        if language == "bash" and expected is not None:
            assert capsys.readouterr().out == expected
        capsys.readouterr()
    assert ran >= 4
