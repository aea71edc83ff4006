# Everything sets itself up: a fresh clone needs Python 3.11, make and pip, no more.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# two for each core, since much of what is tested waits; a file's tests stay together, as they may share a server;
# the files in their order, for by number of tests the longest properties would come last
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(16, 2 * os.cpu_count()))')
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check format reference bench faults clean

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## watch a simulated agent through an outage
	@$(BIN)/scheduler-watchdog demo

test: $(READY) ## run the tests, but for those that are slow by nature
	@$(BIN)/pytest -m 'not slow' $(PARALLEL)

test-slow: $(READY) ## run the slow ones, and the properties with many more made-up cases
	@$(BIN)/pytest -m 'slow or deep' --hypothesis-profile=many $(PARALLEL)

check: $(READY) ## formatting, lint, layers, types and what is imported
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy
	@$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin
	@$(BIN)/deptry watchdog
	@$(BIN)/deptry --ignore DEP002,DEP004 tests bench alerts
	@$(BIN)/hadolint Dockerfile

format: $(READY) ## put the formatting right
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

reference: $(READY) ## write docs/configuration.md and the JSON schema from the types
	@$(BIN)/python -m watchdog.cli.described .

bench: $(READY) ## measure the budgets, and write docs/benchmark.md
	@$(BIN)/python -m bench

faults: $(READY) ## attack the installed command in all ways that are known, and say which promises were kept
	@$(BIN)/python -m bench.faults

clean: ## remove what was set up
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench/work
