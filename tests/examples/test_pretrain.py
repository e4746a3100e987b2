"""The pretraining scripts as a user runs them: processes, really killed, really resumed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from nlpgen import GPT2, CausalLM, MaskedLM

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--layers", "2", "--hidden", "16", "--heads", "2", "--ffn", "32", "--positions", "32"]
TINY += ["--length", "16", "--batch", "8", "--window", "4", "--warmup", "2", "--vocab-size", "200"]
SENTENCES = ("今天天气很好。", "我们去图书馆看书，", "明天在家里写作业。", "科学技术是生产力，", "他会用python写。")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for name in ("news", "prose"):
        lines = ["".join(rng.choice(SENTENCES, rng.integers(1, 4))) for _ in range(400)]
        (folder / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def start(script, *options, backend="tensorflow", **environment):
    environment = {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    command = [sys.executable, str(ROOT / "examples" / script), *map(str, options)]
    return subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process):
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    return output


def tensors(work):
    return load_file(Path(work) / "state" / "state.safetensors")


def assert_same_bits(first, second):
    assert list(first) == list(second)
    different = [name for name in first if first[name].tobytes() != second[name].tobytes()]
    assert not different


def test_resume_after_kill_9_gives_the_same_bits(corpus, tmp_path):
    """Dropout, masks, order and optimizer go on; the killed run is stopped wherever it happens to be.

    To go on with another learning rate is refused.
    """
    options = ["--corpus", corpus, *TINY, "--steps", 48, "--dropout", 0.1, "--evaluate-every", 4, "--deterministic"]
    whole = start("pretrain_mlm.py", *options, "--work", tmp_path / "whole", "--save", tmp_path / "model")
    killed = start("pretrain_mlm.py", *options, "--work", tmp_path / "killed")
    record = tmp_path / "killed" / "state" / "state.json"
    deadline = time.monotonic() + 120
    while not (record.is_file() and json.loads(record.read_text())["step"] >= 8):
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    killed.stdout.close()
    at = json.loads(record.read_text())["step"]
    assert 8 <= at < 48
    finish(whole)
    resumed = start("pretrain_mlm.py", *options, "--work", tmp_path / "killed", "--resume")
    refused = start("pretrain_mlm.py", *options, "--work", tmp_path / "whole", "--resume", "--peak", 0.5)
    assert f"Resumed at step {at}." in finish(resumed)
    assert_same_bits(tensors(tmp_path / "whole"), tensors(tmp_path / "killed"))

    model = MaskedLM.from_pretrained(tmp_path / "model")
    assert model.backbone.config.hidden_dropout_prob == 0.1
    assert model.fill_mask("今天天气很[MASK]。", top_k=1).candidates
    history = json.loads((tmp_path / "whole" / "state" / "state.json").read_text())["history"]
    assert history[-1]["loss"] < history[0]["loss"]
    assert set(history[-1]["held_out"]) == {"news", "prose", "all"}

    output, _ = refused.communicate(timeout=100)
    assert refused.returncode == 1
    assert output.strip().splitlines()[-1].startswith("error: The run in")
    assert "peak 0.001, now 0.5. Use the same, or allow the change (--change)." in output
    assert "Traceback" not in output


def test_two_devices_then_two_machines_do_what_one_does(corpus, tmp_path):
    """Six steps on two devices, six on two machines (processes here), of which the first alone speaks and writes."""
    options = ["--corpus", corpus, *TINY, "--window", 6, "--dtype", "float32", "--no-warm-start", "--dropout", 0.1]
    options += ["--evaluate-every", 2, "--decay", 0]
    jax = {"backend": "jax", "JAX_PLATFORMS": "cpu"}
    virtual = jax | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    one = start("pretrain_mlm.py", *options, "--steps", 12, "--work", tmp_path / "one", **jax)
    options += ["--work", tmp_path / "two"]
    finish(start("pretrain_mlm.py", *options, "--steps", 6, "--devices", 2, **virtual))
    one = finish(one)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        machines = f"localhost:{free.getsockname()[1]},2"
    options += ["--steps", 12, "--resume", "--save", tmp_path / "model"]
    pair = [start("pretrain_mlm.py", *options, "--machines", f"{machines},{i}", **jax) for i in (0, 1)]
    first, second = map(finish, pair)
    assert "Resumed at step 6." in first
    assert "step" not in second
    assert first.split("held_out")[1] == one.split("held_out")[-1]
    one, two = tensors(tmp_path / "one"), tensors(tmp_path / "two")
    assert list(one) == list(two)
    names = [name for name in one if name.startswith("model/")]
    assert len(names) > 30
    for name in names:
        np.testing.assert_allclose(two[name], one[name], atol=1e-5, rtol=0, err_msg=name)
    assert MaskedLM.from_pretrained(tmp_path / "model").backbone.config.hidden_dropout_prob == 0.1


def test_gpt_learns(corpus, tmp_path):
    """By the next token, and with `--unilm`."""
    pytest.importorskip("matplotlib")
    objectives = {"causal": [], "unilm": ["--unilm"]}
    started = {}
    for name, objective in objectives.items():
        folder = tmp_path / name
        options = ["--corpus", corpus, *TINY, "--steps", 40, "--window", 20, "--evaluate-every", 2, "--peak", 0.01]
        options += [*objective, "--work", folder / "run", "--save", folder / "model", "--plot", folder / "loss.png"]
        started[name] = start("pretrain_gpt.py", *options, "--tensorboard", folder / "board")
    for name, process in started.items():
        finish(process)
        folder = tmp_path / name
        history = json.loads((folder / "run" / "state" / "state.json").read_text())["history"]
        assert history[-1]["loss"] < history[0]["loss"] - 0.3
        assert history[-1]["held_out"]["all"] > 0.1
        assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
        assert list((folder / "board").rglob("*events*"))
    assert MaskedLM.from_pretrained(tmp_path / "unilm" / "model").backbone.config.application == "unilm"
    assert isinstance(CausalLM.from_pretrained(tmp_path / "causal" / "model").backbone, GPT2)
