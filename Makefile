# Two commands matter: `make demo` and `make test`. `make help` lists the rest.
# Everything is installed into environments inside this folder (.venv, .venv-peers, .venv-torchforce); nothing else on the
# machine is touched.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV ?= .venv
PEERS ?= .venv-peers
TORCHFORCE ?= .venv-torchforce
THREADS ?= 2
# The torch requirement to install; empty: the CPU build where there is no GPU, the default build of the platform where there is one.
TORCH ?=
TORCH_VERSION := 2.13.0
PYTEST_ARGS ?=
# Processes of the test suite. Tests of one file stay together, since they share fixtures.
WORKERS ?= 2

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
RUN_DIR := build/test

# Small systems gain nothing from many threads and lose much on shared machines. Set here and never inside the package.
export OMP_NUM_THREADS ?= $(THREADS)
export MKL_NUM_THREADS ?= $(THREADS)
export MPLBACKEND ?= Agg

SOURCES := pyproject.toml README.md LICENSE $(shell find mlff md_drivers native checkpoints -type f -not -name '*.pyc' -not -name '*.so')

.PHONY: help demo test test-torchforce lint docs install dev native bench-speed stress peers clean distclean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do printf '  make %-15s %s\n' "$$name" "$$text"; done

demo: install ## set up, relax a rattled adsorbate on a metal slab with a shipped checkpoint, write the results to outputs/demo
	$(PY) examples/demo.py -o outputs/demo

# The suite is made of tiny systems: one thread is faster than two, and steadier where the cores are shared.
test: export OMP_NUM_THREADS = 1
test: export MKL_NUM_THREADS = 1
test: lint ## set up, lint, type-check, run the whole test suite against the installed package
	@mkdir -p $(RUN_DIR)
	@cd $(RUN_DIR) && "$(CURDIR)/$(PY)" -c 'import sys, mlff; sys.exit("site-packages" not in mlff.__file__ and "tests would not see the installed package but " + mlff.__file__)'
	cd $(RUN_DIR) && "$(CURDIR)/$(PY)" -m pytest -c "$(CURDIR)/pyproject.toml" --rootdir "$(CURDIR)" -n $(WORKERS) --dist loadfile --durations=25 $(PYTEST_ARGS) "$(CURDIR)/tests"

# What `make test` has run already in the other environment (PythonForce, the commands) is left out here. The probe comes
# first because tests are skipped, and not failed, where openmmtorch cannot be imported.
test-torchforce: export OMP_NUM_THREADS = 1
test-torchforce: export MKL_NUM_THREADS = 1
test-torchforce: $(TORCHFORCE)/.installed ## the tests of TorchForce, in an environment of its own (about 7 GB)
	@mkdir -p $(RUN_DIR)
	cd $(RUN_DIR) && "$(CURDIR)/$(TORCHFORCE)/bin/python" -m md_drivers.openmm.probe
	cd $(RUN_DIR) && "$(CURDIR)/$(TORCHFORCE)/bin/python" -m pytest -c "$(CURDIR)/pyproject.toml" --rootdir "$(CURDIR)" -n $(WORKERS) --dist loadfile -k torchforce $(PYTEST_ARGS) "$(CURDIR)/tests/md_drivers/openmm"

lint: dev ## ruff, mypy, clang-format, and no eight lines of code twice
	$(VENV)/bin/ruff check .
	$(VENV)/bin/clang-format --dry-run --Werror native/*.hpp native/*.cpp
	$(VENV)/bin/mypy
	$(VENV)/bin/pylint --disable=all --enable=duplicate-code --min-similarity-lines=8 --ignore-imports=y --ignore-docstrings=y --ignore-signatures=y mlff md_drivers

docs: dev ## run the tutorials and build the site, build/docs/html (no network but for the installation)
	$(PY) docs/run_tutorials.py -o build/docs/tutorials
	$(PY) -m sphinx --quiet --fail-on-warning --keep-going -b html docs build/docs/html
	@echo "open build/docs/html/index.html"

install: $(VENV)/.installed ## create the environment and install the project into it

dev: $(VENV)/.dev ## the same with the tools for development

native: dev ## build the native library into this checkout, mlff/native/lib
	$(VENV)/bin/cmake -S native -B build/native
	$(VENV)/bin/cmake --build build/native --parallel $(THREADS)

bench-speed: install ## time the models (beside the peers after `make peers`), write benchmarks/results/speed.json
	$(PY) -m benchmarks.speed --threads $(THREADS) --peer $(PEERS)/bin/python -o benchmarks/results/speed.json

stress: export OMP_NUM_THREADS = 1
stress: export MKL_NUM_THREADS = 1
stress: dev ## kill, starve and damage everything for up to 20 minutes, write benchmarks/results/stress.json
	$(PY) -m benchmarks.stress -o benchmarks/results/stress.json

peers: $(PEERS)/.installed ## the peers' own environment (mace-torch pins an old e3nn)

clean: ## remove build products, caches and outputs
	rm -rf build dist outputs .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## the same and the environments
	rm -rf $(VENV) $(PEERS) $(TORCHFORCE)

# --- environments -----------------------------------------------------------------------------------------------------

# $(call make_venv,folder)
define make_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Python 3.11 or newer is needed and '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "       Name another interpreter: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(1)
endef

# $(call install_torch,folder): without a GPU the CPU build if this pip finds one, as the default build on Linux brings gigabytes of CUDA.
define install_torch
	@pip() { $(1)/bin/python -m pip --disable-pip-version-check --quiet "$$@"; }; \
	if [ -n "$(TORCH)" ]; then echo "installing $(TORCH)"; pip install "$(TORCH)"; \
	elif command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then echo "installing torch for the GPU"; pip install 'torch>=2.6,<3'; \
	elif pip install 'torch==$(TORCH_VERSION)+cpu' 2>/dev/null; then echo "installed torch $(TORCH_VERSION) for the CPU"; \
	else echo "installing torch $(TORCH_VERSION)"; pip install 'torch==$(TORCH_VERSION)'; fi
endef

$(VENV)/.torch:
	$(call make_venv,$(VENV))
	$(call install_torch,$(VENV))
	@touch $@

# pip installs a local folder anew each time, so a changed source file is enough to be up to date again.
$(VENV)/.installed: $(SOURCES) $(VENV)/.torch
	@echo "installing the project and its dependencies (a few minutes the first time)"
	$(PIP) install .
	@touch $@

$(VENV)/.dev: $(SOURCES) $(VENV)/.torch
	@echo "installing the project, its dependencies and the tools for development (a few minutes the first time)"
	$(PIP) install '.[dev,docs,peptides,openmm,equijump]'
	@touch $(VENV)/.installed $@

$(PEERS)/.installed: benchmarks/peers/requirements.txt
	$(call make_venv,$(PEERS))
	$(call install_torch,$(PEERS))
	$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install -r $<
	@touch $@

# The one pair that works (md_drivers/openmm/probe.py); the torch build with CUDA is needed also where there is no GPU.
# --no-compile: most of these gigabytes are never imported, and what is imported is compiled then.
$(TORCHFORCE)/.torch:
	$(call make_venv,$(TORCHFORCE))
	@echo "installing torch 2.9.1 with CUDA and openmmtorch 1.5 (about 7 GB, two to four minutes)"
	@$(TORCHFORCE)/bin/python -m pip --disable-pip-version-check --quiet install --no-compile 'torch==2.9.1' 'openmmtorch==1.5' || { \
	  echo "error: torch 2.9.1 and openmmtorch 1.5 cannot be installed, see above, so TorchForce was NOT tested." >&2; \
	  echo "       They come from PyPI and need 7 GB in $(CURDIR)/$(TORCHFORCE): is there a network, and space?" >&2; exit 1; }
	@touch $@

$(TORCHFORCE)/.installed: $(SOURCES) $(TORCHFORCE)/.torch
	@echo "installing the project, its dependencies and the tools for development"
	$(TORCHFORCE)/bin/python -m pip --disable-pip-version-check --quiet install --no-compile '.[dev,openmm]'
	@touch $@
