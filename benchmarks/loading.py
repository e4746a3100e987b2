"""What `import nlpgen` adds to `import keras`, and what loading a folder costs against its parts.

    python benchmarks/loading.py

Every import runs in a process of its own. Loading is that of a BERT-base in each of the three forms, against
reading the bytes of its files and building the same model without weights. Medians; files are in the page cache.
Peak memory is the process' own (pages of mapped files left out) beyond what it has after the imports, each in a new
process; Linux only.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TIMED_IMPORT = """
import time
begin = time.perf_counter()
import keras
between = time.perf_counter()
import nlpgen
print(between - begin, time.perf_counter() - between)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--layers", type=int, default=12, help="12 is BERT-base")
    parser.add_argument("--peak", metavar="FOLDER", help="only print the peak of loading this, or of building: build")
    options = parser.parse_args()
    if options.peak:
        print(_peak_mb(options.peak, options.layers))
        return
    keras, ours = (
        statistics.median(times) for times in zip(*(_import_seconds() for _ in range(options.rounds)), strict=True)
    )
    print(f"import keras {keras:.2f} s, then import nlpgen {ours:.2f} s\n")
    print("| BERT-base in format | read bytes s | build s | load s | load / (read + build) | peak MB |")
    print("|---|---|---|---|---|---|")
    from nlpgen import MaskedLM

    def build():
        return _built(options.layers)

    with tempfile.TemporaryDirectory() as folder:
        model = build()
        model.head.norm.beta.assign([0.1] * 768)  # not a new model's, which is warned of
        model.head.bias.assign(range(21128))
        for format in ("nlpgen", "huggingface", "tensorflow"):
            target = Path(folder) / format
            model.save_pretrained(target, format=format)
            MaskedLM.from_pretrained(target)
            parts = {"read": [], "build": [], "load": []}
            for _ in range(options.rounds):
                for name, action in (
                    ("read", lambda folder=target: [path.read_bytes() for path in folder.iterdir()]),
                    ("build", build),
                    ("load", lambda folder=target: MaskedLM.from_pretrained(folder)),
                ):
                    begin = time.perf_counter()
                    action()
                    parts[name].append(time.perf_counter() - begin)
            read, built, load = (statistics.median(times) for times in parts.values())
            ratio, peak = load / (read + built), _peak_in_a_new_process(target, options.layers)
            print(f"| {format} | {read:.2f} | {built:.2f} | {load:.2f} | {ratio:.2f} | {peak} |", flush=True)
        size = sum(weight.value.nbytes for weight in model.weights) / 2**20
    peak = _peak_in_a_new_process("build", options.layers)
    print(f"\nThe weights are {size:.0f} MB, the peak of building the model {peak} MB.")


def _built(layers):
    from nlpgen import Bert, BertConfig, MaskedLM

    model = MaskedLM(Bert(BertConfig(21128, 768, layers, 12, 3072)))
    model.build()
    return model


def _peak_mb(what, layers):
    from nlpgen import MaskedLM

    peak, done = 0, threading.Event()
    before = _own_memory()

    def watch():
        nonlocal peak
        while not done.wait(0.001):
            peak = max(peak, _own_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    model = _built(layers) if what == "build" else MaskedLM.from_pretrained(what)
    done.set()
    watcher.join()
    assert model.built
    return round((max(peak, _own_memory()) - before) / 1024)


def _own_memory():
    """KB of memory of this process that is no file's."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1])


def _peak_in_a_new_process(what, layers):
    command = [sys.executable, __file__, "--peak", str(what), "--layers", str(layers)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()[-1]


def _import_seconds():
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", TIMED_IMPORT], capture_output=True, text=True, check=True, env=environment
    )
    return [float(seconds) for seconds in done.stdout.split()]


if __name__ == "__main__":
    main()
