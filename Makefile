# Needs Python 3.11 or newer and make; everything else is put into .venv.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup weights demo test lint check docs fix bench calibrate clean

BIN := .venv/bin
# Two files of tests at a time: each holds a net or two, so more would want more memory than a laptop has.
TWO := -n 2 --dist loadfile
# One stamp for each content of pyproject.toml in this place, one for each cache: a second `make setup` does nothing.
KEY := $(shell { printf '%s' '$(CURDIR)'; cat pyproject.toml; } | cksum | tr -d ' ')
STAMP := .venv/.setup-$(KEY)
WEIGHTS := .venv/.weights-$(shell printf '%s' "$$HEADSTART_CACHE" | cksum | tr -d ' ')

help: ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 10

setup: $(STAMP) $(WEIGHTS) ## .venv with everything development needs, and the default weights

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || for python in python3.11 python3 python3.14 python3.13 python3.12; do \
	   $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	   echo "setup: .venv from $$($$python --version)"; $$python -m venv .venv && break; done
	@test -x $(BIN)/python || { echo "setup: needs Python 3.11 or newer with its venv module" >&2; exit 1; }
	@echo "setup: installing headstart and its development tools (several minutes the first time)"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable . --group dev
	@rm -f .venv/.setup-*; touch $@

$(WEIGHTS): $(STAMP)
	@echo "setup: fetching the default weights (60 MB, Apache-2.0)"
	@if $(BIN)/python -c 'from headstart.modalities.image.reader import ImageReader; \
	   from headstart.sources.load import load; [load(name) for name in ImageReader.sources]'; then touch $@; \
	 else echo "setup: warning: the weights could not be fetched; headstart will try again when it needs them" >&2; fi

demo: setup ## the main job on 2,624 real photos of solar cells, five minutes
	@$(BIN)/python benchmarks/elpv_data.py .demo/photos
	$(BIN)/headstart fit .demo/photos --minutes 5 --out runs/demo
	@$(BIN)/headstart report runs/demo

test: setup ## all tests that need neither the network nor an accelerator
	$(BIN)/python -m pytest $(TWO) -m "not network and not gpu"

lint: setup ## format, lint, import contracts, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright

check: lint ## lint, and the fast tests
	$(BIN)/python -m pytest $(TWO) -q

docs: setup ## the documentation as a site, in site/
	@$(BIN)/python -m mkdocs build --quiet --strict
	@echo "docs: site/index.html"

fix: setup ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## benchmarks/results/*.json, hours
	@for file in benchmarks/bench_*.py; do echo "bench: $$file"; $(BIN)/python $$file || exit 1; done

calibrate: setup ## the outlook again, on its bank of real tasks (an hour): src/headstart/selection/outlook.json
	@$(BIN)/python benchmarks/calibrate.py

clean: ## everything that can be made again, but not runs/ and not the cache
	rm -rf .venv .demo .bench .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov dist build site
