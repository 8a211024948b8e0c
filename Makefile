# Every target works in an environment that it makes itself; nothing has to be installed by hand but Python 3.11 or newer.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
OFFLINE := HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1

.PHONY: quickstart test coverage check format docs wheel test-view test-vllm test-consumers test-trl clean

quickstart: $(READY)  ## A labelled data set from the built-in model, and how well each method found the first wrong step
	$(OFFLINE) $(BIN)/openr-data quickstart --out quickstart

test: $(READY)  ## The default tests: offline, on a CPU
	$(OFFLINE) $(BIN)/python -m pytest

coverage: $(READY)  ## The same with the lines that they reach: takes more than twice as long
	$(OFFLINE) $(BIN)/python -m pytest --cov --cov-report=term

check: $(READY)  ## The gate: style, types, layers, generated documents, the wheel
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python docs/make_cli.py --check
	$(MAKE) wheel

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)  ## Write docs/cli.md again
	$(BIN)/python docs/make_cli.py

wheel: $(READY)  ## Build the wheel and test it outside the checkout
	rm -rf build dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist . >/dev/null
	$(BIN)/python -m pip install --quiet --no-deps --target build/site dist/*.whl
	cp -r tests pyproject.toml build/
	cd build && $(OFFLINE) PYTHONPATH=site ../$(BIN)/python -P -m pytest -q -m "not slow and not checkout and not vllm and not network" tests -p no:cacheprovider

test-view: $(READY)  ## Pages of `view` in a real browser, in an environment of its own (.venv-view)
	PYTHON=$(PYTHON) sh tests/view_tier/run.sh

test-vllm: $(READY)  ## The real vLLM tier, in an environment of its own (.venv-vllm)
	PYTHON=$(PYTHON) sh tests/vllm_tier/run.sh

test-consumers: $(READY)  ## TRL trains on exported data sets; it is installed beside the environment (.venv-consumers)
	sh tests/beside.sh consumers trl

test-trl: $(READY)  ## `--trainer trl`: the extra `rl`, beside the environment (.venv-trl)
	sh tests/beside.sh trl trl

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage .coverage.*

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "Installing the pinned environment into .venv (once, a few minutes) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)
