"""Training steps a second: nlpgen against a plain Hugging Face and PyTorch loop, and the share of the matrix peak.

    python benchmarks/pretraining.py

Same model (4 layers of 256, 9,124 tokens, no dropout), same rows (96 of 64 tokens, random), 15 % masked anew for every
step by the 80/10/10 rule, AdamW, clipping; random weights. The Hugging Face loop is written twice: as everybody writes
it, `BertForMaskedLM` with labels at every position and -100 where nothing is masked; and with the head at the masked
positions only. Each engine is a process of its own, kept alive; rounds are interleaved, so that whatever else the
machine does hits all alike.

The share of the peak is that of the matrix operations that an engine really does, against the fastest large product
that TensorFlow or PyTorch reached here in the same precision. An engine that does fewer operations a step may be faster
with a lower share.
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
from machine import machine

SHAPE = {"vocab_size": 9124, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}
SHAPE |= {"intermediate_size": 1024, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
MASK_ID, FIRST_ID = 103, 104
ENGINES = {
    "nlpgen, TensorFlow, bf16": {"kind": "ours", "dtype": "bfloat16"},
    "nlpgen, TensorFlow, fp32": {"kind": "ours", "dtype": "float32"},
    "Hugging Face, PyTorch, fp32": {"kind": "peer", "dtype": "float32"},
    "Hugging Face, PyTorch, bf16 autocast": {"kind": "peer", "dtype": "bfloat16"},
    "the same, head at masked positions, fp32": {"kind": "peer", "dtype": "float32", "masked_only": True},
    "the same, head at masked positions, bf16 autocast": {"kind": "peer", "dtype": "bfloat16", "masked_only": True},
    "nlpgen, TensorFlow + XLA, bf16": {"kind": "ours", "dtype": "bfloat16", "jit": True},
    "nlpgen, JAX, fp32": {"kind": "ours", "dtype": "float32", "backend": "jax", "jit": True},
    "nlpgen, JAX, bf16": {"kind": "ours", "dtype": "bfloat16", "backend": "jax", "jit": True},
}
DEFAULT = list(ENGINES)[:6]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.15)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4, help="steps of an engine a round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="PyTorch's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="XLA and JAX too")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.worker, args)
        return
    names = list(ENGINES) if args.all else DEFAULT
    engines = {}
    try:
        for name in names:
            engines[name] = Engine(name)
            said = f"first losses {engines[name].first}, large product {engines[name].peak:.0f} GFLOP/s"
            print(f"{name}: {said}", file=sys.stderr, flush=True)
        times = {name: [] for name in names}
        for _ in range(args.rounds):
            for name, engine in engines.items():
                times[name].append(engine.ask(args.steps))
            print("  ".join(f"{values[-1]:.3f}" for values in times.values()), file=sys.stderr, flush=True)
    finally:
        for engine in engines.values():
            engine.close()
    report(times, {name: engine.peak for name, engine in engines.items()}, args)


class Engine:
    """A process that trains when it is asked to."""

    def __init__(self, name):
        spec, self.name = ENGINES[name], name
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": spec.get("backend", "tensorflow")}
        self.process = subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:], "--worker", json.dumps(spec)],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.first = self.answer()
        self.peak = self.ask("peak")

    def ask(self, question):
        """Seconds a step of so many steps, or with `"peak"` the GFLOP/s of a large product."""
        print(question, file=self.process.stdin, flush=True)
        return self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(
                f"error: the process of {self.name} ended with exit code {self.process.wait()}; it says why above."
            )
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def work(spec, args):
    """The process of an engine: a question a line in, a number a line out."""
    step, product = (ours if spec["kind"] == "ours" else peer)(spec, args)
    print(json.dumps([round(step(), 3) for _ in range(3)]), flush=True)
    for line in sys.stdin:
        if line.strip() == "peak":
            print(json.dumps(matrix_peak(product)), flush=True)
            continue
        start, n = time.perf_counter(), int(line)
        for _ in range(n):
            step()
        print(json.dumps((time.perf_counter() - start) / n), flush=True)


def ours(spec, args):
    """A training step of `pretrain_mlm.py`, and a function that multiplies two matrices."""
    import keras
    from keras import ops

    from nlpgen import Bert, BertConfig, MaskedLM
    from nlpgen.data import Masking
    from nlpgen.training import adamw

    keras.utils.set_random_seed(args.seed)
    dtype = "mixed_bfloat16" if spec["dtype"] == "bfloat16" else spec["dtype"]
    model = MaskedLM(Bert(BertConfig(**SHAPE), dtype=dtype))
    model.build()
    model.compile(adamw(1e-4), jit_compile=spec.get("jit", False))
    masking = Masking(SHAPE["vocab_size"], MASK_ID, (MASK_ID,), FIRST_ID, rate=args.rate)
    rng = np.random.default_rng(args.seed)
    rows = rng.integers(FIRST_ID, SHAPE["vocab_size"], (args.batch, args.length), dtype="int32")

    def step():
        token_ids, positions, targets, weights = masking(rows, rng)
        return float(model.train_on_batch({"token_ids": token_ids, "positions": positions}, targets, weights)[0])

    def product(n):
        a = ops.cast(ops.convert_to_tensor(rng.standard_normal((n, n), dtype="float32")), spec["dtype"])
        return lambda: float(ops.cast(ops.matmul(a, a)[0, 0], "float32"))

    return step, product


def peer(spec, args):
    """The straightforward loop with `transformers`, masking as its collator does."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    model = BertForMaskedLM(BertConfig(**SHAPE)).train()
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-4)
    rows = torch.randint(FIRST_ID, SHAPE["vocab_size"], (args.batch, args.length))

    def masked():
        chosen, u = torch.rand(rows.shape) < args.rate, torch.rand(rows.shape)
        ids = torch.where(chosen & (u < 0.8), MASK_ID, rows)
        noise = torch.randint(FIRST_ID, SHAPE["vocab_size"], rows.shape)
        return torch.where(chosen & (u >= 0.9), noise, ids), torch.where(chosen, rows, -100)

    def loss_of(ids, labels):
        if not spec.get("masked_only"):
            return model(input_ids=ids, labels=labels).loss
        chosen = labels >= 0
        logits = model.cls(model.bert(input_ids=ids).last_hidden_state[chosen])
        return torch.nn.functional.cross_entropy(logits, labels[chosen])

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=spec["dtype"] == "bfloat16"):
            loss = loss_of(*masked())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    def product(n):
        a = torch.randn((n, n)).to(getattr(torch, spec["dtype"]))
        return lambda: a @ a

    return step, product


def matrix_peak(product, n=2048, repeats=8):
    """Best GFLOP/s of a large product."""
    multiply, times = product(n), []
    for _ in range(repeats):
        start = time.perf_counter()
        multiply()
        times.append(time.perf_counter() - start)
    return 2 * n**3 / min(times) / 1e9


def flops_of_a_step(spec, args):
    """Operations of the matrix products that an engine does in a step."""
    from nlpgen.training.flops import transformer_flops

    config, places = SimpleNamespace(**SHAPE), max(1, round(args.rate * args.length))
    if spec["kind"] == "ours":
        token = transformer_flops(config, args.length, places)
    elif spec.get("masked_only"):  # the last block still runs everywhere
        h = config.hidden_size
        head = 3 * (2 * h * h + 2 * h * config.vocab_size)
        token = transformer_flops(config, args.length) - (1 - args.rate) * head
    else:
        token = transformer_flops(config, args.length)
    return token * args.batch * args.length


def report(times, peaks, args):
    """Print the Markdown table."""
    peak = {dtype: max(peaks[n] for n in times if ENGINES[n]["dtype"] == dtype) for dtype in ("float32", "bfloat16")}
    fp32, bf16 = peak["float32"], peak["bfloat16"]
    print(
        f"{machine('tensorflow', 'tensorflow-cpu', 'keras', 'jax', 'torch', 'transformers')}.\n"
        f"{args.batch} rows of {args.length} tokens, {args.rate:.0%} masked, seed {args.seed}; {args.rounds} rounds of "
        f"{args.steps} steps, interleaved; PyTorch with {args.threads} threads.\n"
        f"Matrix peak: {fp32:.0f} GFLOP/s fp32, {bf16:.0f} bf16 (2048³, the best of all engines' libraries).\n"
    )
    print(
        "| engine | median s a step | best | tokens/s (median) | against the first | GFLOP a step | share of the peak |"
    )
    print("|---|---|---|---|---|---|---|")
    first = statistics.median(next(iter(times.values())))
    for name, values in times.items():
        median, flops = statistics.median(values), flops_of_a_step(ENGINES[name], args) / 1e9
        print(
            f"| {name} | {median:.3f} | {min(values):.3f} | {args.batch * args.length / median:,.0f} "
            f"| {first / median:.2f}× | {flops:.0f} | {flops / median / peak[ENGINES[name]['dtype']]:.0%} |"
        )
    print(
        "\nSeconds a step, round by round: " + json.dumps({n: [round(v, 3) for v in row] for n, row in times.items()})
    )


if __name__ == "__main__":
    main()
