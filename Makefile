# make demo    set up and survey the standard library on a local cluster
# make test    set up, then lint, types, the site and all tests: what CI runs
# make docs    build the site into docs/_build/html; RUN=how-to/* runs only these pages
#
# Both need git, make and Python 3.11 or newer, nothing else. What is installed goes to .venv;
# a second run installs nothing unless pyproject.toml has changed.

SHELL := /bin/sh
VENV ?= .venv
OLDEST := $(VENV)-oldest
DOCS := $(VENV)-docs
HERE := $(VENV)/bin/python

# Most tests wait for processes, so more of them run at a time than there are cores; the tests of a
# file stay together, as they share clusters. Those that measure come last, one by one.
JOBS ?= 3
define run-tests
$(1) -m pytest -n $(JOBS) --dist loadfile -m "not alone" $(2)
$(1) -m pytest -m alone $(2)
endef

.PHONY: help demo test docs docs-links generated notebooks test-oldest packages check lint format bench clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "make check   the same as test"
	@echo "make pictures  take the pictures of a notebook that the site shows, with a chromium"
	@echo "make lint    ruff and mypy only"
	@echo "make format  let ruff mend what it can"
	@echo "make docs-links  look whether links to other sites still lead somewhere"
	@echo "make notebooks  run the notebooks, and store them with what they show"
	@echo "make generated  write what is read off the programs: docs/options.md, share/"
	@echo "make bench   measure beside all peers, some 90 minutes; BENCH=--quick for a trial"
	@echo "make clean   remove everything that make has made"

demo: $(VENV)/.ready
	$(HERE) examples/stdlib_survey.py

test: lint docs test-oldest packages
	$(call run-tests,$(HERE))

# Every page runs while it is built; any warning fails the build.
docs: $(DOCS)/.ready
	RUN="$(RUN)" $(DOCS)/bin/python -m sphinx -q -W --keep-going -j 2 -b html docs docs/_build/html

# Whether what pages link to elsewhere is still there; not for CI, as it is not ours.
docs-links: $(DOCS)/.ready
	@if $(DOCS)/bin/python -c 'import socket; socket.create_connection(("docs.python.org", 443), 10)' 2>/dev/null; \
	then RUN=none $(DOCS)/bin/python -m sphinx -q -j 2 -b linkcheck docs docs/_build/links; \
	else echo "make: there is no network: links to other sites are NOT CHECKED." >&2; fi

# What pip has not got.
packages: $(VENV)/.made
	@.ci/get-packages $(HERE)

SPEAK_JUPYTER := tests/integration/test_outputs.py tests/integration/test_magics.py \
  tests/notebooks/test_kernel.py tests/integration/test_bind_kernel*.py \
  tests/integration/test_widgets.py tests/notebooks/test_widgets.py

# What speaks to IPython and Jupyter, with the oldest releases of them that are allowed.
test-oldest: $(OLDEST)/.ready
	$(call run-tests,$(OLDEST)/bin/python,-q -p no:cacheprovider $(SPEAK_JUPYTER))

check: test

lint: $(VENV)/.ready-test
	$(HERE) -m ruff check .
	$(HERE) -m ruff format --check .
	$(HERE) -m mypy --strict src

format: $(VENV)/.ready-test
	$(HERE) -m ruff check --fix .
	$(HERE) -m ruff format .

generated: $(VENV)/.ready
	$(HERE) -m hippodrome.apps.reference > docs/options.md.new && mv docs/options.md.new docs/options.md
	$(HERE) -m hippodrome.apps.shipped

notebooks: $(VENV)/.ready-test
	$(HERE) docs/store_notebooks.py

bench: $(VENV)/.ready-test
	$(HERE) -m benchmarks $(BENCH)

# Pictures of a notebook in JupyterLab, for the site; they are kept in docs/_static.
.PHONY: pictures
pictures: $(VENV)/.ready-test
	$(HERE) docs/pictures.py

clean:
	rm -rf $(VENV) $(OLDEST) $(DOCS) docs/_build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.ready: $(VENV)/.made pyproject.toml
	$(HERE) -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.ready-test: $(VENV)/.made pyproject.toml
	$(HERE) -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@ $(VENV)/.ready

$(OLDEST)/.ready: pyproject.toml tests/oldest.txt
	@.ci/make-venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint tests/oldest.txt --editable . hypothesis matplotlib pytest pytest-timeout pytest-xdist
	@touch $@

$(DOCS)/.ready: pyproject.toml docs/peers.txt
	@.ci/make-venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]" -r docs/peers.txt
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check "ray>=2.9" || \
	  echo "make: there is no ray for this Python: its half of docs/coming-from/ray.md is NOT RUN" >&2
	@touch $@

$(VENV)/.made:
	@.ci/make-venv $(VENV)
	@touch $@
