import subprocess
import sys

import numpy as np
import pytest

from nlpgen.prompts import Pattern, Verbalizer
from nlpgen.prompts.run_cache import RunCache, fingerprint
from tests.tasks.helpers import tiny_bert

VALUES = [
    None,
    0,
    False,
    "",
    "0",
    1.5,
    [],
    (),
    {},
    [1, [2]],
    [[1], 2],
    [1, 2],
    ["12"],
    ["1", "2"],
    {"a": 1},
    {"a": "1"},
    np.zeros(2),
    np.zeros(2, dtype="int64"),
    np.zeros((1, 2)),
    Pattern("{text}[MASK]"),
    Pattern("[MASK]{text}"),
    Verbalizer({"a": "很", "b": "不"}),
    Verbalizer({"a": "很", "b": "没"}),
    len,
    sorted,
]


def test_different_values_have_different_fingerprints():
    assert len({fingerprint(value) for value in VALUES}) == len(VALUES)


def test_equal_objects_have_the_same_fingerprint():
    def twin():
        return Verbalizer({"a": ["很"], "b": "不"}), Pattern("[MASK]{text}"), np.arange(3.0)

    assert fingerprint(twin()) == fingerprint(twin())


def test_models_are_told_by_their_weights():
    first, second = tiny_bert(), tiny_bert()
    assert fingerprint(first) == fingerprint(second)
    weight = second.weights[0]
    weight.assign(weight + 1e-3)
    assert fingerprint(first) != fingerprint(second)


def test_another_process_finds_the_same():
    values = "['很', 1, None, 0.1, {'a': (Pattern('[MASK]{text}'), Verbalizer({'a': '很', 'b': '不'}))}]"
    script = f"from nlpgen.prompts import *; from nlpgen.prompts.run_cache import *; print(fingerprint({values}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == fingerprint(eval(values))


@pytest.mark.parametrize("title", ["spy-4", "a/b: c", "少样本"])
def test_a_file_is_written_whole(tmp_path, title):
    cache = RunCache(tmp_path / "a" / "b")
    path = cache.path(title, ["x"])
    assert path.parent == tmp_path / "a" / "b"
    assert cache.read(path) is None
    cache.write(path, {"predictions": ["正面"]})
    assert cache.read(path) == {"predictions": ["正面"]}
    assert list(path.parent.iterdir()) == [path]
    assert cache.path(title, ["y"]) != path
