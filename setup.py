"""Install nlpgen: pip install ."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'"(.+)"', (HERE / "nlpgen" / "version.py").read_text(encoding="utf-8")).group(1)
JAX = ["jax>=0.4.30"]
TORCH = ["torch>=2.10"]  # below, torch.load(weights_only=True) can be made to run code (CVE-2026-24747)
ONNX = ["onnx>=1.17", "onnxruntime>=1.20", "tf2onnx>=1.17"]
PLOT = ["matplotlib>=3.8", "tensorboard>=2.18"]
SKLEARN = ["scikit-learn>=1.4"]
SEARCH = ["bm25s>=0.3.9"]
OVERLAP = ["rouge-score>=0.1.2"]
TEST = [
    *(PLOT + ONNX + SKLEARN + SEARCH + OVERLAP),
    "pytest>=8",
    "pytest-xdist>=3.7",
    "setuptools>=77",
    "transformers>=4.50",
]
BENCH = [*ONNX, "psutil>=5.9", "transformers>=4.50"]
DEV = ["ruff>=0.9"]

setup(
    name="nlpgen",
    version=VERSION,
    description="Chinese language models on Keras 3: fill masks and classify with few labels or none, offline",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    # The embedded models stand beside the package in the repository and inside it once installed.
    packages=[*find_packages(include=["nlpgen", "nlpgen.*"]), "nlpgen.pretrained"],
    package_dir={"nlpgen.pretrained": "pretrained"},
    package_data={"nlpgen.prompts": ["presets/*.json"], "nlpgen.pretrained": ["*/*"]},
    install_requires=[
        "tensorflow>=2.18",
        "keras>=3.12",
        "numpy>=1.26",
        "sentencepiece>=0.2.2",  # offsets in characters
        "jieba>=0.42",
        "tokenizers>=0.20",
        "safetensors>=0.4.5",
        "ml-dtypes>=0.4",
        "rich>=13",
        "sacrebleu>=2.4",
    ],
    extras_require={
        "jax": JAX,
        "torch": TORCH,
        "onnx": ONNX,
        "plot": PLOT,
        "sklearn": SKLEARN,
        "search": SEARCH,
        "overlap": OVERLAP,
        "test": TEST,
        "bench": BENCH,
        "dev": [*JAX, *TORCH, *PLOT, *TEST, *BENCH, *DEV],
    },
    entry_points={"console_scripts": ["nlpgen=nlpgen.cli:main"]},
    classifiers=[
        "Natural Language :: Chinese (Simplified)",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
