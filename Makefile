# 社区脉搏 Community Pulse. Everything starts here: `make` lists what there is.

PYTHON ?=
ARGS ?=
BIN := .venv/bin
PY := $(BIN)/python
# Most tests wait for servers rather than compute: one process more than there are cores, at most eight.
WORKERS := $(shell n=$$(nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2); echo $$((n > 7 ? 8 : n + 1)))

export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-slow lint format bench lock clean setup setup-dev

help: ## List the commands
	@echo "社区脉搏 Community Pulse"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo 'Options go through ARGS: make demo ARGS="--port 9000", make test ARGS="-k replay".'

demo: setup ## Install and run the demo: 826 simulated devices, 811 of them running
	@exec $(BIN)/pulse demo $(ARGS)

serve: setup ## Install and run for real devices
	@exec $(BIN)/pulse serve $(ARGS)

test: lint ## Install, then ruff, mypy --strict and every test but the slow ones
	$(PY) -m pytest -m "not slow and not bench" -n $(WORKERS) --dist loadfile $(ARGS)

test-slow: setup-dev ## The slow tests: demos as a user starts them, long fault runs
	$(PY) -m pytest -m "slow and not bench" -n 2 --dist worksteal $(ARGS)

lint: setup-dev ## ruff check, ruff format --check, mypy --strict
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: setup-dev ## Let ruff format and mend the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: setup-dev ## Measure what the project promises about speed
	$(PY) -m pytest -m bench -s $(or $(ARGS),tests/bench)

lock: setup-dev ## Write the installed versions to constraints.txt
	@{ echo "# What the tests passed with, on Python 3.11 to 3.14. \`make lock\` writes this file (on 3.11)."; \
	  $(PY) -m pip freeze --exclude-editable --exclude pip --exclude setuptools; } >constraints.new
	@mv constraints.new constraints.txt

clean: ## Remove what make made; data folders stay
	rm -rf .venv build dist api/static/vendor api/frontend/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@sh deploy/bootstrap run

setup-dev:
	@sh deploy/bootstrap dev
