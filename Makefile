# Two commands make a working checkout: `make demo` and `make test`. Each makes its own .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Half as many again as there are cores: tests of stations wait more than they work.
PYTEST_JOBS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 3 / 2 )))

.PHONY: demo test test-long lint bench bench-access bench-media bench-console manual bench-verify verifier lock clean

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(STAMP)
	$(BIN)/python -m appliance.demo $(REFS)

test: $(STAMP)
	$(BIN)/python -m pytest -n $(PYTEST_JOBS) --dist worksteal -m "not long"

test-long: $(STAMP)
	$(BIN)/python -m pytest -n $(PYTEST_JOBS) -m long

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

verifier: $(STAMP)
	$(BIN)/python packaging/verifier

manual: $(STAMP)
	$(BIN)/python packaging/manual

bench: $(STAMP)
	$(BIN)/python -m tests.bench

bench-media: $(STAMP)
	$(BIN)/python -m tests.bench.media

bench-access: $(STAMP)
	$(BIN)/python -m tests.bench.access

bench-verify: $(STAMP)
	$(BIN)/python -m tests.bench.verify

bench-console: $(STAMP)
	$(BIN)/python -m tests.bench.console

lock:
	$(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --extra dev --strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
