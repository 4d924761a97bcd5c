# Everything a person or CI does with this project starts here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Processes that run tests: scenarios wait more than they work. JOBS=0 runs them in pytest's own process.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo stack test check format lint types imports protos protos-check lock bench docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## a virtual environment in .venv with pinned, hashed dependencies

$(READY): requirements/runtime.txt requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/crossrealm warmup
	@touch $@

demo: setup ## three realms, six endpoints, certificates rotating under load
	$(BIN)/crossrealm demo $(ARGS)

stack: setup ## three realms with real Prometheus servers, sidecars and one querier (ARGS=--help)
	$(BIN)/python -m app.stack $(ARGS)

test: setup ## all tests (ARGS=... goes to pytest, JOBS=N says how many run at once)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: setup lint types imports protos-check ## format, lint, types, import contracts, generated code

format: setup ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports --no-cache

protos: setup ## generate app/pb from protos/
	$(BIN)/python protos/generate.py app/pb

protos-check: setup
	$(BIN)/python protos/generate.py --check app/pb

lock: setup ## pin the dependencies again (requirements/*.txt)
	requirements/lock $(BIN)/uv

bench: setup ## measure against real peers in one run (ARGS=... chooses)
	$(BIN)/python -m bench $(ARGS)

docs: setup ## check the docs: links, flags, commands
	$(BIN)/python -m pytest tests/unit/test_docs.py

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
