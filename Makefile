# `make demo` and `make test` need Python 3.11+, pip and make; all else they install into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint format notebooks clean

demo: .venv/installed
	$(BIN)/attention-from-scratch demo

test: .venv/installed-test
	$(BIN)/python -m pytest

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: .venv/installed-notebooks
	$(BIN)/jupyter lab notebooks

clean:
	rm -rf .venv

# `--without-pip`, then pip from outside: works where Python came without ensurepip.
.venv/bin/python:
	@$(PYTHON) -c "import sys; v = sys.version_info; sys.exit('Python 3.11 or later is needed, \
	this is %d.%d: make demo PYTHON=python3.11' % v[:2] if v < (3, 11) else 0)"
	$(PYTHON) -m venv --without-pip .venv

.venv/installed: setup.cfg | .venv/bin/python
	$(PYTHON) -m pip --python $(BIN)/python install --quiet pip --editable .
	touch $@

.venv/installed-%: setup.cfg | .venv/bin/python
	$(PYTHON) -m pip --python $(BIN)/python install --quiet pip --editable '.[$*]'
	touch $@ .venv/installed
