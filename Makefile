# Everything a newcomer, a developer and the CI do goes through this file; `make` alone explains it.
# Needs make and Python 3.11 or newer. Everything else arrives as pinned, hashed wheels in .venv.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin

# Options of `make run`, each passed on to `opensqt up`; `.venv/bin/opensqt up --help` explains them.
UP_OPTIONS = \
	$(if $(SPEED),--speed '$(SPEED)') \
	$(if $(DURATION),--duration '$(DURATION)') \
	$(if $(SUMMARY),--summary '$(SUMMARY)') \
	$(if $(FAULTS),--faults '$(FAULTS)') \
	$(if $(CONFIG),--config '$(CONFIG)')

# The environment is current when the stamp named after the locks (and the place: virtual
# environments do not survive being moved) is there, so a warm start costs one checksum.
checksum = $(shell { echo '$(CURDIR)'; cat $(1); } 2>/dev/null | cksum | tr -d ' ')
RUN_LOCKS := requirements/run.txt requirements/build.txt pyproject.toml
RUN_STAMP := $(VENV)/.run-$(call checksum,$(RUN_LOCKS))
RESEARCH_LOCKS := $(RUN_LOCKS) requirements/research.txt
RESEARCH_STAMP := $(VENV)/.research-$(call checksum,$(RESEARCH_LOCKS))
DEV_STAMP := $(VENV)/.dev-$(call checksum,$(RESEARCH_LOCKS) requirements/dev.txt)

.PHONY: help
help: ## show this help
	@echo 'Usage: make TARGET [VARIABLE=value]'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'Variables of run: SPEED=20 DURATION=30s SUMMARY=run.json FAULTS=mild CONFIG=my-bot.yaml'
	@echo 'Variables of backtest: DATA=file-or-folder CONFIG=my-bot.yaml ASSUME=assume.yaml START=2025-05-10 END=2025-05-12'
	@echo 'Variables of test: ARGS="tests/unit -k slots"      Python to use: PYTHON=/path/to/python3.11'

# --- running -------------------------------------------------------------------------------------

.PHONY: run
run: $(RUN_STAMP) ## paper-trade a grid on recorded trades, through every service
	@$(BIN)/opensqt up $(UP_OPTIONS)

.PHONY: research
research: $(RESEARCH_STAMP) ## install what backtests, data and the search need

# Options of `make backtest`; with DATA it runs CONFIG on that, else what the README shows.
REPORTS := .run/reports
BACKTEST = $(BIN)/opensqt backtest \
	$(if $(ASSUME),--assume '$(ASSUME)') \
	$(if $(START),--from '$(START)') \
	$(if $(END),--to '$(END)') \
	$(if $(MODE),--mode '$(MODE)') $(ARGS)

.PHONY: backtest
backtest: $(RESEARCH_STAMP) ## backtest a month of BTCUSDT and the week LAYERUSDT collapsed, with reports
	@mkdir -p $(REPORTS)
ifdef DATA
	@$(BACKTEST) --config '$(or $(CONFIG),config/backtest.btcusdt.yaml)' --data '$(DATA)' \
		--report $(REPORTS)/backtest.html --json $(REPORTS)/backtest.json
else
	@$(BACKTEST) --config '$(or $(CONFIG),config/backtest.btcusdt.yaml)' \
		--data recordings/btcusdt_perp_1m_202505.csv.gz \
		--report $(REPORTS)/btcusdt-month.html --json $(REPORTS)/btcusdt-month.json
	@echo
	@$(BACKTEST) --config config/backtest.layerusdt.yaml \
		--data recordings/layerusdt_perp_1m_20250505.csv.gz \
		--report $(REPORTS)/layerusdt-collapse.html --json $(REPORTS)/layerusdt-collapse.json
endif

.PHONY: doctor
doctor: $(RUN_STAMP) ## say what this machine is missing and how to mend it
	@$(BIN)/opensqt doctor

# --- checking ------------------------------------------------------------------------------------

# Workers are bounded, since each starts its own servers.
.PHONY: test
test: $(DEV_STAMP) ## run the tests (ARGS="..." goes to pytest)
	@$(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4 --dist=worksteal $(ARGS)

.PHONY: check
check: check-format check-lint check-types check-imports check-proto check-breaking check-generated check-invariants ## run every static check
	@echo 'check: all passed'

.PHONY: check-format
check-format: $(DEV_STAMP) ## formatting is ruff's
	@$(BIN)/ruff format --check .

.PHONY: check-lint
check-lint: $(DEV_STAMP) ## ruff, all rules but the excepted
	@$(BIN)/ruff check .

.PHONY: check-types
check-types: $(DEV_STAMP) ## mypy, strict
	@$(BIN)/mypy

.PHONY: check-imports
check-imports: $(DEV_STAMP) ## the import contracts of ARCHITECTURE.md
	@$(BIN)/lint-imports --no-logo

.PHONY: check-proto
check-proto: $(DEV_STAMP) ## buf lint and buf format
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code

.PHONY: check-breaking
check-breaking: $(DEV_STAMP) ## the API breaks no client of main
	@BUF=$(BIN)/buf sh tools/check-breaking.sh

.PHONY: check-generated
check-generated: $(DEV_STAMP) ## the committed generated code is that of api/proto
	@$(BIN)/python tools/generate.py --check

.PHONY: check-invariants
check-invariants: $(DEV_STAMP) ## every numbered invariant has a test, or says what it waits for
	@$(BIN)/python tools/invariants.py --check

.PHONY: format
format: $(DEV_STAMP) ## format the code and the protos
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/buf format --write

# --- making --------------------------------------------------------------------------------------

.PHONY: generate
generate: $(DEV_STAMP) ## generate the Python code of api/proto
	@$(BIN)/python tools/generate.py

.PHONY: invariants
invariants: $(DEV_STAMP) ## list the numbered invariants with the tests that show them
	@$(BIN)/python tools/invariants.py

# Each lock takes the versions of the ones before it, so that one environment can hold them all.
COMPILE = cd requirements && ../$(BIN)/uv pip compile --quiet --python-version 3.11 --universal \
	--generate-hashes --no-emit-index-url --no-annotate --no-header $(UPGRADE)
.PHONY: lock
lock: $(DEV_STAMP) ## compile requirements/*.in to pinned, hashed *.txt (UPGRADE=--upgrade for newer)
	@$(COMPILE) run.in -o run.txt
	@$(COMPILE) build.in -c run.txt -o build.txt
	@$(COMPILE) research.in -c run.txt -o research.txt
	@$(COMPILE) dev.in -c run.txt -c build.txt -c research.txt -o dev.txt
	@$(COMPILE) ../benchmarks/backtest/requirements-nautilus.in \
		-o ../benchmarks/backtest/requirements-nautilus.txt
	@$(COMPILE) ../benchmarks/backtest/requirements-hftbacktest.in \
		-o ../benchmarks/backtest/requirements-hftbacktest.txt

.PHONY: bench
bench: $(DEV_STAMP) ## measure against floors taken in the same run
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: chaos
chaos: $(DEV_STAMP) ## break the running system on purpose and compare the books (RUNS=20)
	@$(BIN)/python -m chaos $(if $(RUNS),--runs '$(RUNS)') $(if $(SEED),--seed '$(SEED)') \
		$(if $(ONLY),--only $(ONLY)) $(if $(REPORT),--report '$(REPORT)')

# Options of `make sim`; `.venv/bin/python -m simulation --help` explains them.
SIM_OPTIONS = \
	$(if $(SEEDS),--seeds '$(SEEDS)') \
	$(if $(FROM),--from '$(FROM)') \
	$(if $(SEED),--seed '$(SEED)') \
	$(if $(DEFECT),--defect '$(DEFECT)') \
	$(if $(JOBS),--jobs '$(JOBS)')

.PHONY: sim
sim: $(DEV_STAMP) ## simulate the whole system with faults (SEEDS=1000 FROM=0, or SEED=4711)
	@$(BIN)/python -m simulation $(SIM_OPTIONS) $(ARGS)

.PHONY: same
same: $(DEV_STAMP) ## hold the four engines of a backtest against each other (SEEDS=1000)
	@OPENSQT_SKIPPING_SEEDS='$(or $(SEEDS),1000)' OPENSQT_INTEGER_SEEDS='$(or $(SEEDS),1000)' \
		$(BIN)/python -m pytest --timeout=7200 --numprocesses=2 --dist=worksteal \
		tests/unit/backtest/test_exact_skipping.py tests/unit/backtest/test_integer.py

.PHONY: parity
parity: $(DEV_STAMP) ## hold the services on virtual time against a backtest (ARGS=--help)
	@$(BIN)/python -m simulation.parity $(ARGS)

.PHONY: conformance
conformance: $(RUN_STAMP) ## let exchange clients of others trade on the paper exchange
	@PYTHON='$(PYTHON)' bash tests/conformance/run $(ARGS)

.PHONY: clean
clean: ## remove everything that was made here
	rm -rf $(VENV) .run .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment -----------------------------------------------------------------------------

$(RUN_STAMP):
	@PYTHON='$(PYTHON)' sh tools/make-venv.sh $(VENV) requirements/run.txt
	@touch $@

$(RESEARCH_STAMP):
	@PYTHON='$(PYTHON)' sh tools/make-venv.sh $(VENV) requirements/research.txt
	@touch $@ $(RUN_STAMP)

$(DEV_STAMP):
	@PYTHON='$(PYTHON)' sh tools/make-venv.sh $(VENV) requirements/dev.txt
	@touch $@ $(RUN_STAMP) $(RESEARCH_STAMP)
