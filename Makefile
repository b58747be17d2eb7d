# Fresh machine: `make demo` sets everything up and clusters pictures; `make test` sets everything up and tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Folder of pictures for `make demo`; empty for the sample that comes with the installation.
IMAGES ?=
DEMO := demo
# One process a core, and one thread in each: most tests are too small for more.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist worksteal
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

.PHONY: demo test test-all lint format docs dist bench clean

$(VENV)/.covey: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) torch
	$(PIP) --editable .
	touch $@

$(VENV)/.demo: $(VENV)/.covey
	$(PIP) --editable .[demo]
	touch $@

$(VENV)/.develop: $(VENV)/.covey
	$(PIP) --group test --group lint --group docs --group dist
	touch $@

$(VENV)/.benchmark: $(VENV)/.develop
	$(PIP) --group benchmark
	touch $@

ifeq ($(IMAGES),)
demo: $(VENV)/.demo
	$(BIN)/covey sample $(DEMO) --kind emoji
	$(BIN)/covey cluster $(DEMO)/emoji --output $(DEMO)/emoji.covey --n-clusters 20
	@echo "Rough classes, made from the Unicode names after the fact, to show what covey eval says:"
	$(BIN)/covey eval $(DEMO)/emoji.covey --labels $(DEMO)/emoji.csv
	@echo "Open $(DEMO)/emoji.covey/gallery/index.html in a browser."
else
demo: $(VENV)/.covey
	$(BIN)/covey cluster "$(IMAGES)" --output $(DEMO)/own.covey
	@echo "Open $(DEMO)/own.covey/gallery/index.html in a browser."
endif

# The default suite: no test that is slow, needs a browser, an accelerator or the internet.
test: $(VENV)/.develop
	$(PYTEST)

# Everything that this machine can run.
test-all: $(VENV)/.develop
	$(PYTEST) -m "not gpu and not network $(if $(CHROMIUM),,and not browser)"

# Damaged input of every kind for an hour; the test suite does it for a minute.
MINUTES ?= 60
fuzz: $(VENV)/.develop
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/fuzz.py --minutes $(MINUTES) --output benchmarks/fuzz.csv

lint: $(VENV)/.develop
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

format: $(VENV)/.develop
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The site, in site/; a warning is an error, and so is a page that loads anything from elsewhere.
docs: $(VENV)/.develop
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --doctree-dir build/doctrees docs site
	! grep --recursive --include='*.html' --extended-regexp '<(script|link|img)[^>]*(src|href)="(https?:)?//' site
	@echo "Open site/index.html in a browser."

# The sdist and the wheel, in dist/, by the build backend of the environment.
dist: $(VENV)/.develop
	rm -rf dist
	$(BIN)/python -m build --no-isolation

bench: $(VENV)/.benchmark
	@ls benchmarks/*.py

clean:
	rm -rf $(DEMO) build dist site docs/reference/api .pytest_cache .mypy_cache .ruff_cache
