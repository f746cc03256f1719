# Everything sets itself up: from Python 3.11, make and the package registries.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
AUDIT := .venv-audit
AUDIT_STAMP := $(AUDIT)/.installed

.PHONY: help demo test lint format bench faults faults-short audit sbom lock clean

help:
	@echo "make demo   watch S3 events become verified objects"
	@echo "make test   run the tests against real servers on loopback"
	@echo "make lint   ruff, mypy, import-linter, bandit"
	@echo "make bench  CPU, memory and rate beside rclone, s5cmd and boto3 (needs a C compiler, libssl-dev)"
	@echo "make faults try to break it: faults, crashes, histories, hostile input, load, a soak (hours)"
	@echo "make faults-short  the same in minutes, as in the tests"
	@echo "make audit  known vulnerabilities of every pinned package (asks PyPI), and the SBOM"
	@echo "make sbom   what is installed and who needs it, as CycloneDX: build/sbom.json"
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
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive sync tools

format: $(STAMP)
	$(BIN)/ruff check --fix --silent . || true
	$(BIN)/ruff format .

bench: $(STAMP)
	@$(BIN)/python bench/run.py

faults: $(STAMP)
	@PYTHONPATH=bench:tests $(BIN)/python -m faults

faults-short: $(STAMP)
	@PYTHONPATH=bench:tests $(BIN)/python -m faults --short

$(AUDIT_STAMP): requirements-audit.txt
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-audit.txt
	@touch $@

# Strict: a package that no advisories are known of, because nobody could be asked, is a failure.
audit: sbom
	$(AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements-dev.txt
	$(AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements-audit.txt

sbom: $(STAMP) $(AUDIT_STAMP)
	@mkdir -p build
	$(AUDIT)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-format JSON --output-file build/sbom.json $(BIN)/python

lock: $(STAMP)
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate --no-header \
	  --output-file requirements-dev.txt requirements-dev.in pyproject.toml
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate --no-header \
	  --output-file requirements-audit.txt requirements-audit.in

clean:
	rm -rf $(VENV) $(AUDIT) .mypy_cache .ruff_cache .pytest_cache .hypothesis build bench/native/build *.egg-info
