"""`import nlpgen` is cheap over `import keras`; `benchmarks/loading.py` measures it with care."""

import json
import os
import subprocess
import sys

# In seconds of the processor, which other programs do not lengthen.
SCRIPT = """
import json, sys, time, keras
large = ("torch", "transformers", "jieba", "sentencepiece")
begin = time.process_time()
import nlpgen
seconds = time.process_time() - begin
print(json.dumps([seconds, [name for name in large if name in sys.modules]]))
"""


def test_import_adds_little():
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment)
    seconds, modules = json.loads(done.stdout)
    assert seconds < 0.2
    assert modules == []
