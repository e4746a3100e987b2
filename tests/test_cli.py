"""The command line in this process, and once in a process of its own."""

import io
import json
import shutil
import subprocess
import sys

import pytest

from nlpgen.cli import _parser, main
from nlpgen.version import __version__
from tests.helpers import GOLDEN


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_fill_mask(capsys):
    code, out, _ = run(capsys, "fill-mask", "中国的首都是[MASK]京。", "--top-k", 3)
    assert code == 0
    assert out.splitlines()[0] == "中国的首都是北京。"
    code, out, _ = run(capsys, "fill-mask", "中国的首都是[MASK]京。", "--json")
    assert json.loads(out)["candidates"][0][0][0] == "北"


def test_classify_a_file(capsys, tmp_path):
    lines = [f"第{i}次来，很满意" for i in range(300)]
    (tmp_path / "in.txt").write_text("\ufeff" + "\n\n".join(lines) + "\n", encoding="utf-8")
    code, out, err = run(capsys, "classify", tmp_path / "in.txt")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [row["text"] for row in rows] == lines
    assert all(sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5) for row in rows)
    assert all(row["label"] == max(row["probabilities"], key=row["probabilities"].get) for row in rows)


def test_classify_with_labels_of_ones_own(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("球队赢了比赛\n"))
    code, out, _ = run(
        capsys, "classify", "--label", "体育=体育", "--label", "财经=财经,经济", "--pattern", "[MASK][MASK]新闻：{text}"
    )
    assert code == 0
    assert list(json.loads(out)["probabilities"]) == ["体育", "财经"]


def test_inspect(capsys, bert_folder):
    code, out, _ = run(capsys, "inspect", bert_folder)
    assert code == 0
    assert "tensorflow format, Bert" in out
    assert "named by no row of the table: none" in out
    code, out, _ = run(capsys, "inspect", "bert-tiny-zh", "--json")
    assert json.loads(out)["architecture"] == "Bert"


def test_inspect_of_a_family_that_is_not_built(capsys, tmp_path):
    shutil.copytree(GOLDEN / "hf_llama", tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "mistral"}))
    code, out, _ = run(capsys, "inspect", tmp_path)
    assert code == 2
    assert "nlpgen does not build 'mistral': its tensors are named as those of 'llama', but" in out
    assert not any(word in out for word in ("give `model_type`", "not read", "missing", "heads:"))


def test_convert(capsys, bert_folder, tmp_path):
    code, _, err = run(capsys, "convert", bert_folder, tmp_path / "hf", "--to", "huggingface", "--dtype", "float16")
    assert code == 0
    assert "Bert with masked_lm, pooler, next_sentence in huggingface format" in err
    assert (tmp_path / "hf" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fill-mask", "没有"], "has no [MASK]"),
        (["fill-mask", "[MASK]", "--model", "nowhere"], "There is no model at nowhere"),
        (["fill-mask", "[MASK]", "--top-k", "0"], "`top_k` must be from 1"),
        (["classify", "nowhere.txt"], "nowhere.txt"),
        (["classify", "--label", "x=好"], "--label and --pattern together"),
        (["classify", "--label", "a=很", "--label", "a=不", "--pattern", "{text}[MASK]"], "given twice"),
        (["classify", "--label", "a=满意", "--label", "b=不", "--pattern", "{text}[MASK][MASK]"], "'不' has 1 tokens"),
        (["fill-mask", "[MASK]", "--model", ""], "Give the name of a model"),
        (["classify", "--label", "x", "--pattern", "{text}[MASK]"], "LABEL=WORD"),
        (["classify", "--task", "nothing"], "no preset 'nothing'"),
        (["inspect", "nowhere"], "There is no model"),
        (["convert", "nowhere", "out"], "There is no model"),
    ],
)
def test_bad_input_is_a_message_and_an_exit_code(capsys, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("nlpgen: ")
    assert message in err
    assert "Traceback" not in err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert (stop.value.code, capsys.readouterr().out.strip()) == (0, __version__)


@pytest.mark.parametrize("arguments", [[], ["fill-mask"], ["fill-mask", "[MASK]", "--dtype", "float99"], ["nothing"]])
def test_a_wrong_command_line(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: nlpgen" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", ["auto", "float16"])
def test_types_of_the_command_line(dtype):
    assert _parser().parse_args(["fill-mask", "[MASK]", "--dtype", dtype]).dtype == dtype


def test_a_file_that_is_not_utf8(capsys, tmp_path):
    (tmp_path / "gbk.txt").write_bytes("房间很好".encode("gbk"))
    code, _, err = run(capsys, "classify", tmp_path / "gbk.txt")
    assert code == 2
    assert "gbk.txt is not UTF-8 (byte 0xb7 after line 0)" in err
    assert "iconv" in err


def test_a_reader_that_has_seen_enough(tmp_path):
    (tmp_path / "in.txt").write_text("很好\n" * 3000, encoding="utf-8")
    command = f"{sys.executable} -m nlpgen.cli classify {tmp_path / 'in.txt'} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["text"] == "很好"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_process_of_its_own():
    done = subprocess.run([sys.executable, "-m", "nlpgen.cli", "fill-mask", "x"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
