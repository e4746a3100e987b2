"""Masked-LM inference against Hugging Face on PyTorch, and as ONNX: same weights, same texts, interleaved in one run.

    python benchmarks/masked_lm.py --texts FILE

BERT-base (random weights, vocabulary of 21,128), 200 texts of mixed real length with one mask each, on the CPU. Every
engine lives in a process of its own and works only when it is its turn, so that times interleave and memory is each
one's own. ONNX Runtime gets what `export` writes for one position, and our batches. Prints a Markdown table: texts a
second (median of the rounds), peak memory, and how far logits and answers are from the first engine's; the label is
which of two tokens is likelier.
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
from machine import processor

ENGINES = {
    "transformers, naive batches": {"kind": "peer", "sort": False, "dtype": "float32"},
    "transformers, length-sorted": {"kind": "peer", "sort": True, "dtype": "float32"},
    "nlpgen (tensorflow)": {"kind": "ours", "backend": "tensorflow", "dtype": "float32"},
    "nlpgen exported, ONNX Runtime": {"kind": "exported", "dtype": "float32"},
    "transformers, length-sorted, bfloat16": {"kind": "peer", "sort": True, "dtype": "bfloat16"},
    "nlpgen (tensorflow), bfloat16": {"kind": "ours", "backend": "tensorflow", "dtype": "bfloat16"},
}
BASE = "transformers, length-sorted"
SETTINGS = {
    "nlpgen (tensorflow)": {"kind": "ours", "backend": "tensorflow", "dtype": "float32"},
    "nlpgen (tensorflow), one thread": {
        "kind": "ours",
        "backend": "tensorflow",
        "dtype": "float32",
        "environment": {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"},
    },
    "nlpgen (tensorflow), XLA": {"kind": "ours", "backend": "tensorflow", "dtype": "float32", "jit": True},
    "nlpgen (tensorflow), oneDNN off": {
        "kind": "ours",
        "backend": "tensorflow",
        "dtype": "float32",
        "environment": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    },
    "nlpgen (torch)": {"kind": "ours", "backend": "torch", "dtype": "float32"},
    "nlpgen (jax)": {"kind": "ours", "backend": "jax", "dtype": "float32"},
    "nlpgen (tensorflow), bfloat16": {"kind": "ours", "backend": "tensorflow", "dtype": "bfloat16"},
    "nlpgen (torch), bfloat16": {"kind": "ours", "backend": "torch", "dtype": "bfloat16"},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", default="examples/data/reviews.tsv", help="a text a line, up to the first tab")
    parser.add_argument("--count", type=int, default=200, help="how many texts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", type=int, default=12, help="12 is BERT-base")
    parser.add_argument("--settings", action="store_true", help="compare our backends and settings instead")
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
        compare(Path(folder), SETTINGS if options.settings else ENGINES, options)


def prepare(folder, options):
    """Write the model in Hugging Face's form and as ONNX, and batches of token ids with a mask in each text."""
    import keras

    from nlpgen import Bert, BertConfig, MaskedLM
    from nlpgen.text import length_batches

    keras.utils.set_random_seed(0)
    model = MaskedLM(Bert(BertConfig(21128, 768, options.layers, 12, 3072)))
    model.build()
    generator = np.random.default_rng(0)
    model.head.norm.gamma.assign(generator.normal(1, 0.1, 768))
    model.head.bias.assign(generator.normal(0, 0.1, 21128))
    model.save_pretrained(folder / "model", format="huggingface")
    if not options.settings:
        model.export(folder / "model.onnx", format="onnx", inputs=("token_ids", "positions"))
    lines = [line.split("\t")[0].strip() for line in Path(options.texts).read_text(encoding="utf-8").splitlines()]
    # An id for each character: the weights are random, only the lengths have to be real.
    texts = [[101, 103, *(670 + ord(c) % 7000 for c in line[:125]), 102] for line in lines if line]
    texts = [texts[i % len(texts)] for i in range(options.count)]
    (folder / "texts.json").write_text(json.dumps(texts))
    lengths = [len(text) for text in texts]
    batches = [([int(i) for i in indices], int(length)) for indices, length in length_batches(lengths)]
    (folder / "batches.json").write_text(json.dumps(batches))
    print(f"{len(texts)} texts of {min(lengths)} to {max(lengths)} tokens, {np.mean(lengths):.0f} on average")


def compare(folder, engines, options):
    workers = {name: start(spec, folder) for name, spec in engines.items()}
    firsts = {name: ask(worker) for name, worker in workers.items()}
    rounds = [{name: ask(worker) for name, worker in workers.items()} for _ in range(options.rounds)]
    for worker in workers.values():
        worker.stdin.close()
    reference = np.load(folder / "0.npz")["logits"]
    print(f"{processor()}, {os.cpu_count()} cores, {options.rounds} rounds, load {os.getloadavg()[0]:.1f}\n")
    medians = {name: statistics.median(row[name]["seconds"] for row in rounds) for name in engines}
    base = BASE if BASE in engines else next(iter(engines))
    print(
        f"| engine | texts/s | against {base} | first call s | peak MB | logits differ by | same token | same label |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for i, name in enumerate(engines):
        logits = np.load(folder / f"{i}.npz")["logits"]
        difference = np.abs(logits - reference).max() / np.abs(reference).max()
        same = (logits.argmax(-1) == reference.argmax(-1)).mean()
        label = ((logits[:, 2523] > logits[:, 679]) == (reference[:, 2523] > reference[:, 679])).mean()
        print(
            f"| {name} | {options.count / medians[name]:.1f} | {medians[base] / medians[name]:.2f}× "
            f"| {firsts[name]['seconds']:.1f} | {rounds[-1][name]['peak_mb']:.0f} | {difference:.1e} | {same:.1%} "
            f"| {label:.1%} |"
        )
    print(
        "\nSeconds of each round: "
        + json.dumps({name: [round(r[name]["seconds"], 2) for r in rounds] for name in engines})
    )


def start(spec, folder):
    number = sum(1 for _ in folder.glob("*.started"))
    (folder / f"{number}.started").touch()
    environment = os.environ | {"KERAS_BACKEND": spec.get("backend", "torch"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, __file__, "--worker", json.dumps(spec | {"number": number}), "--folder", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment | spec.get("environment", {}),
    )


def ask(worker):
    print("go", file=worker.stdin, flush=True)
    line = worker.stdout.readline()
    if not line:
        raise SystemExit(f"a worker ended with exit code {worker.wait()}")
    return json.loads(line)


def work(spec, folder):
    """Run all texts once for each line on standard input."""
    texts = json.loads((folder / "texts.json").read_text())
    run = {"peer": peer, "ours": ours, "exported": exported}[spec["kind"]](spec, folder, texts)
    for _ in sys.stdin:
        begin = time.perf_counter()
        logits = run()
        seconds = time.perf_counter() - begin
        np.savez(folder / f"{spec['number']}.npz", logits=logits.astype("float32"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak_mb": peak}), flush=True)


def peer(spec, folder, texts, batch_size=16):
    """transformers as its documentation shows it; whole batches through the model and its head."""
    import torch
    from transformers import BertForMaskedLM

    model = BertForMaskedLM.from_pretrained(folder / "model", dtype=getattr(torch, spec["dtype"])).eval()
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i])) if spec["sort"] else range(len(texts))
    batches = [list(order[i : i + batch_size]) for i in range(0, len(texts), batch_size)]

    @torch.inference_mode()
    def run():
        out = np.empty((len(texts), 21128), dtype="float32")
        for batch in batches:
            length = max(len(texts[i]) for i in batch)
            ids = torch.tensor([texts[i] + [0] * (length - len(texts[i])) for i in batch])
            logits = model(input_ids=ids, attention_mask=(ids != 0).long()).logits[:, 1]
            out[batch] = logits.float().numpy()
        return out

    return run


def ours(spec, folder, texts):
    """What `fill_mask` and `PETClassifier` do: batches of like length, head and last block at the mask."""
    from keras import ops

    from nlpgen import MaskedLM
    from nlpgen.text import pad

    model = MaskedLM.from_pretrained(folder / "model", dtype=spec["dtype"])
    if "jit" in spec:
        model.jit_compile = spec["jit"]
    batches = json.loads((folder / "batches.json").read_text())

    def run():
        out = np.empty((len(texts), 21128), dtype="float32")
        for indices, length in batches:
            x = {"token_ids": pad([texts[i] for i in indices], 0, length), "positions": pad([[1]] * len(indices))}
            logits = model.predict_on_batch(x)
            out[indices] = np.asarray(ops.convert_to_numpy(logits), dtype="float32")[:, 0]
        return out

    return run


def exported(spec, folder, texts):
    """The exported model at the mask, on the batches of `ours`; this process has neither nlpgen nor Keras."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx")
    batches = json.loads((folder / "batches.json").read_text())

    def run():
        out = np.empty((len(texts), 21128), dtype="float32")
        for indices, length in batches:
            ids = np.array([texts[i] + [0] * (length - len(texts[i])) for i in indices], dtype="int32")
            positions = np.ones((len(indices), 1), dtype="int32")
            out[indices] = session.run(None, {"token_ids": ids, "positions": positions})[0][:, 0]
        return out

    return run


if __name__ == "__main__":
    main()
