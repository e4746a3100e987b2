"""`import nlpgen` is cheap over `import keras`; `benchmarks/loading.py` measures it with care."""

import json
import os
import subprocess
import sys

# In seconds of the processor, which other programs do not lengthen; a slow processor lengthens both imports.
SCRIPT = """
import json, sys, time
large = ("torch", "transformers", "jieba", "sentencepiece")
begin = time.process_time()
import keras
middle = time.process_time()
import nlpgen
share = (time.process_time() - middle) / (middle - begin)
print(json.dumps([share, [name for name in large if name in sys.modules]]))
"""


def test_import_adds_little():
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment)
    share, modules = json.loads(done.stdout)
    assert share < 0.1
    assert modules == []
