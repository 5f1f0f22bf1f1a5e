# Every target has a line of help: `make help`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := .tools/bin/uv
# `make setup TORCH_BACKEND=cpu` takes PyTorch's CPU build where the network has its index.
TORCH_BACKEND ?=
# Processes that `make test` runs tests in.
WORKERS ?= auto
# What every service needs, what each one adds, the command `medq`, models, development: requirements/PART.in.
PARTS := base embedding retrieval evaluation oracle training controller web client torch dev
COMPILE := pip compile --quiet --no-header --no-annotate --generate-hashes --python-version 3.11
export OMP_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1

.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  %-12s %s\n", $$1, $$2}'

setup: .venv/.installed ## Install everything into .venv (with uv, which is brought along)

.tools/bin/uv: requirements/uv.txt
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.installed: .tools/bin/uv requirements/all.txt pyproject.toml
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
ifeq ($(TORCH_BACKEND),)
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/all.txt
else
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes \
	  $(patsubst %,requirements/%.txt,$(filter-out torch,$(PARTS)))
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --torch-backend=$(TORCH_BACKEND) -r requirements/torch.in
endif
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.tools/llamafactory: .tools/bin/uv requirements/llamafactory.txt
	rm -rf $@
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes --target $@ -r requirements/llamafactory.txt \
	  || { rm -rf $@; exit 1; }

demo: setup ## Run three rounds of the loop on phantoms beside random drawing and write out/demo/report.html
	$(BIN)/medq demo --out out/demo || test $$? -eq 3  # 3: a few images too near to test images were left out, as it says

picture: setup ## Photograph the demo's report for the README (after `make demo`; needs chromium)
	$(BIN)/python -m infra.report_picture

up: setup ## Six services as processes on real Kafka, S3 and PostgreSQL; EMBEDDING=2 EVALUATION=2: more of one
	$(BIN)/python -m infra.dev up --embedding $(or $(EMBEDDING),1) --evaluation $(or $(EVALUATION),1)

down: ## Stop what `make up` started; WIPE=1: drop its data
	$(BIN)/python -m infra.dev down $(if $(WIPE),--wipe)

test: setup ## Run all tests, one at a time on each core (WORKERS=0: one after the other), on real servers that it starts
	$(MAKE) --no-print-directory .tools/llamafactory || echo "LLaMA-Factory is not to be had here: the test of its loader will say so."
	infra/dev/tools helm || echo "Helm is not to be had here: the tests of the chart will say so." & \
	  infra/dev/servers install || echo "Not every server is to be had here: the tests that need it will say so."; wait
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --ignore tests/browser

browser-test: setup ## The pages in a real browser (Debian's chromium), by keyboard, without a network, with axe
	$(BIN)/python -m pytest tests/browser

check: setup ## Lint, types, layers, contracts, drift of generated code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	$(BIN)/python -m infra.protos --check
	$(BIN)/python -m infra.row_schemas --check
	$(BIN)/python -m infra.configuration_page --check
	$(BIN)/python -m infra.chart --check
	$(BIN)/python -m infra.dashboard --check
	$(BIN)/python -m infra.study_tables --check

images: ## Build the container images with podman (from a registry's Python, or from Debian)
	infra/images/build

faults: setup ## Kill, cut, fill and repeat on real servers; CASES="cut_s3 poison": only these; KILLS=300: kills alone; SEED=1
	$(if $(KILLS),,infra/dev/servers install)
	$(BIN)/python -m tests.faults $(CASES) --kills $(or $(KILLS),0) --seed $(or $(SEED),0)

fuzz: setup ## Hostile requests (on SQLite and on PostgreSQL) and broken files; REQUESTS=3000 FILES=5000: so many; SEED=1: others
	infra/dev/servers install postgres
	$(BIN)/python -m tests.fuzz --requests $(or $(REQUESTS),20000) --files $(or $(FILES),20000) --seed $(or $(SEED),0)

cluster-test: setup ## Images, a real one-node Kubernetes, the chart, a study in it (root; Go; Debian)
	$(BIN)/python -m infra.cluster_test

protos: setup ## Generate shared/gen from protos/
	$(BIN)/buf format --write
	$(BIN)/python -m infra.protos

schemas: setup ## Write schemas/ and docs/datasets.md from shared/rows; refuses a break
	$(BIN)/python -m infra.row_schemas

migration: setup ## Write the next migration: SERVICE=oracle WHAT="keep the model of an answer"
	$(BIN)/python -m infra.new_migration $(SERVICE) "$(WHAT)"

fmt: setup ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/buf format --write

bench: setup ## Measure speed beside the peers
	$(BIN)/python -m benchmarks.clustering --sklearn
	$(BIN)/python -m benchmarks.generation
	$(BIN)/python -m benchmarks.controller
	$(BIN)/python -m benchmarks.bus
	$(BIN)/python -m benchmarks.retrieval
	$(BIN)/python -m benchmarks.near_hashes
	$(BIN)/python -m benchmarks.near_texts
	$(BIN)/python -m benchmarks.selection
	$(BIN)/python -m benchmarks.review_queue
	$(BIN)/python -m benchmarks.review_decisions
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.ingest
	$(BIN)/python -m benchmarks.manifest
	$(BIN)/python -m benchmarks.encoders
	$(BIN)/python -m studies.burned_in_text --images 120 --variants 6

lock: .tools/bin/uv ## Resolve requirements/*.in into hashed requirements/*.txt
	$(UV) $(COMPILE) $(patsubst %,requirements/%.in,$(PARTS)) -o requirements/all.txt
	for part in $(PARTS); do \
	  $(UV) $(COMPILE) -c requirements/all.txt requirements/$$part.in -o requirements/$$part.txt || exit 1; \
	done
	$(UV) $(COMPILE) --no-deps requirements/llamafactory.in -o requirements/llamafactory.txt
	echo 'uv==0.13.8' | $(UV) pip compile --quiet --no-header --no-annotate --generate-hashes - -o requirements/uv.txt

clean: ## Remove what `make` made (not .venv)
	rm -rf out build .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help setup demo picture up down test browser-test check images faults fuzz cluster-test protos schemas migration fmt bench lock clean
