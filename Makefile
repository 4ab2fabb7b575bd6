# HOST, PORT, DATA_DIR and DATABASE_URL count from the environment and from the command line: make run PORT=9000

PYTHON ?= python3
VIEWER ?= staff
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.from-lock

.DEFAULT_GOAL := help
.PHONY: help run test check conformance fuzz clients packages lint format docs ide token migrate where schema bench lock clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(READY) ## set up the database and the demo data, then serve http://HOST:PORT (8000)
	@exec $(RUN) -m app dev

test: $(READY) ## run the tests, and print the ten slowest; ARGS="-k shipment -x" goes to pytest, POOLER=transaction puts PgBouncer between
	@exec $(RUN) -m pytest -n auto --dist worksteal --durations=10 $(ARGS)

check: lint test ## what CI runs: lint, types, import contracts, tests

conformance: $(READY) ## run graphql-core's own execution tests by compiled plans
	@exec $(RUN) -m tests.conformance

fuzz: $(READY) ## compare executors on random documents, trade with a model, hold 10,000 costs to what they bound, and kill 1,000 times beside the feed and its subscribers, deliver 100,000 webhooks, read 10,000 writes beside a replica; MINUTES=10, SEED=N has a round again
	@FUZZ_MINUTES=$(or $(MINUTES),10) FUZZ_SEED=$(SEED) exec $(RUN) -m pytest -q -s tests/contract/test_random_documents.py \
		tests/app/execution/test_equivalence.py tests/app/execution/test_generated_equivalence.py tests/test_trade.py \
		tests/test_feed_kills.py tests/test_live_kills.py tests/test_webhook_kills.py tests/test_replicas.py tests/app/execution/test_cost.py \
		tests/contract/test_cost.py

clients: $(READY) ## run docs/clients.md with the real clients, installed from their registries
	@exec $(RUN) -m pytest --no-header -rs tests/clients $(ARGS)

packages: $(READY) ## build the wheel and the steps of deploy/Containerfile, install them into empty environments, and run them
	@exec $(RUN) -m pytest --no-header -rs tests/packages $(ARGS)

lint: $(READY) ## lint, format check, types, import contracts
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@$(RUN) -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-logo --no-cache

format: $(READY) ## put the code into its one form
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

docs: $(READY) ## write the documentation as a static site to build/docs; a running service has it at /docs
	@exec $(RUN) -m app docs build/docs

ide: ## bundle GraphiQL into app/pages/assets, by npm, after a change in app/pages/ide/source
	@cd app/pages/ide/source && npm ci --no-audit --no-fund --silent && node build.mjs

token: $(READY) ## print a token: make -s token VIEWER=staff|partner|contact|customer
	@exec $(RUN) -m app token $(VIEWER)

migrate: $(READY) ## bring the database at DATABASE_URL to the newest schema
	@exec $(RUN) -m app migrate

where: $(READY) ## print the whole way of a field: make -s where FIELD=trackingUrl (or Type.field)
	@$(RUN) -m tests.where "$(FIELD)"

schema: $(READY) ## write the schema that the migrations make to sql/schema.sql
	@exec $(RUN) -m tests.sql.schema

bench: $(READY) ## measure speed and cost; PEERS=DIR SERVERS=A,B LOADS=A,B SCALE=1 COLD=N SEARCH=1 PROFILE=1 PUBLISH=1 (see bench/README.md)
	@exec $(RUN) -m bench $(if $(PEERS),--peers '$(PEERS)') $(if $(SERVERS),--servers '$(SERVERS)') $(if $(LOADS),--loads '$(LOADS)') \
		$(if $(SCALE),--scale '$(SCALE)') $(if $(COLD),--cold '$(COLD)') $(if $(SEARCH),--search) $(if $(PROFILE),--profile) $(if $(PUBLISH),--publish) $(ARGS)

lock: $(READY) ## resolve pyproject.toml anew into the locks, for every platform
	@$(RUN) -m pip install --quiet 'uv>=0.9'
	@$(RUN) -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --custom-compile-command 'make lock' --extra embedded --extra dev --extra otel \
		--output-file requirements.lock pyproject.toml
	@$(RUN) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-annotate --custom-compile-command 'make lock' --constraint requirements.lock \
		--output-file deploy/requirements.lock pyproject.toml

clean: ## delete the environment, the caches and the demo database
	@$(PYTHON) -c 'import os, pathlib; from app.demo.embedded import remove; \
		remove(pathlib.Path(os.environ.get("DATA_DIR") or ".data"))'
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What is said here goes to stderr: `make -s token` prints a token and nothing else.
$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Waybill needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@echo "Creating $(VENV) from requirements.lock ..." >&2
	@$(PYTHON) -m venv --clear $(VENV) >&2 || { \
		echo "$(PYTHON) cannot create environments: install its venv module (Debian: apt install python3-venv)." >&2; \
		exit 1; }
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock >&2
	@touch $@
