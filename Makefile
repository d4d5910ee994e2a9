# make demo    set up, then train, evaluate and rank on the embedded world
# make test    set up, then run every test
# Nothing else is needed: no GPU, no network beyond the package index, no rights beyond this folder.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BUILD := .build
EXTRAS ?= dev,docs,page,ray
ONLY ?=
ARGS ?=
# Processes of one thread that tests run in, at least 2 GiB of memory each; 0: all tests in one.
TEST_WORKERS ?= 2

# The first Python that is new enough.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# $(call timed,what,command): says what it does, does it, says how long it took.
define timed
@echo "==> $(1)"; start=$$(date +%s); $(2) && echo "==> $(1): done in $$(( $$(date +%s) - start )) s"
endef

.DEFAULT_GOAL := help
.PHONY: help install demo test check format bench fuzz parity constraints docs clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP)  ## the environment in .venv, with the tested versions

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with the venv module is needed; set PYTHON=" >&2; exit 2; }
	$(call timed,creating $(VENV) with $(PYTHON),test -x $(BIN)/python || $(PYTHON) -m venv $(VENV))
	$(call timed,installing fbench[$(EXTRAS)] (several GB the first time),\
		$(BIN)/python -m pip install --disable-pip-version-check \
		--constraint constraints.txt --editable ".[$(EXTRAS)]" && $(BIN)/python -m pip check)
	@touch $@

demo: $(STAMP)  ## train four objectives, evaluate them, print the leaderboard
	$(call timed,fbench demo,$(BIN)/fbench demo $(ARGS))

# No line of ours after pytest's: its own says how many passed and how long it took.
test: $(STAMP)  ## every test
	@echo "==> pytest"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) $(ARGS)

check: $(STAMP)  ## format, lint, types, import layers, circles of imports, docs
	$(call timed,ruff format,$(BIN)/ruff format --check .)
	$(call timed,ruff check,$(BIN)/ruff check .)
	$(call timed,mypy --strict,$(BIN)/mypy)
	$(call timed,import layers,$(BIN)/lint-imports --cache-dir $(BUILD)/import-linter)
	$(call timed,circles of imports,$(BIN)/python -m tools.circles)
	@$(MAKE) --no-print-directory docs

format: $(STAMP)  ## rewrite the code as `check` wants it
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(STAMP)  ## speed against the peers; one alone: make bench ONLY=train
	$(call timed,bench,$(BIN)/python -m tools.bench $(if $(ONLY),--only $(ONLY)))

fuzz: $(STAMP)  ## 2,000 damaged files: none may end in a traceback or change a number in silence
	$(call timed,fuzz,$(BIN)/python -m tools.fuzz $(ARGS))

# The originals' packages go into environments of their own below .build/parity; 14 GB for a while.
parity: $(STAMP)  ## the scorers against the original packages; one alone: make parity ONLY=hps
	$(call timed,parity,$(BIN)/python -m tools.parity $(if $(ONLY),--only $(ONLY)))

# Built strictly where its builder is installed; `make clean install` brings it.
docs: $(STAMP)  ## the user guide, as a strict check
	@if $(BIN)/python -c 'import material' 2>/dev/null; then \
		echo "==> docs"; NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir $(BUILD)/site && echo "==> docs: in $(BUILD)/site"; \
	else echo "==> docs: not built; the extra docs is missing ($(BIN)/pip install -c constraints.txt -e '.[docs]')"; fi

# Everything that any extra installs, as it is now; torch is pinned only where the pair was tried,
# and its CUDA packages with it.
constraints: $(STAMP)  ## write constraints.txt from the newest versions within the ranges
	$(call timed,installing every extra,$(BIN)/python -m pip install --quiet --upgrade \
		--upgrade-strategy eager --editable ".[dev,docs,page,track,ray]" && $(BIN)/python -m pip check)
	@mkdir -p $(BUILD) && $(BIN)/python -m pip freeze --exclude-editable --exclude fbench > $(BUILD)/freeze.txt
	@sed -E 's/\+[a-z0-9.]+$$//; /^(torch|torchvision|triton|nvidia-.*|cuda-.*)==/ s/$$/ ; platform_machine == "x86_64"/' \
		$(BUILD)/freeze.txt > $(BUILD)/constraints.txt && mv $(BUILD)/constraints.txt constraints.txt
	@echo "==> wrote constraints.txt: $$(wc -l < constraints.txt) packages"

clean:  ## remove the environment, build state and caches; runs/ stay
	rm -rf $(VENV) $(BUILD) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
