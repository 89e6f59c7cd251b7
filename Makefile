# Thin on purpose: each target calls a real tool. `make demo` and `make test` set up everything they need.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint proto bench clean

demo: .venv/ready
	$(BIN)/python -m bench.demo

test: .venv/ready
	$(BIN)/python -m pytest

lint: .venv/ready .venv/proto/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint proto
	sh proto/generate.sh --check

proto: .venv/proto/ready
	sh proto/generate.sh

bench: .venv/ready
	$(BIN)/python -m bench

clean:
	rm -rf .venv out dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The daemon and its tests. The constraints name a CPU build of torch; a studio installs its own CUDA build over it.
.venv/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	# A peer for tests and benches. It asks for opencv-python, which must not lie beside opencv-python-headless.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'face-alignment==1.5.0'
	touch $@

# The generator lives apart: its protobuf must stay at 4.25 (docs/decisions/0003).
.venv/proto/ready: .venv/ready
	test -x .venv/proto/bin/python || $(PYTHON) -m venv .venv/proto
	.venv/proto/bin/python -m pip install --quiet --disable-pip-version-check 'grpcio-tools==1.62.3' 'setuptools<70'
	touch $@
