# Every habit of this project is one line here; CI runs the same lines.
# The system's own Python first, if it is new enough: distributions build theirs to be fast; others are up to a fifth slower.
PYTHON ?= $(firstword $(foreach name,/usr/bin/python3 python3.11 python3 python3.12 python3.13 python3.14 python3.15,$(if $(shell $(name) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(name))))
BIN := .venv/bin

.PHONY: help demo demo-real test test-vm test-power lint check nightly coverage mutants bench bench-peers serve clean venv

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 18

demo: venv ## a killed process, recovered: CockroachDB on a simulated sled
	@$(BIN)/python examples/demo.py

demo-real: venv ## the same on real ZFS, zones and PostgreSQL (Linux, root; zfs-fuse, crun, postgresql)
	@$(BIN)/python examples/demo_real.py

test: venv ## every test, on all cores
	@$(BIN)/python -m pytest -n auto

test-vm: venv ## real OpenZFS, encryption and zones, in a guest that is built once (nine minutes)
	@$(BIN)/python -m tests.vm.run

test-power: venv ## the power is cut under sagas on a real pool, 28 times (user-mode-linux; minutes)
	@TEST_POWER=1 $(BIN)/python -m pytest -n auto tests/blackout

lint: venv ## ruff, mypy and the import contracts
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports

check: venv ## the campaigns: every point of every operation, killed and cut off; larger walks; more cuts of power
	@$(BIN)/python -m pytest -n auto -m campaign

nightly: venv ## ten thousand simulated worlds of a thousand sagas, for hours
	@$(BIN)/python -m sledsaga.check.simulate --seeds 10000 --sagas 1000 --jobs 2

coverage: venv ## every branch of the core is reached by its own tests
	@$(BIN)/python -m coverage run --source=sledsaga.core -m pytest tests/core $(addprefix --ignore=tests/core/test_,cost.py symmetry.py walk.py)
	@$(BIN)/python -m coverage combine --quiet && $(BIN)/python -m coverage report --fail-under=100

mutants: venv ## every change of the core is noticed, or explained in docs/mutants.md; half an hour
	@$(BIN)/mutmut run > /dev/null; $(BIN)/python tests/mutants.py

bench: venv ## how fast sagas are, beside the bare disk in the same run; how many bars hold (some seven minutes)
	@$(BIN)/python -m bench

bench-peers: venv ## the same sagas on DBOS, TaskFlow, Edda and Restate, each installed once in a place of its own
	@$(BIN)/python -m bench.peers

serve: venv ## an executor for good, in the foreground
	@$(BIN)/python -m sledsaga serve

clean: ## remove what the tools have made (never your sagas)
	@rm -rf .venv mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* build dist

venv: .venv/.installed

.venv/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "sledsaga needs Python 3.11 or newer with venv: install it (Debian: apt install python3-venv) or say where it is (make PYTHON=/path/to/python3)" >&2; exit 1; }
	@echo "making .venv with $(PYTHON) (once)"
	@"$(PYTHON)" -m venv .venv && $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[dev]' && touch $@
