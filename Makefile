# Everything sets itself up: from Python 3.11, make and the package registries.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test lint format bench faults faults-short lock clean

help:
	@echo "make demo   watch S3 events become verified objects"
	@echo "make test   run the tests against real servers on loopback"
	@echo "make lint   ruff, mypy, import-linter"
	@echo "make bench  CPU, memory and rate beside rclone, s5cmd and boto3 (needs a C compiler, libssl-dev)"
	@echo "make faults try to break it: faults, crashes, histories, hostile input, load, a soak (hours)"
	@echo "make faults-short  the same in minutes, as in the tests"
	@echo "make lock   pin the requirements anew"

$(STAMP): requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP)
	@$(BIN)/3gsync demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadscope

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix --silent . || true
	$(BIN)/ruff format .

bench: $(STAMP)
	@$(BIN)/python bench/run.py

faults: $(STAMP)
	@PYTHONPATH=bench:tests $(BIN)/python -m faults

faults-short: $(STAMP)
	@PYTHONPATH=bench:tests $(BIN)/python -m faults --short

lock: $(STAMP)
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate --no-header \
	  --output-file requirements-dev.txt requirements-dev.in pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build bench/native/build *.egg-info
