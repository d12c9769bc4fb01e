# Two commands are enough: `make run` opens the lab, `make test` runs every test. Each installs what it needs into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test bench lint format locale clean

run: .venv/.run
	$(BIN)/streamlit run app.py

test: .venv/.dev
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not browser"
	$(BIN)/python -m pytest -q -m browser

bench: .venv/.dev
	$(BIN)/python -m benchmarks

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Collect every marked text and merge it into the translation catalogues.
locale: .venv/.dev
	$(BIN)/pybabel -q extract -F babel.cfg -k N_ -k _ --no-location --sort-output -o assets/locale/moe_viz.pot .
	$(BIN)/pybabel -q update -D moe_viz -i assets/locale/moe_viz.pot -d assets/locale --no-fuzzy-matching --ignore-obsolete

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.run: requirements.txt .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/.dev: requirements-dev.txt requirements.txt .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@ .venv/.run

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
