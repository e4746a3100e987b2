"""`import nlpgen` is cheap over `import keras`; `benchmarks/loading.py` measures it with care."""

import os
import statistics
import subprocess
import sys

SCRIPT = "import time, keras; t = time.perf_counter(); import nlpgen; print(time.perf_counter() - t)"


def test_import_adds_little():
    times = [
        float(
            subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=ENV).stdout
        )
        for _ in range(3)
    ]
    assert statistics.median(times) < 0.2


ENV = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}


def test_import_does_not_load_torch_or_transformers():
    modules = ("torch", "transformers", "jieba", "sentencepiece")
    script = f"import sys, nlpgen; print([m for m in {modules} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=ENV | {"KERAS_BACKEND": "tensorflow"},
    )
    assert done.stdout.strip() == "[]"
