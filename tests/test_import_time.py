"""`import nlpgen` is cheap over `import keras`; `benchmarks/loading.py` measures it with care."""

import json
import os
import subprocess
import sys

SCRIPT = """
import json, sys, time, keras
large = ("torch", "transformers", "jieba", "sentencepiece")
begin = time.perf_counter()
import nlpgen
seconds = time.perf_counter() - begin
print(json.dumps([seconds, [name for name in large if name in sys.modules]]))
"""


def imported():
    """The seconds that `import nlpgen` takes after `import keras`, and the large modules that are there after it."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-c", SCRIPT]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def test_import_adds_little():
    for _ in range(3):  # a busy machine may be slow once
        seconds, modules = imported()
        assert modules == []
        if seconds < 0.2:
            return
    raise AssertionError(f"import nlpgen took {seconds:.2f} s")
