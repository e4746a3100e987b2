"""An installed nlpgen has everything it needs, far from the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = """
import nlpgen, sys
assert nlpgen.__file__.startswith(sys.argv[1]), nlpgen.__file__
masked_lm = nlpgen.MaskedLM.from_pretrained("bert-tiny-zh")
print(masked_lm.fill_mask("中国的首都是[MASK]京。").text)
print(len(nlpgen.PETClassifier.from_preset("sentiment", masked_lm).patterns))
"""


def test_the_wheel_works_offline_in_another_directory(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = tmp_path / "source"
    for folder in ("nlpgen", "pretrained"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    wheel = [
        *pip,
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        tmp_path / "wheels",
        source,
    ]
    subprocess.run(wheel, check=True)
    target = tmp_path / "site"
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", target, *(tmp_path / "wheels").iterdir()], check=True
    )
    environment = os.environ | {"PYTHONPATH": str(target), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUTF8": "1"}
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(target)],
        cwd=tmp_path / "elsewhere",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["中国的首都是北京。", "5"]
