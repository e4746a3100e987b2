"""Training steps a second: nlpgen against a plain Hugging Face and PyTorch loop, and the share of the matrix peak.

    python benchmarks/pretraining.py

Same model (4 layers of 256, 9,124 tokens, no dropout), same batch (96 rows of 64 tokens, 15 % masked), AdamW, clipping;
random weights. Each engine is a process of its own, kept alive; rounds are interleaved, so that whatever else the
machine does hits all alike. The Hugging Face loop is the straightforward one: `BertForMaskedLM` with labels at every
position, -100 where nothing is masked.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np

SHAPE = {"vocab_size": 9124, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}
SHAPE |= {"intermediate_size": 1024, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
ENGINES = {
    "nlpgen, TensorFlow, bf16": ("keras", "tensorflow", "mixed_bfloat16", 0),
    "nlpgen, TensorFlow, fp32": ("keras", "tensorflow", "float32", 0),
    "nlpgen, TensorFlow + XLA, bf16": ("keras", "tensorflow", "mixed_bfloat16", 1),
    "nlpgen, JAX, fp32": ("keras", "jax", "float32", 1),
    "nlpgen, JAX, bf16": ("keras", "jax", "mixed_bfloat16", 1),
    "Hugging Face, PyTorch, fp32": ("torch", "", "float32", 0),
    "Hugging Face, PyTorch, bf16 autocast": ("torch", "", "bfloat16", 0),
}
SHORT = ("nlpgen, TensorFlow, bf16", "nlpgen, TensorFlow, fp32", *[name for name in ENGINES if "Hugging" in name])


def make_batch(batch, length, rate):
    """Random ids; positions, targets and labels of the same masks."""
    rng = np.random.default_rng(0)
    places = max(1, round(rate * length))
    ids = rng.integers(104, SHAPE["vocab_size"], (batch, length)).astype("int32")
    positions = np.sort(rng.permuted(np.tile(np.arange(length), (batch, 1)), axis=1)[:, :places], axis=1).astype(
        "int32"
    )
    targets = np.take_along_axis(ids, positions, axis=1)
    labels = np.full(ids.shape, -100)
    np.put_along_axis(labels, positions, targets, axis=1)
    np.put_along_axis(ids, positions, 103, axis=1)
    return ids, positions, targets, labels


def keras_step(dtype, jit, batch):
    import keras

    from nlpgen import Bert, BertConfig, MaskedLM
    from nlpgen.training import adamw, compile_for_pretraining

    keras.utils.set_random_seed(0)
    model = MaskedLM(Bert(BertConfig(**SHAPE), dtype=dtype))
    model.build()
    compile_for_pretraining(model, adamw(1e-4), jit_compile=bool(jit))
    ids, positions, targets, _ = batch
    inputs, weights = {"token_ids": ids, "positions": positions}, np.ones(targets.shape, "float32")
    return lambda: float(model.train_on_batch(inputs, targets, weights)[0])


def torch_step(dtype, batch):
    import torch
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count())
    model = BertForMaskedLM(BertConfig(**SHAPE)).train()
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-4)
    ids, _, _, labels = (torch.from_numpy(np.asarray(array, "int64")) for array in batch)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return step


def work(kind, dtype, jit, shape):
    """The process of an engine: a line in, steps, seconds a step out."""
    batch = make_batch(*shape)
    step = torch_step(dtype, batch) if kind == "torch" else keras_step(dtype, jit, batch)
    losses = [step() for _ in range(3)]
    print(json.dumps(losses), flush=True)
    for line in sys.stdin:
        start, n = time.perf_counter(), int(line)
        for _ in range(n):
            step()
        print(json.dumps((time.perf_counter() - start) / n), flush=True)


def matrix_peak(n=2048, repeats=6):
    """Best GFLOP/s of one large product in TensorFlow, by type."""
    import tensorflow as tf

    best = {}
    for dtype in ("float32", "bfloat16"):
        a = tf.cast(tf.random.normal((n, n), seed=0), dtype)
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            tf.matmul(a, a).numpy()
            times.append(time.perf_counter() - start)
        best[dtype] = 2 * n**3 / min(times) / 1e9
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.15)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=2, help="steps of an engine a round")
    parser.add_argument("--all", action="store_true", help="every engine, XLA and JAX too")
    parser.add_argument("--worker", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        kind, dtype, jit, *shape = args.worker
        work(kind, dtype, int(jit), (int(shape[0]), int(shape[1]), float(shape[2])))
        return
    from nlpgen.training.flops import transformer_flops

    processes = {}
    for name in ENGINES if args.all else SHORT:
        kind, backend, dtype, jit = ENGINES[name]
        shape = [str(value) for value in (args.batch, args.length, args.rate)]
        processes[name] = subprocess.Popen(
            [sys.executable, __file__, "--worker", kind, dtype, str(jit), *shape],
            env=os.environ | ({"KERAS_BACKEND": backend} if backend else {}) | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        first = processes[name].stdout.readline().strip()
        if not first:
            sys.exit(f"error: the process of {name} ended at once. Run it alone to see why: {processes[name].args}")
        print(f"{name}: first losses {first}", flush=True)
    peak = matrix_peak()
    times = {name: [] for name in processes}
    for _ in range(args.rounds):
        for name, process in processes.items():
            process.stdin.write(f"{args.steps}\n")
            process.stdin.flush()
            times[name].append(json.loads(process.stdout.readline()))
        print("  ".join(f"{values[-1]:.3f}" for values in times.values()), flush=True)
    for process in processes.values():
        process.stdin.close()
        process.wait()
    places = max(1, round(args.rate * args.length))
    flops = transformer_flops(SimpleNamespace(**SHAPE), args.length, places) * args.batch * args.length
    tokens = args.batch * args.length
    print(f"\nMatrix peak here: {peak['float32']:.0f} GFLOP/s fp32, {peak['bfloat16']:.0f} bf16 (TensorFlow, 2048³).")
    print(f"A step of nlpgen is {flops / 1e9:.0f} GFLOP. {args.rounds} interleaved rounds of {args.steps} steps.\n")
    print("| engine | median s a step | best | tokens/s (median) | median, times the fastest | share of the peak |")
    print("|---|---|---|---|---|---|")
    fastest = min(statistics.median(values) for values in times.values())
    for name, values in times.items():
        median = statistics.median(values)
        share = (
            ""
            if "Hugging" in name
            else f"{flops / median / 1e9 / peak['bfloat16' if 'bf16' in name else 'float32']:.0%}"
        )
        speed = f"{tokens / median:,.0f}"
        print(f"| {name} | {median:.3f} | {min(values):.3f} | {speed} | {median / fastest:.2f} | {share} |")


if __name__ == "__main__":
    main()
