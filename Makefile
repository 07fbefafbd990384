# Every target sets up what it needs; on a new machine Python 3.11+ and make are enough.
PYTHON ?= python3
BIN := .venv/bin
# Installed once to install everything else from the lock file; the version is the lock file's.
UV_VERSION := $(shell sed -n '/^name = "uv"$$/{n;s/version = "\(.*\)"/\1/p;}' uv.lock)
RUN := . $(BIN)/activate &&
# The tests start some hundred processes; without bytecode on disk each would compile this project, and pytest its tests.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 21

setup: .venv/.ready ## the virtual environment, from the lock file

.venv/.ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python is %s.%s: install 3.11 or newer, or name one: make PYTHON=python3.12" % sys.version_info[:2])'
	@echo "Setting up .venv once, from uv.lock: about 140 packages, 1.3 GB on disk, a minute or two ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
# uv trusts whom the system trusts, and whom pip was told to. It shows how far it is where somebody looks.
	@cert="$${SSL_CERT_FILE:-$${PIP_CERT:-$$($(BIN)/python -m pip config get global.cert 2>/dev/null)}}"; \
		test -z "$$cert" || export SSL_CERT_FILE="$$cert"; test -t 2 || quiet=--quiet; \
		$(BIN)/uv sync --locked --system-certs --compile-bytecode $$quiet --python $(BIN)/python
# Where runs and schedules are kept. Earlier versions exported more, which `dagster dev` stumbles over.
	@sed '/^export DAGSTER_/d' $(BIN)/activate > $(BIN)/activate.new && mv $(BIN)/activate.new $(BIN)/activate
	@printf '%s\n' 'export DAGSTER_HOME="$(CURDIR)/.dagster"' >> $(BIN)/activate
	@touch $@

# The path as it was typed: neither make nor the shell reads anything into a dollar or a quote.
unexport LOGS
demo: export DEMO_LOGS := $(value LOGS)
demo: setup ## run the main job on the embedded engine; LOGS=<access log or glob> takes your own traffic
	@$(RUN) python -m dags.demo $${DEMO_LOGS:+--logs="$$DEMO_LOGS"}

demo-sources: setup ## late data from a PostgreSQL and a bucket that it starts itself; KEEP=1 lets these run on
	@$(RUN) python -m dags.demo.sources $(if $(KEEP),--keep)

# Whom a shell starts in the background ignores SIGINT, and Dagster has SIGTERM do what SIGINT does: nothing would end
# its processes then. In the place of this shell, so that what ends make reaches them.
INTERRUPTIBLE := python -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])'
dev: setup ## the Dagster UI and daemon on the same data: http://localhost:3000
	@$(RUN) exec $(INTERRUPTIBLE) dg dev $(if $(PORT),--port $(PORT))

test: setup ## the tests: statements on both engines, stories on the embedded one
	@$(RUN) python -m pytest -n 3 --dist loadgroup -m 'not (slow or long or second_engine or walk or cluster)'

coverage: setup ## tests and stories, and which lines and branches they reach; fails under the floor of pyproject.toml
	@$(RUN) coverage erase && coverage run -m pytest -n 3 --dist loadgroup -m 'not (slow or walk or cluster)' \
		&& coverage combine --quiet && coverage report

# One worker of them waits for servers of a cluster most of the time.
stories: setup ## the stories once more, on a real server, and what takes long
	@$(RUN) python -m pytest -n 4 --dist loadgroup -m '(second_engine or long or cluster) and not slow'

test-cluster: setup ## what needs a replicated ClickHouse: replicas, keeper, shards
	@$(RUN) python -m pytest -n 2 --dist loadgroup -m cluster

# Some of them wait for most of their time.
soak: setup ## the tests that take minutes: faults, mutants, real queues, benchmarks. Half an hour
	@$(RUN) python -m pytest -n 4 --dist loadgroup -m 'slow'

walk: setup ## every setting of both engines, each with the values worth a try: do answers stay the same? An hour
	@$(RUN) python -m pytest -n 0 -s -m walk

faults: setup ## builds killed at every step on a real server, races, readers: a quarter of an hour
	@$(RUN) python -m dags.tests.faults

faults-cluster: setup ## servers, keeper, network and builds that fail, on two shards of two replicas: ten minutes
	@$(RUN) python -m dags.tests.faults --cluster 100

week: setup ## a week of operation on a real server, by a clock that is moved: who was told what, and was it so? Twelve minutes
	@$(RUN) python -m dags.tests.week

load: setup ## readers, backfills, daemon and code server at work on a real server: who is harmed, what grows? A quarter of an hour
	@$(RUN) python -m dags.tests.load

check: setup ## lint, types, spelling
	@$(RUN) ruff check . && ruff format --check . && mypy && typos

hooks: setup ## have git run the checks of .pre-commit-config.yaml before each commit
	@$(RUN) pre-commit install

bench: setup ## the figures of the README
	@$(RUN) python -m dags.bench

.PHONY: help setup demo demo-sources dev test coverage stories test-cluster soak walk faults faults-cluster week load check hooks bench
