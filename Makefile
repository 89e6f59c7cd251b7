# Thin on purpose: each target calls a real tool. `make demo` and `make test` set up everything they need.
PYTHON ?= python3
BIN := .venv/bin

# A Python that PySide2 has builds for, where there is one: on the PATH, else among pyenv's.
PYSIDE2_PYTHON = $(firstword $(foreach v,3.10 3.9 3.8 3.7,$(shell for p in "$$(command -v python$(v))" \
  $(HOME)/.pyenv/versions/$(v).*/bin/python; do test -x "$$p" && "$$p" -c "" 2>/dev/null && echo "$$p" && break; done)))

# Blenders from the package index, 1 GB each. Those for Python 3.11 are there wherever that Python is.
BLENDERS := .venv/bpy42/ready .venv/bpy50/ready .venv/bpy52/ready

.PHONY: demo test test-blender lint proto bench clean

demo: .venv/ready
	$(BIN)/python -m bench.demo

test: .venv/ready .venv/pyside2/ready .venv/pyside6/ready $(BLENDERS)
	$(BIN)/python -m pytest

test-blender: .venv/ready $(BLENDERS) .venv/bpy45/ready
	$(BIN)/python -m pytest tests/blender

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

# Nuke's Qt, each in an environment of its own, for the tests of the panel.
.venv/pyside2/ready: .venv/ready
	@if test -z "$(PYSIDE2_PYTHON)"; then echo "no Python 3.7 to 3.10 here: the panel is not tested with PySide2"; else \
	  $(PYSIDE2_PYTHON) -m venv .venv/pyside2 && \
	  .venv/pyside2/bin/python -m pip install --quiet --disable-pip-version-check 'PySide2>=5.15,<5.16' && touch $@; fi

.venv/pyside6/ready: .venv/ready
	test -x .venv/pyside6/bin/python || $(PYTHON) -m venv .venv/pyside6
	.venv/pyside6/bin/python -m pip install --quiet --disable-pip-version-check \
	  'PySide6-Essentials>=6.5,<6.6; python_version < "3.12"' 'PySide6-Essentials>=6.6,<7; python_version >= "3.12"'
	touch $@

.venv/bpy42/ready: .venv/ready
	sh tests/blender/setup.sh .venv/bpy42 4.2.23 3.11

.venv/bpy45/ready: .venv/ready
	sh tests/blender/setup.sh .venv/bpy45 4.5.15 3.11

.venv/bpy50/ready: .venv/ready
	sh tests/blender/setup.sh .venv/bpy50 5.0.1 3.11

.venv/bpy52/ready: .venv/ready
	sh tests/blender/setup.sh .venv/bpy52 5.2.3 3.13
