# Each target sets itself up in .venv, and again only when what is to be installed has changed.

PYTHON ?= python3.11
VENV := .venv
BUILD_REQUIRES := 'setuptools>=77' # as pyproject.toml says
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --no-compile -c constraints.txt
# Compiled is what is imported, once: of 14,687 files the tests import 4,000, and each of hundreds of
# processes would compile them again where Python is told to keep nothing.
unexport PYTHONDONTWRITEBYTECODE

# Files are tested side by side; a file stays together with the models that it trains once. Those
# that take longest come first, as tests/conftest.py orders them.
PYTEST := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo board test lint types typing tests wheel docs soak clean

demo: $(VENV)/installed
	$(VENV)/bin/xaibench run

# What docs/results holds, on one page: tables alone, for the records of those runs are not here.
board: $(VENV)/installed
	$(VENV)/bin/xaibench board docs/results/*_estimates.csv docs/results/evaluation_leaderboard.csv

# Once, as users have it; `make tests` is the same on the checkout. Types are checked and the
# documentation is built while the wheel is.
test: lint
	$(MAKE) -j 2 types wheel docs

lint: $(VENV)/installed-for-tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/installed-for-tests
	$(VENV)/bin/mypy

# How complete the types of the package are for those who import it; pyright fetches itself by npm.
typing: $(VENV)/installed-for-tests
	.ci/typing $(VENV)/bin/python

tests: $(VENV)/installed-for-tests
	$(VENV)/bin/python -m pytest $(PYTEST)

wheel: $(VENV)/installed-for-tests
	.ci/wheel $(VENV)/bin/python $(PYTEST)

# As a site, into site/; a warning is an error. To look at it: python -m http.server -d site
docs: $(VENV)/installed-for-tests
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build

# Faults at random moments, for some minutes; what happened is in soak.log.
soak: SHELL := bash -o pipefail
soak: $(VENV)/installed-for-tests
	$(VENV)/bin/python -m pytest -m soak -v -s tests/runs/test_soak.py | tee soak.log

clean:
	rm -rf $(VENV) site *.egg-info .mypy_cache .pytest_cache .ruff_cache

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

# With what `make demo` needs: one look for what fits together, not two. The plug-in is built from a
# copy: pip leaves build/ beside the sources it builds. What builds it, xaibench and its wheel is
# installed once, and not for each of them.
$(VENV)/installed-for-tests: pyproject.toml constraints.txt tests/plugin/pyproject.toml tests/plugin/*.py
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	rm -rf $(VENV)/plugin
	cp -r tests/plugin $(VENV)/plugin
	$(PIP) $(BUILD_REQUIRES)
	$(PIP) --no-build-isolation -e '.[test]' $(VENV)/plugin
	touch $(VENV)/installed $@
