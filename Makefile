# make help lists the targets. Everything else is in .venv/bin/testbed --help.

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
PACKAGES := $(shell sed 's/\#.*//' packages-host.txt)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

FUZZ_REQUESTS ?= 100000

.DEFAULT_GOAL := help
.PHONY: help setup packages testbed buildroot test test-full bench fuzz lint clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: packages $(STAMP) ## install what is missing: Debian packages and .venv

# One look at dpkg's list: the second time, nothing is asked of apt or sudo.
packages:
	@set -e; installed=" $$(dpkg-query -W -f '$${Package}=$${db:Status-Status} ' $(PACKAGES) 2>/dev/null || true)"; \
	missing=; for package in $(PACKAGES); do \
		case "$$installed" in *" $$package=installed "*) ;; *) missing="$$missing $$package" ;; esac; \
	done; \
	lists=$$(find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | head -n 1); \
	if [ -n "$$missing" ] || [ -z "$$lists" ]; then (set -x; $(SUDO) apt-get update); fi; \
	if [ -n "$$missing" ]; then \
		(set -x; $(SUDO) env DEBIAN_FRONTEND=noninteractive \
			apt-get install --yes --no-install-recommends $$missing); \
	fi

$(STAMP): pyproject.toml | packages
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --editable '.[dev]'
	@touch $@

testbed: setup ## build everything, run the paper's experiment, print the results
	$(VENV)/bin/testbed run testbed/experiments/figure2.toml

buildroot: setup ## bring the pinned Buildroot release into the cache, for domU images
	$(VENV)/bin/testbed fetch-buildroot

test: setup ## unit, property and system tests (boots the emulated machine)
	$(VENV)/bin/pytest -m "not full"

test-full: setup lint ## everything, the long tests too
	$(VENV)/bin/pytest

bench: setup ## measure the times that the README states
	$(VENV)/bin/testbed bench

fuzz: setup ## fuzz the store's ring and xenstore inputs: FUZZ_REQUESTS=10000000 make fuzz
	$(VENV)/bin/pip install --quiet --editable '.[dev,fuzz]'
	$(VENV)/bin/python -m tests.fuzz.ring --requests $(FUZZ_REQUESTS)
	$(VENV)/bin/python -m tests.fuzz.xenstore --requests $$(($(FUZZ_REQUESTS) / 50))
	$(VENV)/bin/python -m tests.fuzz.ring --requests $$(($(FUZZ_REQUESTS) / 20)) --sanitize \
		--work results/fuzz/ring-sanitized
	$(VENV)/bin/python -m tests.fuzz.ring --requests $$(($(FUZZ_REQUESTS) / 10)) --plain --weak \
		--work results/fuzz/ring-weak
	$(VENV)/bin/python -m tests.fuzz.replay
	$(VENV)/bin/python -m tests.fuzz.faults

lint: setup ## ruff and mypy --strict
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

clean: ## remove .venv and generated files of this checkout (the cache: testbed clean)
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
