# Every target sets up what it needs first. ARGS reaches the program: make chat ARGS="--model demo"
BIN := .venv/bin
ARGS ?=
# Tests that run at once: 0 is one after the other, which suits a small machine; make test WORKERS=4 suits a large one.
WORKERS ?= 0

.PHONY: help setup chat test test-unit test-engines check bench bench-peers images picture clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## Make the virtual environment, and find, install or start a container engine
	@scripts/setup

# Code that runs in the sandbox is what this is for, so nobody is asked before each block; ARGS=--ask asks.
chat: ## Set everything up and open a chat; a prompt may come on stdin
	@scripts/setup && exec $(BIN)/sbi chat --auto-run $(ARGS)

test: images ## Set everything up and run every test
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(ARGS)

test-unit: ## Run the tests that need no container engine
	@scripts/setup --no-engine && $(BIN)/pytest -n $(WORKERS) --dist loadgroup tests/unit $(ARGS)

test-engines: images ## Run the contract and attack tests on every engine there can be here; ARGS="podman ssh" picks
	@$(BIN)/python -m tests.matrix $(ARGS)

check: ## Lint, and check the types
	@scripts/setup --no-engine && $(BIN)/ruff check . && $(BIN)/mypy

bench: images ## Print the ratios against the raw engine and write bench/RESULTS.md
	@$(BIN)/python -m bench $(ARGS)

bench-peers: images ## Install other systems, run the same jobs with each, and write bench/RESULTS.md
	@$(BIN)/python -m bench.peers $(ARGS)

images: ## Build the bundled images that are not up to date
	@scripts/setup && $(BIN)/sbi images build --all

picture: images ## Record anew the session that README.md shows
	@$(BIN)/python -m docs.pictures.make

clean: ## Remove caches and build products; images, sessions and the virtual environment stay
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name .venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
