"""Generation against Hugging Face's `generate` on PyTorch: same weights, same prompts, interleaved in one run.

    python benchmarks/generation.py

GPT-2 small (random weights, vocabulary of 50,257), prompts of 32 tokens, 64 new tokens, none of which ends a text; on
the CPU. Every engine lives in a process of its own and works only when it is its turn. "no cache" is bert4keras' way:
the whole text is read again for each token. Prints a Markdown table for each task: new tokens a second (median of the
rounds; of a beam search those of the best hypothesis), against the first engine of the same type, first call, peak
memory, and how many texts are those of the first engine. For batch 1 also the share of the limit that memory sets: all
weights are read for every token, at the rate at which this machine sums an array of their size in each round.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import machine

ENGINES = {
    "transformers": {"kind": "peer", "dtype": "float32"},
    "nlpgen (tensorflow)": {"kind": "ours", "dtype": "float32"},
    "nlpgen (tensorflow), no cache": {"kind": "uncached", "dtype": "float32", "tasks": ["batch 1, greedy"]},
    "transformers, bfloat16": {"kind": "peer", "dtype": "bfloat16"},
    "nlpgen (tensorflow), bfloat16": {"kind": "ours", "dtype": "bfloat16"},
}
SETTINGS = {
    "transformers": {"kind": "peer", "dtype": "float32"},
    "nlpgen (tensorflow)": {"kind": "ours", "dtype": "float32"},
    "nlpgen (tensorflow), XLA": {"kind": "ours", "dtype": "float32", "jit": True},
    "nlpgen (jax)": {"kind": "ours", "dtype": "float32", "backend": "jax"},
    "nlpgen (torch)": {"kind": "ours", "dtype": "float32", "backend": "torch"},
    "transformers, bfloat16": {"kind": "peer", "dtype": "bfloat16"},
    "nlpgen (tensorflow), bfloat16": {"kind": "ours", "dtype": "bfloat16"},
    "nlpgen (tensorflow), XLA, bfloat16": {"kind": "ours", "dtype": "bfloat16", "jit": True},
    "nlpgen (jax), bfloat16": {"kind": "ours", "dtype": "bfloat16", "backend": "jax"},
    "nlpgen (torch), bfloat16": {"kind": "ours", "dtype": "bfloat16", "backend": "torch"},
}
TASKS = {
    "batch 1, greedy": (1, 1),
    "batch 1, 4 beams": (1, 4),
    "batch 8, greedy": (8, 1),
    "batch 8, 4 beams": (8, 4),
}
PROMPT, VOCAB = 32, 50257


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", type=int, default=12, help="12 is GPT-2 small")
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--settings", action="store_true", help="compare our backends and settings instead")
    parser.add_argument("--engines", metavar="TEXT", default="", help="only those with this in their name")
    parser.add_argument("--tasks", metavar="TEXT", default="", help="only those with this in their name")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--prepare", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        return prepare(Path(options.prepare), options)
    if options.worker:
        return work(json.loads(options.worker), Path(options.folder))
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: a worker's peak memory counts from that of the process that starts it.
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--prepare", folder], check=True)
        engines = SETTINGS if options.settings else ENGINES
        engines = {name: spec for name, spec in engines.items() if options.engines in name}
        compare(Path(folder), engines, [task for task in TASKS if options.tasks in task], options)


def prepare(folder, options):
    """Write the model in Hugging Face's form, and the prompts."""
    import keras

    from nlpgen import GPT2, CausalLM, GPT2Config

    keras.utils.set_random_seed(0)
    config = GPT2Config(VOCAB, 768, options.layers, 12, pad_token_id=None)
    model = CausalLM(GPT2(config))
    model.build()
    generator = np.random.default_rng(0)
    for block in model.backbone.blocks:  # larger than new weights are, so that texts do not only repeat a token
        for layer in (block.attention.query, block.attention.key):
            layer.kernel.assign(generator.normal(0, 0.1, layer.kernel.shape))
    model.save_pretrained(folder / "model", format="huggingface")
    prompts = generator.integers(0, VOCAB, (8, PROMPT)).tolist()
    (folder / "prompts.json").write_text(json.dumps(prompts))


def compare(folder, engines, tasks, options):
    workers = {name: start(spec | {"new_tokens": options.new_tokens}, folder) for name, spec in engines.items()}
    size = sum(path.stat().st_size for path in (folder / "model").glob("*.safetensors"))
    print(f"{machine('tensorflow', 'tensorflow-cpu', 'keras', 'torch', 'transformers')}; {options.rounds} rounds")
    print(f"{options.layers} layers, {size / 1e6:.0f} MB of float32 weights\n")
    for task in tasks:
        chosen = [name for name, spec in engines.items() if task in spec.get("tasks", tasks)]
        if not chosen:
            continue
        firsts = {name: ask(workers[name], task) for name in chosen}
        rounds, rates = [], []
        for _ in range(options.rounds):
            rounds.append({name: ask(workers[name], task) for name in chosen})
            rates.append(bandwidth(size))
        table(task, chosen, engines, firsts, rounds, size, statistics.median(rates), options)
    for worker in workers.values():
        worker.stdin.close()


def table(task, names, engines, firsts, rounds, size, rate, options):
    batch, width = TASKS[task]
    tokens = batch * options.new_tokens
    medians = {name: statistics.median(row[name]["seconds"] for row in rounds) for name in names}
    limited = batch == width == 1
    print(f"**{task}**\n")
    print(
        f"| engine | tokens/s | against the first |{' of the limit |' if limited else ''} first call s | peak MB |",
        end="",
    )
    print(" same texts |\n|---|---|---|---|---|---|" + ("---|" if limited else ""))
    for name in names:
        spec = engines[name]
        base = next((n for n in names if engines[n]["dtype"] == spec["dtype"]), name)
        limit = rate / (size * (0.5 if spec["dtype"] == "bfloat16" else 1))
        share = f" {tokens / medians[name] / limit:.0%} |" if limited else ""
        texts = [x == y for x, y in zip(firsts[name]["ids"], firsts[base]["ids"], strict=True)]
        print(
            f"| {name} | {tokens / medians[name]:.1f} | {medians[base] / medians[name]:.2f}× |{share} "
            f"{firsts[name]['seconds']:.1f} | {rounds[-1][name]['peak_mb']:.0f} | {sum(texts)} of {len(texts)} |"
        )
    print("\nSeconds: " + json.dumps({name: [round(r[name]["seconds"], 2) for r in rounds] for name in names}))
    print(f"The limit: weights read at {rate / 1e9:.1f} GB/s, the median of the rounds.\n" if limited else "")


def bandwidth(size):
    """Bytes a second at which an array of that many bytes is read, with a thread for each core; best of five."""
    from concurrent.futures import ThreadPoolExecutor

    cores = len(os.sched_getaffinity(0))
    parts = np.array_split(np.ones(size // 8), cores)
    best = float("inf")
    with ThreadPoolExecutor(cores) as pool:
        for _ in range(5):
            begin = time.perf_counter()
            list(pool.map(np.sum, parts))
            best = min(best, time.perf_counter() - begin)
    return size / best


def start(spec, folder):
    environment = os.environ | {"KERAS_BACKEND": spec.get("backend", "tensorflow"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, __file__, "--worker", json.dumps(spec), "--folder", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def ask(worker, task):
    print(task, file=worker.stdin, flush=True)
    line = worker.stdout.readline()
    if not line:
        raise SystemExit(f"a worker ended with exit code {worker.wait()}")
    return json.loads(line)


def work(spec, folder):
    """Do a task for each line on standard input."""
    prompts = json.loads((folder / "prompts.json").read_text())
    run = {"peer": peer, "ours": ours, "uncached": uncached}[spec["kind"]](spec, folder)
    for line in sys.stdin:
        batch, width = TASKS[line.strip()]
        begin = time.perf_counter()
        ids = run(prompts[:batch], width)
        seconds = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak_mb": peak, "ids": ids}), flush=True)


def peer(spec, folder):
    """transformers as its documentation shows it."""
    import torch
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained(folder / "model", dtype=getattr(torch, spec["dtype"])).eval()
    model.generation_config.eos_token_id = None
    new = spec["new_tokens"]

    @torch.inference_mode()
    def run(prompts, width):
        ids = torch.tensor(prompts)
        options = {"num_beams": width, "do_sample": False, "max_new_tokens": new, "pad_token_id": 0}
        return model.generate(ids, attention_mask=torch.ones_like(ids), **options)[:, PROMPT:].tolist()

    return run


def ours(spec, folder):
    from nlpgen import CausalLM
    from nlpgen.generation import Beam, Greedy

    model = CausalLM.from_pretrained(folder / "model", dtype=spec["dtype"])
    if "jit" in spec:
        model.jit_compile = spec["jit"]

    def run(prompts, width):
        sampler = Greedy() if width == 1 else Beam(width, length_penalty=1.0)
        found = model.generate_ids(prompts, sampler, max_new_tokens=spec["new_tokens"])
        return [hypotheses[0][0] for hypotheses in found]

    return run


def uncached(spec, folder):
    """bert4keras' way: the whole text through the model for each token, and the choice in NumPy."""
    from nlpgen import CausalLM

    model = CausalLM.from_pretrained(folder / "model", dtype=spec["dtype"])

    def run(prompts, width):
        rows = np.array(prompts, "int32")
        for _ in range(spec["new_tokens"]):
            last = np.full((len(rows), 1), rows.shape[1] - 1, "int32")
            logits = model.predict_on_batch({"token_ids": rows, "positions": last})
            rows = np.concatenate([rows, logits[:, 0].argmax(axis=1)[:, None].astype("int32")], axis=1)
        return rows[:, PROMPT:].tolist()

    return run


if __name__ == "__main__":
    main()
