# Set-up, checks and tests of facegraph. `make help` lists the targets.
#
# Everything lives in .venv, installed from the locked versions in requirements/. Empty files in .venv record what is
# done, so that a second `make run` starts at once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= configs/local.yaml
# The Python that makes the virtual environment: the first one from 3.11 to 3.13 that is found, or PYTHON=/path/to/python.
PYTHON ?=

UV := $(BIN)/uv
COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	--constraint requirements/limits.in --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
SYNC := $(UV) pip sync --quiet --python $(BIN)/python --require-hashes
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
QUICK := not graph and not slow and not milvus_server and not postgres and not browser
# Quick tests run side by side: one worker more than processors, since some tests wait, and 8 at most.
WORKERS = $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 8 ? n + 1 : 8)))

# Stamps. The dev set-up is a superset of the run set-up, and is never reduced to it.
TOOLS_DONE := $(VENV)/.done-tools
RUN_DONE := $(VENV)/.done-run
DEV_DONE := $(VENV)/.done-dev
MODELS_DONE := $(VENV)/.done-models
INPUTS := pyproject.toml requirements/run.lock $(TOOLS_DONE)
MODEL_INPUTS := $(wildcard models/*.toml)

.PHONY: help run demo test lint check quick test-313 image-test fuzz faults cluster soak attack bench bench-quick docs screenshot format models lock clean

# Variables for developers of Python programs, which break pip and uv or make them wait for input.
unexport PYTHONDEVMODE PYTHONINSPECT PYTHONOPTIMIZE PYTHONVERBOSE PYTHONWARNINGS

# Without compiled files, each worker and each process that a test starts compiles Ray, pandas and pymilvus again.
check quick test: export PYTHONDONTWRITEBYTECODE :=

help: ## List the targets.
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

run: $(MODELS_DONE) ## Set everything up and serve on http://127.0.0.1:8000 (FACEGRAPH_PORT, FACEGRAPH_API_KEY, FACEGRAPH_DATA_DIR, FACEGRAPH_MODEL_DIR).
	@exec scripts/under-make $(BIN)/facegraph serve --config $(CONFIG)

demo: $(MODELS_DONE) ## Serve with two people from photographs that packages ship, and show a search in the console and by curl.
	@exec scripts/under-make $(BIN)/python examples/demo.py

test: $(DEV_DONE) $(MODELS_DONE) ## Run every test, with real models, a real Milvus server and a real PostgreSQL (ARGS="-k words" narrows it).
	@$(BIN)/python -m pytest $(ARGS)

lint: $(DEV_DONE) ## Check format, lint, layers and types.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

check: lint quick ## Run what must pass before a commit: format, lint, types, quick tests (WORKERS=N processes).

# test_fuzz.py has slow tests only, and each worker would collect it.
quick: $(DEV_DONE) $(MODELS_DONE) ## Run the quick tests alone.
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadscope -m "$(QUICK)" --ignore tests/api/test_fuzz.py $(ARGS)

test-313: ## Run the quick tests on Debian 13 and Python 3.13, as root, in a root filesystem by debootstrap (ten minutes; CI does not).
	@scripts/test-313

image-test: ## Build the container image and run it without rights, writable root and network: as root, with buildah and debootstrap.
	@scripts/image-test

fuzz: $(DEV_DONE) ## Send generated requests (FACEGRAPH_FUZZ_EXAMPLES=300 to each operation), feed damaged files and requests (FACEGRAPH_FUZZ_INPUTS=20000 of each kind; then FACEGRAPH_FUZZ_SECONDS=60 for each, guided by coverage).
	@FACEGRAPH_FUZZ_EXAMPLES=$${FACEGRAPH_FUZZ_EXAMPLES:-300} FACEGRAPH_FUZZ_INPUTS=$${FACEGRAPH_FUZZ_INPUTS:-20000} \
		$(BIN)/python -m pytest -s tests/api/test_fuzz.py tests/fuzz $(ARGS)
	@for target in $$($(BIN)/python -m tests.fuzz.targets); do \
		$(BIN)/python -m tests.fuzz.guided $$target -max_total_time=$${FACEGRAPH_FUZZ_SECONDS:-60} -verbosity=0; done
	@$(BIN)/python -m scripts.long_runs

faults: $(DEV_DONE) $(MODELS_DONE) ## Kill processes and servers, fail system calls and look for what is lost (FACEGRAPH_FAULT_KILLS=20 of each kind; counts of all runs add up).
	@FACEGRAPH_FAULT_KILLS=$${FACEGRAPH_FAULT_KILLS:-20} $(BIN)/python -m pytest -s tests/faults $(ARGS)
	@$(BIN)/python -m scripts.long_runs

soak: $(DEV_DONE) $(MODELS_DONE) ## Send 10,000 mixed requests and measure each process's memory; results as of make bench (ARGS="--help"); counts of all runs add up.
	@$(BIN)/python -m benchmarks soak $(ARGS)
	@$(BIN)/python -m scripts.long_runs

attack: $(DEV_DONE) $(MODELS_DONE) ## Send hostile inputs to a service of its own; fails where it is held up, grows or goes on afterwards (ARGS="--help").
	@$(BIN)/python -m benchmarks attack $(ARGS)

cluster: $(DEV_DONE) $(MODELS_DONE) ## Start a Ray cluster of three nodes on this machine, update it and kill a node of it under load (minutes).
	@FACEGRAPH_TEST_CLUSTER=1 $(BIN)/python -m pytest -s tests/cluster $(ARGS)

bench: $(DEV_DONE) $(MODELS_DONE) ## Run the benchmarks; results go to benchmarks/results/local.
	@$(BIN)/python -m benchmarks $(ARGS)

bench-quick: $(DEV_DONE) $(MODELS_DONE) ## Compare searches per second with a plain server in two minutes, on photographs that packages ship.
	@$(BIN)/python -m benchmarks quick

docs: $(DEV_DONE) ## Build the documentation as a site in dist/site; broken links and anchors are errors.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Read it with: python3 -m http.server --directory dist/site"

screenshot: $(DEV_DONE) $(MODELS_DONE) ## Take the README's picture of the console again, by the browser test of make demo.
	@FACEGRAPH_SCREENSHOT=docs/images/console.jpg $(BIN)/python -m pytest -q tests/console/test_demo.py

format: $(DEV_DONE) ## Format the code and fix what the linter can fix.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

models: ## Fetch and prepare the model files again.
	@rm -f $(MODELS_DONE)
	@$(MAKE) --no-print-directory $(MODELS_DONE)

lock: $(TOOLS_DONE) ## Write the locked versions again from pyproject.toml (UPGRADE=1 takes the newest).
	@$(COMPILE) pyproject.toml -o requirements/run.lock
	@$(COMPILE) --extra dev --constraint requirements/run.lock pyproject.toml -o requirements/dev.lock
	@$(COMPILE) --constraint requirements/dev.lock requirements/tools.in -o requirements/tools.lock
	@$(COMPILE) --extra s3 --extra tracing --constraint requirements/dev.lock pyproject.toml -o requirements/image.lock
	@$(COMPILE) --extra s3 --extra tracing --extra cuda --constraint requirements/image.lock pyproject.toml \
		-o requirements/image-cuda.lock

clean: ## Remove the virtual environment and the caches; data and models stay.
	@rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: home
home:
	@scripts/check-home

$(TOOLS_DONE): requirements/tools.lock | home
	@python=$$(PYTHON="$(PYTHON)" scripts/find-python) \
	&& { [ -x $(BIN)/python ] || { echo "Making $(VENV) with $$python" && "$$python" -m venv $(VENV); }; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(RUN_DONE): $(INPUTS) | home
	@echo "Installing facegraph (the first time takes a minute or two)"
	@$(SYNC) requirements/tools.lock requirements/$(if $(wildcard $(DEV_DONE)),dev,run).lock
	@$(INSTALL)
	@touch $@

$(DEV_DONE): $(INPUTS) requirements/dev.lock | home
	@echo "Installing facegraph and what its tests need (the first time takes a minute or two)"
	@$(SYNC) requirements/tools.lock requirements/dev.lock
	@$(INSTALL)
	@touch $(RUN_DONE) $@

# Any of the two set-ups will do: the lighter one only where neither is there.
$(MODELS_DONE): $(MODEL_INPUTS) | $(if $(filter test check quick faults cluster soak attack bench bench-quick screenshot,$(MAKECMDGOALS)),$(DEV_DONE),$(RUN_DONE))
	@$(BIN)/facegraph models pull
	@touch $@
