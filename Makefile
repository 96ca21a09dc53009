# SPDX-License-Identifier: MIT
# The verbs of the project; `make help` lists them. Each is one line: the work is in scripts/.
.DEFAULT_GOAL := help
export PYTHONDONTWRITEBYTECODE := 1
PY := .venv/bin/python

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: ## Install Debian packages (apt) and the locked Python environment (.venv)
	@scripts/setup test

image: ## Build the production and the development image into build/deploy (FLAVOUR=yocto: from source)
	@scripts/setup build
	@scripts/build-image

run: setup ## Boot the development image in QEMU, console on this terminal
	@scripts/build-image buildernet-image-dev
	@scripts/run

demo: setup ## Build the image, boot it, compare what was measured, verify it, send an order
	@scripts/build-image buildernet-image-dev
	@$(PY) scripts/demo

test: setup ## Linters, types and the whole suite but the slow part, image tests included
	@scripts/build-image
	@scripts/check
	@$(PY) -m pytest -m "not slow and (bitbake or qemu or interop or process or hypothesis)"

test-slow: setup ## What takes minutes: reproducibility, long fuzzing
	@scripts/build-image
	@$(PY) -m pytest -m slow

check: setup ## Linters, types, import contracts and fast tests (under a minute)
	@scripts/check

reproduce: setup ## Build twice from scratch under different conditions and compare every byte
	@$(PY) scripts/reproduce

bench: setup ## Measure build, image, quotes and proxy beside others; print figures and ratios
	@scripts/build-image
	@$(PY) -m tests.bench

pins: setup ## Refresh the pinned Debian packages and wheels and show what moved
	@$(PY) scripts/update-pins

clean: ## Remove what was built; downloads and the Python environment stay
	@rm -rf build/deploy build/tmp build/cache build/conf build/bench

.PHONY: help setup image run demo test test-slow check reproduce bench pins clean
