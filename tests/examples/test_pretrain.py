"""The pretraining scripts as a user runs them: processes, really killed, really resumed."""

import argparse
import json
import os
import shutil
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
from nlpgen.checkpoints import open_folder
from nlpgen.errors import InputError

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


@pytest.fixture
def scripts(monkeypatch):
    """The modules of the scripts, in this process."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    from pretraining import options, run

    return argparse.Namespace(options=options, run=run)


def parsed(scripts, work, *options):
    parser = scripts.options.options("")
    parser.add_argument("--mask-rate", type=float, default=0.2)
    return parser.parse_args(["--corpus", str(work), "--work", str(work), *map(str, options)])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("--peak 0", "--peak must be above 0"),
        ("--accumulate 0", "--accumulate must be above 0"),
        ("--batch 0 --evaluate-every 0 --devices 0", "--batch must be above 0\n  --evaluate-every must"),
        ("--ema 1.5", "--ema must lie between 0 and 1"),
        ("--mask-rate 1.5", "--mask-rate must lie between 0 and 1"),
        ("--dropout 1", "--dropout must lie between 0 and 1"),
        ("--peak nan", "--peak must be above 0"),
        ("--dtype foo", "--dtype foo is none"),
        ("--length 64 --positions 32", "--length 64 is more than the 32 positions"),
        ("--length 600 --init bert-tiny-zh", "--length 600 is more than the 512 positions"),
        ("--init bert-tiny-zh --trained-positions 4", "--trained-positions must be from 8 to 512"),
        ("--trained-positions 64", "--trained-positions is about the model of --init"),
        ("--embeddings bert-tiny-zh --hidden 64", "--embeddings has width 256, the new model --hidden 64"),
        ("--embeddings bert-tiny-zh --vocab v.txt", "--vocab would be ignored beside --embeddings"),
        ("--init bert-tiny-zh --vocab v.txt --layers 4 --hidden 8", "--vocab, --layers, --hidden would be ignored"),
        ("--vocab v.txt --vocab-size 9", "--vocab-size would be ignored beside --vocab"),
        ("--hidden 10 --heads 4", "--hidden 10 is no multiple of --heads 4"),
        ("--devices 2 --batch 9", "--batch 9 is no multiple of --devices 2"),
        ("--steps 60 --window 50", "--steps 60 is no multiple of --window 50"),
        ("--steps 50 --warmup 40 --decay 20", "--warmup 40 and --decay 20 are more than --steps 50"),
        ("--plot {work}/file/loss.png", "--plot: its folder cannot be made"),
        ("--save {work}/file", "file is a file"),
        ("--save {work}", "belongs to no model"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(scripts, tmp_path, options, problem):
    """Before the corpus is opened: the folder here has none."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match="These options cannot be used") as caught:
        scripts.run.start(parsed(scripts, tmp_path, *options.format(work=tmp_path).split()))
    assert problem in str(caught.value)


def test_defaults_fit_few_steps(scripts, tmp_path):
    for steps, warmup, window in ((1, 0, 1), (100, 10, 50), (6000, 200, 50)):
        args = parsed(scripts, tmp_path, "--steps", steps)
        scripts.options.check(args)
        assert (args.warmup, args.window) == (warmup, window)
        assert (args.layers, args.positions, args.vocab_size) == (4, 512, 9200)


def test_a_run_is_not_replaced_and_more_steps_need_a_plateau(scripts, tmp_path):
    state = tmp_path / "state"
    state.mkdir()

    def saved(*options):
        args = parsed(scripts, tmp_path, *options)
        args.resume = True
        scripts.options.check(args)
        record = {"step": 100, "settings": scripts.run.settings_of(args)}
        (state / "state.json").write_text(json.dumps(record, default=str))

    saved("--steps", 100)
    with pytest.raises(InputError, match=r"holds step 100: add --resume, or remove it"):
        scripts.run.start(parsed(scripts, tmp_path, "--steps", 100))
    with pytest.raises(InputError, match="steps 100, now 200"):
        scripts.run.start(parsed(scripts, tmp_path, "--steps", 200, "--resume"))
    assert scripts.run.start(parsed(scripts, tmp_path, "--steps", 200, "--resume", "--change"))[1]
    saved("--steps", 100, "--decay", 0)
    assert scripts.run.start(parsed(scripts, tmp_path, "--steps", 200, "--decay", 0, "--resume"))[1]


def test_the_corpus_is_tokenised_as_the_start_model_wants_it(scripts, tmp_path, corpus):
    """A cased model's texts stay cased."""
    model = tmp_path / "cased"
    shutil.copytree(open_folder("bert-tiny-zh").path, model)
    (model / "manifest.json").unlink()
    (model / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    args = parsed(scripts, tmp_path / "run", "--init", model, "--prepare")
    args.corpus = corpus
    scripts.options.check(args)
    tokenizer, *_ = scripts.run.open_corpus(args)
    assert tokenizer.lowercase is False


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
    assert "peak 0.001, now 0.5. Use the same, or another folder, or --change where the command has it." in output
    assert "Traceback" not in output


def test_two_devices_then_two_machines_do_what_one_does(corpus, tmp_path):
    """Six steps on two devices, six on two machines (processes here), of which the first alone speaks and writes."""
    options = ["--corpus", corpus, *TINY, "--window", 6, "--dtype", "float32", "--no-warm-start", "--dropout", 0.1]
    options += [
        "--evaluate-every",
        2,
        "--decay",
        0,
    ]  # and at the end: on two devices too, of rows that two do not divide
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
