# make demo    set up and survey the standard library on a local cluster
# make test    set up, then lint, types and all tests: what CI runs
#
# Both need git, make and Python 3.11 or newer, nothing else. What is installed goes to .venv;
# a second run installs nothing unless pyproject.toml has changed.

SHELL := /bin/sh
VENV ?= .venv
RUN := $(VENV)/bin/python

.PHONY: help demo test check lint format bench clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "make check   the same as test"
	@echo "make lint    ruff and mypy only"
	@echo "make format  let ruff mend what it can"
	@echo "make bench   measure beside all peers, some 90 minutes; BENCH=--quick for a trial"
	@echo "make clean   remove everything that make has made"

demo: $(VENV)/.ready
	$(RUN) examples/stdlib_survey.py

test: lint
	$(RUN) -m pytest

check: test

lint: $(VENV)/.ready-test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy --strict src

format: $(VENV)/.ready-test
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

bench: $(VENV)/.ready-test
	$(RUN) -m benchmarks $(BENCH)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.ready: $(VENV)/.made pyproject.toml
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.ready-test: $(VENV)/.made pyproject.toml
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@ $(VENV)/.ready

$(VENV)/.made:
	@.ci/make-venv $(VENV)
	@touch $@
