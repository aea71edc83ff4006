# Everything sets itself up: a fresh clone needs Python 3.11, make and pip, no more.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# two for each core, since much of what is tested waits; a file's tests stay together, as they may share a server;
# the files in their order, for by number of tests the longest properties would come last
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(16, 2 * os.cpu_count()))')
# what one of them, or of the commands that are tried, has compiled, the others need not compile again
export PYTHONDONTWRITEBYTECODE :=
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# the service, its sources, its sending, recovery
PORTABLE = tests/test_portable.py tests/service/test_service.py tests/service/test_turns.py tests/service/test_heartbeat.py \
	tests/systems/phantom tests/systems/openclaw tests/systems/json_file tests/systems/test_sqlite_file.py \
	tests/systems/test_plain_file.py tests/systems/test_health.py tests/notify/test_sending.py \
	tests/notify/test_sending_crashes.py tests/recovery/test_recovery.py

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-portable check format reference bench faults clean

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

test-portable: $(READY) ## run what the service stands on with all taken away that only Linux has, as far as it goes on macOS
	@PYTHONPATH=$(CURDIR)/tests/support/portable $(BIN)/pytest -m 'not slow and not deep' $(PARALLEL) $(PORTABLE)

check: $(READY) ## formatting, lint, layers, types and what is imported
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy
	@$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin
	@$(BIN)/deptry watchdog
	@$(BIN)/deptry --ignore DEP002,DEP004 --extend-exclude bench/work tests bench alerts
	@$(BIN)/hadolint Dockerfile

format: $(READY) ## put the formatting right
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

reference: $(READY) ## write docs/configuration.md and the JSON schema from the types
	@$(BIN)/python -m watchdog.cli.described .

bench: $(READY) ## measure the budgets, and write docs/benchmark.md
	@$(BIN)/python -m bench

.PHONY: dist image pictures
dist: $(READY) ## build the sdist and the wheel, and try them in an empty home
	@PYTHON=$(CURDIR)/$(BIN)/python .ci/dist $(TAG)

image: ## build the container image, as scheduler-watchdog
	@docker build -t scheduler-watchdog .

faults: $(READY) ## attack the installed command in all ways that are known, and say which promises were kept
	@$(BIN)/python -m bench.faults

pictures: $(READY) ## make the README's pictures anew from the demo's agent, in Chromium
	@$(BIN)/python -m tests.support.pictures docs/pictures

clean: ## remove what was set up
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench/work
