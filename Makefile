# `make demo` and `make test` need Python 3.11+, pip and make; all else they install into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-long test-all proofs test-frameworks lint format notebooks clean

demo: .venv/installed
	$(BIN)/attention-from-scratch demo

# As many workers as cores; the ten slowest tests are shown at the end.
test: .venv/installed-test
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal --durations 10

# Those that take long, of which `make test` runs a sample.
test-long: .venv/installed-test
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m long

test-all: test test-long

# What the tests do with samples, entry by entry: every op, and whole networks.
proofs: .venv/installed
	$(BIN)/attention-from-scratch verify
	$(BIN)/attention-from-scratch verify --dtype float32

# The frameworks are large: they get an environment of their own.
test-frameworks: .venv-frameworks/installed
	.venv-frameworks/bin/attention-from-scratch verify --framework all
	.venv-frameworks/bin/attention-from-scratch verify --framework all --dtype float32
	.venv-frameworks/bin/python -m pytest --override-ini addopts="-q --import-mode=importlib" \
		tests/frameworks

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: .venv/installed-notebooks
	$(BIN)/jupyter lab notebooks

clean:
	rm -rf .venv .venv-frameworks

# `--without-pip`, then pip from outside: works where Python came without ensurepip.
%/bin/python:
	@$(PYTHON) -c "import sys; v = sys.version_info; sys.exit('Python 3.11 or later is needed, \
	this is %d.%d: make demo PYTHON=python3.11' % v[:2] if v < (3, 11) else 0)"
	$(PYTHON) -m venv --without-pip $*

.venv/installed: setup.cfg | .venv/bin/python
	$(PYTHON) -m pip --python $(BIN)/python install --quiet pip --editable .
	touch $@

.venv/installed-%: setup.cfg | .venv/bin/python
	$(PYTHON) -m pip --python $(BIN)/python install --quiet pip --editable '.[$*]'
	touch $@ .venv/installed

.venv-frameworks/installed: setup.cfg tests/frameworks/constraints.txt | .venv-frameworks/bin/python
	$(PYTHON) -m pip --python .venv-frameworks/bin/python install --quiet pip \
		--constraint tests/frameworks/constraints.txt --editable '.[frameworks,safetensors,test]'
	touch $@
