# Each target makes .venv and installs what it needs; nothing else has to be there but Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Two processes, each with files of its own: one keeps one core busy. With more cores: make test WORKERS=8
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-all lint bench clean

demo: .venv/installed
	$(BIN)/python examples/quickstart.py

# A process has one core; PyTorch's threads would only wait for one another.
test test-all: export OMP_NUM_THREADS = 1
test test-all: export TF_NUM_INTRAOP_THREADS = 1
test test-all: export TF_NUM_INTEROP_THREADS = 1
# On JAX most of the time is compiling.
test: .venv/installed-test
	$(PYTEST) -m "not slow"
	KERAS_BACKEND=jax XLA_FLAGS=--xla_backend_optimization_level=0 $(PYTEST) -m "backends and not slow" tests/models
	KERAS_BACKEND=torch $(PYTEST) -m "backends and not slow"

# What takes minutes too, and all that is marked `backends` on JAX, which compiles for long.
test-all: .venv/installed-test
	$(PYTEST)
	KERAS_BACKEND=jax $(PYTEST) -m backends
	KERAS_BACKEND=torch $(PYTEST) -m backends

lint: .venv/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# TEXTS: a file with a text a line; the default has few and short ones
TEXTS ?= examples/data/reviews.tsv
bench: .venv/installed-test
	$(BIN)/python benchmarks/loading.py
	$(BIN)/python benchmarks/masked_lm.py --texts $(TEXTS)

clean:
	rm -rf .venv build *.egg-info

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip

.venv/installed: setup.py | .venv/bin/python
	$(PIP) -e .
	touch $@

# PyTorch is pinned: a newer release may bring gigabytes of CUDA with it.
.venv/installed-test: .venv/installed
	$(PIP) torch==2.13.0
	$(PIP) -e '.[test,jax,torch,bench]'
	touch $@

.venv/installed-lint: .venv/installed
	$(PIP) 'ruff>=0.9'
	touch $@
