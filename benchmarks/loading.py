"""What `import nlpgen` adds to `import keras`, and what loading a folder costs against its parts.

    python benchmarks/loading.py

Every import runs in a process of its own. Loading is that of a BERT-base in each of the three forms, against
reading the bytes of its files and building the same model without weights. Medians; files are in the page cache.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
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
    options = parser.parse_args()
    keras, ours = (
        statistics.median(times) for times in zip(*(_import_seconds() for _ in range(options.rounds)), strict=True)
    )
    print(f"import keras {keras:.2f} s, then import nlpgen {ours:.2f} s\n")
    print("| BERT-base in format | read bytes s | build s | load s | load / (read + build) |")
    print("|---|---|---|---|---|")
    from nlpgen import Bert, BertConfig, MaskedLM

    config = BertConfig(21128, 768, options.layers, 12, 3072)

    def build():
        model = MaskedLM(Bert(config))
        model.build()
        return model

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
            print(f"| {format} | {read:.2f} | {built:.2f} | {load:.2f} | {load / (read + built):.2f} |", flush=True)


def _import_seconds():
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", TIMED_IMPORT], capture_output=True, text=True, check=True, env=environment
    )
    return [float(seconds) for seconds in done.stdout.split()]


if __name__ == "__main__":
    main()
