"""The dependency rule: a folder imports only from the folders listed for it."""

import ast
from pathlib import Path

import pytest

import nlpgen

MAY_IMPORT = {
    "text": set(),
    "layers": set(),
    "generation": set(),  # knows no model, takes a step function
    "checkpoints": set(),  # is handed a model, never imports one
    "models": {"text", "checkpoints", "layers", "generation"},
    "data": {"text", "checkpoints"},  # of checkpoints: folders that are written whole
    "training": {"checkpoints"},
    "prompts": {
        "text",
        "data",
        "layers",
        "models",
        "training",
        "metrics",
        "tasks",
        "checkpoints",
    },  # of checkpoints: as data
    "metrics": set(),
    "reading": {"text", "models", "generation", "training", "tasks", "metrics", "checkpoints"},
    "tasks": {"text", "models", "training", "metrics"},
    "vae": {"text", "layers", "models", "training", "metrics", "tasks", "checkpoints"},  # of tasks: copies and seeds
}
BASE = {"errors", "version", "estimator"}
ROOT = Path(nlpgen.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if len(path.relative_to(ROOT).parts) > 1)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    folder = path.relative_to(ROOT).parts[0]
    for module in _imported_modules(path):
        if module.split(".")[0] == "nlpgen":
            target = module.partition(".")[2].split(".")[0]
            assert target in MAY_IMPORT[folder] | BASE | {folder}, f"{folder} may not import {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tensorflow_is_imported_in_one_file_only(path):
    if path != ROOT / "checkpoints" / "tensorflow.py":
        assert not {"tensorflow", "jax"} & {module.split(".")[0] for module in _imported_modules(path)}


def _imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
