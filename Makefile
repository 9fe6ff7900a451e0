# Every target works from a clean clone: it builds .venv first. `make` alone prints the targets.
#   PYTHON=python3.12   another Python (3.11 to 3.13)
#   TORCH='torch==2.13.0+cpu'   another build of torch; PIP_EXTRA_INDEX_URL says where pip finds it
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
WORKERS ?= 2
FILE ?= search_spaces/lstm.yaml
ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

USABLE := import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
# A pyenv shim without its version is found on the path and fails, so each candidate is run. Expanded only where .venv is made.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	"$$name" -c '$(USABLE); import ensurepip' >/dev/null 2>&1 && echo "$$name" && break; done)

# Debian's packages, for tests/cluster and tests/browser.
CLUSTER_TOOLS := slurmctld slurmd slurm-client munge shellcheck postgresql iproute2 openssh-server rsync buildah debootstrap
BROWSER_TOOLS := chromium chromium-driver

.PHONY: help install sweep test test-all test-faults test-cluster cluster-tools test-browser browser-tools check docs studies bench clean

help:
	@echo "make install    rnnbench into $(VENV)"
	@echo "make sweep      run $(FILE), or FILE=...; the same again resumes (ARGS='--num-samples 4')"
	@echo "make test       every test that takes seconds"
	@echo "make test-all   every test"
	@echo "make test-faults  the fault list: processes killed, disks full, servers down; see docs/reliability.md"
	@echo "make test-cluster   sweeps on real schedulers, a Slurm in a box among them; what is missing is skipped and says so"
	@echo "make cluster-tools  the programs that test-cluster needs, from Debian's packages; root only"
	@echo "make test-browser   the report and MLflow in a headless Chromium; skipped where that is missing, and says so"
	@echo "make browser-tools  Chromium and its driver, from Debian's packages; root only"
	@echo "make check      style, types, layers, and documents in step with the code"
	@echo "make docs       docs/cells.md from the cells themselves"
	@echo "make studies    the pages of docs/studies from their extracts, nothing trained"
	@echo "make bench      how fast the cells and whole sweeps are here; takes an hour"
	@echo "make clean      remove $(VENV) and every cache; runs/ stays"

install: $(VENV)/.installed

sweep: $(VENV)/.installed
	$(BIN)/rnnbench sweep $(FILE) $(ARGS)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow" $(ARGS)

test-all: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-faults: $(VENV)/.installed-test
	$(BIN)/python -m pytest -v tests/faults --long $(ARGS)

test-cluster: $(VENV)/.installed-cluster
	$(BIN)/python -m pytest -v -ra tests/cluster $(ARGS)

test-browser: $(VENV)/.installed-browser
	$(BIN)/python -m pytest -v -ra tests/browser $(ARGS)

cluster-tools: PACKAGES := $(CLUSTER_TOOLS)
browser-tools: PACKAGES := $(BROWSER_TOOLS)
cluster-tools browser-tools:
	@if [ "$$(id -u)" != 0 ]; then echo "make: $@ installs packages, which only root may: sudo make $@" >&2; exit 1; fi
	@if ! command -v apt-get >/dev/null; then echo "make: no apt-get here; install by hand: $(PACKAGES)" >&2; exit 1; fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(PACKAGES)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	mkdir -p build/packages
	ln -sfn ../../tasks build/packages/rnnbench_tasks
	$(BIN)/mypy platform/rnnbench build/packages/rnnbench_tasks tests
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture

docs: $(VENV)/.installed
	$(BIN)/python -m rnnbench.cells.document benchmarks/results/cells.json > docs/cells.md

studies: $(VENV)/.installed
	$(BIN)/python benchmarks/studies.py

bench: $(VENV)/.installed
	mkdir -p benchmarks/results
	$(BIN)/rnnbench bench cells --rounds 5 --json > benchmarks/results/cells.json
	$(BIN)/rnnbench bench sweep --json > benchmarks/results/sweep.json
	$(BIN)/python benchmarks/fused.py > benchmarks/results/fused.json

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find platform tasks tests search_spaces deploy benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
		if python3 -c '$(USABLE)' >/dev/null 2>&1; then echo "make: python3 cannot make a virtual environment: apt install python3-venv"; \
		else echo "make: no Python 3.11 to 3.13 that runs: apt install python3 python3-venv, or say make PYTHON=/path/to/python3"; fi >&2; \
		exit 1; \
	fi; \
	echo "making $(VENV) with $$("$$python" --version)" && \
	"$$python" -m venv $(VENV)

# One stamp for each set of extras: a change of versions installs again.
$(VENV)/.installed: EXTRAS := [search]
$(VENV)/.installed-test: EXTRAS := [test]
$(VENV)/.installed-cluster: EXTRAS := [cluster-test]
$(VENV)/.installed-browser: EXTRAS := [browser]
$(VENV)/.installed-dev: EXTRAS := [dev]
$(VENV)/.installed $(addprefix $(VENV)/.installed-,test cluster browser dev): pyproject.toml setup.py constraints.txt | $(VENV)/bin/python
	@echo "installing rnnbench$(EXTRAS) with $(TORCH); the first time takes some minutes"
	@start=$$SECONDS; \
	sed 's|^torch==.*|$(TORCH)|' constraints.txt > $(VENV)/constraints.txt && \
	$(BIN)/python -m pip install --quiet -c $(VENV)/constraints.txt "$(TORCH)" -e ".$(EXTRAS)" && \
	echo "installed in $$((SECONDS - start)) s: $(BIN)/rnnbench"
	@touch $@
