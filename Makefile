# make app    the dashboard on 127.0.0.1:8501, with the demo; ROOTS="/data/a /data/b" adds folders of yours
# make test   lint, types and a test of every kind, the browser's included
# make thorough  their siblings: other families, places and modes of the same kinds, 50 minutes of a processor. ARGS="tests/zoo"
# make faults kill, stop, replace, truncate, fill, unmount at random for 30 minutes; then check every record. ARGS="--minutes 5"
# make fuzz   100,000 damaged files for every reader, 10,000 where a child parses: hours. ARGS="--only arrow --tries 1000"
# make lock   locks/ anew from requirements.txt: every package with the hashes of its files
# make sbom   what is installed, with licences: sbom.json (CycloneDX) and docs/licences.md
# make zoo    defects planted in healthy models, and how often the tool is right: docs/zoo.md. ARGS="--device cuda --jobs 8"
# make real   three published models: audit, tie, loss against llama.cpp's; downloads 0.9 GB once; LLAMA_PYTHON has it
# make wheel  build the wheel, install it into empty environments, try it from another folder; PYTHONS names the Pythons
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PORT ?= 8501
# One more than two cores: a test of the browser, or of a deadline, waits more than it computes.
WORKERS ?= 3
ROOTS ?= $(SUBRANDOM_ROOTS)
PYTHONS ?= $(PYTHON)
LLAMA_PYTHON ?= $(BIN)/python
# Which build of torch: `cpu`, or `pypi` for the one with NVIDIA's libraries. Where pip's indexes have no CPU build, the
# other is taken. Either is checked against locks/.
TORCH ?= $(if $(wildcard /proc/driver/nvidia/version),pypi,cpu)
# Not compiled: pip would compile all 5,145 modules of torch and transformers (51 s), of which a test imports a quarter.
PIP := $(BIN)/pip install -q --no-compile --require-hashes
LOCKED := $(PIP) -r locks/app.txt
UV := $(VENV)/.uv

.PHONY: app demo test checks lint types unit thorough fuzz faults zoo real wheel lock sbom chromium clean

app: $(VENV)/.app demo
	SUBRANDOM_ROOTS="$(ROOTS)" $(BIN)/python -m diag app --port $(PORT)

demo: $(VENV)/.app
	$(BIN)/python -m diag demo

# At the same time: the browser is installed beside the packages, and the types take what the tests leave of the cores.
test:
	$(MAKE) -j 2 checks unit

checks: lint types

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	nice $(BIN)/mypy

# Containers often forbid Python to keep what it compiled: each of some hundred processes would compile all modules anew.
app demo unit thorough: export PYTHONDONTWRITEBYTECODE :=
unit: $(VENV)/.dev chromium demo
	$(BIN)/python -m pytest -n $(WORKERS)

thorough: $(VENV)/.dev chromium demo
	$(BIN)/python -m pytest -m thorough -n $(WORKERS) $(ARGS)

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz $(ARGS)

faults: $(VENV)/.dev demo
	$(BIN)/python -m tests.faults.loop $(ARGS)

zoo: $(VENV)/.dev demo
	$(BIN)/python -m diag.zoo --models tests/zoo/models --shard data/demo/shards/stdlib --cases 300 --controls 60 $(ARGS)

real: $(VENV)/.dev
	$(BIN)/python benchmarks/real.py --llama-python $(LLAMA_PYTHON)

wheel: $(VENV)/.dev
	for python in $(PYTHONS); do bash tests/package/try_wheel.sh $(BIN)/python $$python || exit 1; done

# The browser tests use Debian's Chromium. It is installed where this user may; otherwise the command is named.
chromium:
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
	  else \
	    echo "The browser tests need Chromium. Run: sudo apt-get install -y --no-install-recommends chromium" >&2; exit 1; \
	  fi; }

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Subrandom needs Python 3.11 or newer." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: locks/app.txt locks/torch-cpu.txt locks/torch-pypi.txt $(VENV)/bin/python
	$(LOCKED) -r locks/torch-$(TORCH).txt 2>$(VENV)/.pip.log || { cat $(VENV)/.pip.log >&2; \
	  grep -q "No matching distribution found for torch" $(VENV)/.pip.log && $(LOCKED) -r locks/torch-pypi.txt; }
	touch $@

$(VENV)/.dev: locks/dev.txt $(VENV)/.app
	$(PIP) --no-deps -r locks/dev.txt
	touch $@

lock: $(VENV)/bin/python
	$(PYTHON) -m venv $(UV)
	$(UV)/bin/pip install -q uv==0.13.9
	$(BIN)/python tools/lock.py $(UV)/bin/uv

sbom: $(VENV)/.dev
	$(BIN)/python tools/sbom.py

clean:
	rm -rf $(VENV) data/demo
