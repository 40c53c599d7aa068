# Two commands make a working checkout: `make demo` and `make test`. Each makes its own .venv, from requirements-dev.lock;
# an appliance is installed from requirements.lock (docs/howto/install.md). WHEELS=FOLDER takes every package from a
# folder that `make wheels` made, and asks no network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WHEELS ?=
FROM := $(if $(WHEELS),--no-index --find-links $(abspath $(WHEELS)))
PIP := -m pip install --quiet --disable-pip-version-check
OWN := build/appliance
# Twice as many as there are cores: tests of stations wait more than they work.
PYTEST_JOBS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 2 )))

.PHONY: demo test test-engines test-long check lint bench bench-access bench-pulls bench-collect bench-media bench-console bench-release bench-sftp bench-diode bench-repositories soak manual wheels bench-verify verifier lock clean

$(STAMP): requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) --require-hashes -r requirements-dev.lock
	$(BIN)/python $(PIP) --no-deps --no-build-isolation --editable .
	touch $@

# What an appliance gets, and nothing else: for what must work offline, from the wheels that were carried in.
$(OWN)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(OWN)
	$(OWN)/bin/python $(PIP) $(FROM) --require-hashes -r requirements.lock
	$(OWN)/bin/python $(PIP) $(FROM) --no-deps lockgate
	touch $@

demo: $(STAMP)
	$(BIN)/python -m appliance.tour $(REFS)

# Modules are compiled once: each test process, and each command that a test starts, would compile them anew.
test test-long check $(VENV)/.compiled: export PYTHONDONTWRITEBYTECODE :=

# One process compiles the tests before many load them at once. What is wrong with one is said by the run itself.
$(VENV)/.compiled: $(STAMP) $(shell find appliance bundles tui tests -name '*.py')
	-@$(BIN)/python -m pytest --collect-only -qq -p no:cacheprovider > $@ 2>&1
	@touch $@

test: $(STAMP) $(VENV)/.compiled
	$(BIN)/python -m pytest -n $(PYTEST_JOBS) --dist worksteal -m "not long and not postgres and not s3"

# The tests of the store and of whole stations on the second engine, a real PostgreSQL, and over a bucket of a real S3
# server: a minute.
test-engines: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "(postgres or s3) and not long" tests/store tests/postgres tests/s3

# What to run after each change: a minute. UNIT are the folders whose tests start no station.
UNIT := bundles bundles_oci signing store verify vectors advisories selecting
check: lint
	$(BIN)/python -m pytest -n $(PYTEST_JOBS) --dist worksteal -m "not long and not postgres and not s3" $(addprefix tests/,$(UNIT))

test-long: $(STAMP)
	$(BIN)/python -m pytest -n $(PYTEST_JOBS) -m long

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

verifier: $(STAMP)
	$(BIN)/python packaging/verifier

ifdef WHEELS
manual: $(OWN)/.installed
	$(OWN)/bin/python packaging/manual
else
manual: $(STAMP)
	$(BIN)/python packaging/manual
endif

# Everything that `pip install` needs inside, for this Python, system and processor.
wheels: $(STAMP)
	rm -rf dist/wheels
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.lock -d dist/wheels
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist/wheels .
	cd dist/wheels && sha256sum *.whl > SHA256SUMS
	@echo dist/wheels

bench: $(STAMP)
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.collecting
	$(BIN)/python -m tests.bench.repositories

bench-collect: $(STAMP)
	$(BIN)/python -m tests.bench.collecting

bench-media: $(STAMP)
	$(BIN)/python -m tests.bench.media

bench-access: $(STAMP)
	$(BIN)/python -m tests.bench.access

bench-pulls: $(STAMP)
	$(BIN)/python -m tests.bench.pull_policy

bench-registry: $(STAMP)
	$(BIN)/python -m tests.bench.registry

bench-verify: $(STAMP)
	$(BIN)/python -m tests.bench.verify

bench-console: $(STAMP)
	$(BIN)/python -m tests.bench.console

bench-release: $(STAMP)
	$(BIN)/python -m tests.bench.release

bench-repositories: $(STAMP)
	$(BIN)/python -m tests.bench.repositories

bench-diode: $(STAMP)
	$(BIN)/python -m tests.bench.diode

# Ten minutes of 200 clients and a storm of 500 nodes; SOAK="--kill 7 --clients 30" kills processes meanwhile.
soak: $(STAMP)
	$(BIN)/python -m tests.bench.soak $(SOAK)

bench-sftp: $(STAMP)
	$(BIN)/python -m tests.bench.sftp

# The development lock first; what an appliance gets is a part of it, with the same versions.
COMPILE := $(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url \
  --no-emit-find-links --no-emit-trusted-host
lock:
	$(COMPILE) --extra dev -o requirements-dev.lock pyproject.toml
	$(COMPILE) -c requirements-dev.lock -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
