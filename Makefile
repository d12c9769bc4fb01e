# Two commands are enough: `make run` opens the lab, `make test` tests it. Each installs what it needs into .venv.
PYTHON ?= python3
BIN := .venv/bin
TYPES := $(BIN)/basedpyright -p pyproject.toml --pythonpath $(BIN)/python
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm

.PHONY: run dev test gpu-check test-slow soak-tests nightly course coverage test-cluster cluster-demo parity bench smoke pictures bundles test-js lint format locale clean

run: .venv/.run
	$(BIN)/python -m moe_viz serve

# The same, anew after each change of a source file.
dev: .venv/.dev
	$(BIN)/python -m moe_viz serve --reload

test: .venv/.dev
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(TYPES)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not browser and not cluster and not slow"
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "browser and not slow"

# The few that take longest, which `make test` leaves out; .ci/run runs them, too.
test-slow: .venv/.dev
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "slow and not browser"
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "slow and browser"

# How often the browser tests are green in five rounds with every core busy.
soak-tests: .venv/.dev
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m tests.soak

# Products of everything with everything: hours of them would fit into no test run.
nightly: .venv/.dev
	$(BIN)/python -m pytest -q -n 2 --dist worksteal --timeout 1200 -m nightly
	$(MAKE) coverage

# Every exercise of the course played from start to end: each reference, each wrong solution, receipts; about half an hour.
course: .venv/.dev
	$(BIN)/python -m pytest -q -n 2 --dist worksteal --timeout 1200 tests/lessons tests/test_receipts.py -m "nightly or not nightly"

# Which lines the unit tests run, file by file, and the share of all; not in `make test`, which it would slow by more than a tenth.
coverage: .venv/.dev
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not browser and not cluster" --cov --cov-report=term:skip-covered

# What tests/accelerator asks of a pretended GPU, asked of the real one, which nothing here may skip.
gpu-check: .venv/.dev
	$(BIN)/python -m moe_viz doctor
	$(BIN)/python -m tests.accelerator.figures
	$(BIN)/python -m pytest -q tests/accelerator

# Ray is large and not needed on one machine: only these two install it.
test-cluster: .venv/.cluster
	$(BIN)/python -m pytest -q -m cluster --none-skipped tests/engine/cluster

cluster-demo: .venv/.cluster
	$(BIN)/python -m moe_viz.engine.cluster.demo

# Against DeepSpeed, Megatron-core, fairscale and lucidrains' packages, too; see docs/parity.md.
parity: .venv/.peers
	PYTHONPATH=.venv/peers $(BIN)/python -m pytest -q -n 2 tests/parity --none-skipped

bench: .venv/.dev
	$(BIN)/python -m benchmarks

# Each at its smallest size: only whether it still runs and still has figures; with Ray and the peers, which some measure, too.
smoke: .venv/.cluster .venv/.peers
	$(BIN)/python -m tests.browser.chromium
	PYTHONPATH=.venv/peers $(BIN)/python -m benchmarks --smoke

# README's pictures, anew, of a lab that trains.
pictures: .venv/.dev
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m tests.browser.pictures

# The views' scripts in one file each, as the page loads them; after a change of a source in assets/components.
bundles: node_modules/.installed
	$(NPM) run --silent bundles

# Whether the committed bundles are what the sources make, ESLint, types, and the tests of what needs no browser.
test-js: node_modules/.installed
	$(NPM) run --silent check-bundles
	$(NPM) run --silent lint
	$(NPM) run --silent types
	$(NPM) run --silent test

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(TYPES)

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Collect every marked text and merge it into the catalogue of each language; `make locale LANGUAGES=de` begins a new one.
LANGUAGES ?= $(patsubst assets/locale/%/LC_MESSAGES,%,$(wildcard assets/locale/*/LC_MESSAGES))
POT := .venv/moe_viz.pot

locale: .venv/.dev
	$(BIN)/pybabel -q extract -F babel.cfg -k N_ -k _ --no-location --sort-output --width=120 --project=moe_viz -o $(POT) app.py pages moe_viz
	for language in $(LANGUAGES); do \
		$(BIN)/pybabel -q update -D moe_viz -i $(POT) -d assets/locale -l $$language --init-missing --width=120 \
			--no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date || exit 1; \
	done

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.run: requirements.txt .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/.dev: requirements-dev.txt requirements.txt .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@ .venv/.run

# With the node that requirements-dev.txt brings, whatever else is installed; packages as package-lock.json has them.
node_modules/.installed: package.json package-lock.json .npmrc .venv/.dev
	$(NPM) ci --silent || { echo "npm could not install what package-lock.json lists" >&2; exit 1; }
	touch $@

.venv/.cluster: requirements-cluster.txt .venv/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-cluster.txt
	touch $@

.venv/.peers: requirements-peers.txt .venv/.dev
	DS_BUILD_OPS=0 $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv/peers -r $<
	touch $@

clean:
	rm -rf .venv node_modules .pytest_cache .ruff_cache .hypothesis
