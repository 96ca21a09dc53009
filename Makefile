# SPDX-License-Identifier: MIT
# The verbs of the project; `make help` lists them. Each is one line: the work is in scripts/.
.DEFAULT_GOAL := help
PY := .venv/bin/python

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: ## Install Debian packages and the locked Python environment
	@scripts/setup test

check: setup ## Linters, types, import contracts and fast tests (under a minute)
	@scripts/check

.PHONY: help setup check
