# android-suite: `make demo` and `make test` are the two commands. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PY := .venv/bin/python
SUITE := .venv/bin/android-suite
MODE ?= deterministic

.PHONY: help setup system demo test fast apk apk-tools kernel-tools check format lint types docs wheel bench reference house clean

help:            ## this list
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

system:          ## Debian packages: QEMU 10, adb, cross compilers, Chromium (root or sudo)
	@scripts/install-system

.venv/.installed: pyproject.toml scripts/install-python
	@scripts/install-python

COMPILED := $(shell grep -rl --include='*.py' '^@compiled' android_suite)
.venv/.warm: .venv/.installed $(COMPILED)
	@scripts/warm

setup: system .venv/.installed .venv/.warm ## the virtual environment in .venv

demo: setup apk-tools ## boots 6.16.12 and 6.17.13, records, compares: reports/demo/report.html
	@MODE=$(MODE) scripts/demo

apk: apk-tools   ## the workload app's APK from its sources, the same bytes every time
	@apks/build

apk-tools:
	@scripts/install-apk-tools

kernel-tools:    ## Debian packages that build kernels, for `qualify --patch`, `kernels build` and `bisect`
	@scripts/install-kernel-tools

# A file's tests stay together, as many share what the first of them made. Two guests at once are enough for any machine.
test: setup apk-tools ## the whole suite, fast tests first, a journey on a real virtual device included
	@$(PY) -m pytest -q -n auto --dist loadfile -m "not vdev and not browser and not slow" tests
	@$(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "vdev or browser or slow" tests

fast: .venv/.installed ## the tests that need no device and no browser
	@$(PY) -m pytest -q -n auto --dist loadfile -m "not vdev and not browser and not slow" tests

format:          ## rewrites the sources in the format of the project
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

lint: .venv/.installed
	@.venv/bin/ruff format --check . && .venv/bin/ruff check .

types: .venv/.installed
	@.venv/bin/mypy

docs: .venv/.installed ## the documentation as a site in build/site; fails on a broken link
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict

check: setup lint types docs test ## format, lint, types, docs, tests

wheel: .venv/.installed ## dist/android_suite-*.whl, for `pip install`
	@.venv/bin/pip wheel --quiet --no-deps --wheel-dir dist .

house: .venv/.installed ## the package in numbers: files, import cycles, places that describe an event
	@.venv/bin/python -m scripts.house

bench: setup     ## throughput and memory of every reader and of analyze, against the peers
	@$(PY) -m benchmarks

reference: .venv/.installed ## docs/tables.md, docs/metrics.md and docs/schema/ from the declarations
	@$(PY) -m scripts.reference

clean:           ## removes what the build made here (not the user's cache)
	@rm -rf .venv build *.egg-info
