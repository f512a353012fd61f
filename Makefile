# Two commands do all the set-up:
#   make lab     JupyterLab on the first notebook     (PORT=8890 ARGS="--no-browser" pass through)
#   make test    the whole test suite                 (ARGS="-k crf -x" passes through)
# For those who change dlseg:
#   make quick       the library alone: no browser, no sandbox, no training, no notebook
#   make test-full   what runs every night beside `make test`: every attack on every level, a real installation
#   make lint        ruff and mypy
#   make book        the course and its guides as a static site
# PYTHON=… names another interpreter (3.11, 3.12 or 3.13); JOBS=… how many tests run at a time: one more than two
# cores, as half of the time they wait for processes and pages.

PYTHON ?= python3
PORT   ?= 8888
ARGS   ?=
JOBS   ?= 3
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --no-loadscope-reorder
# a stage is done when its file exists; an interrupted one has none and is finished by the next call
LAB    := .venv/lab-is-ready
TESTS  := .venv/tests-are-ready

.PHONY: lab test quick test-full setup lint book clean
.DELETE_ON_ERROR:

lab: $(LAB)
	$(BIN)/jupyter lab --port=$(PORT) $(ARGS) notebooks/00_tour.ipynb

test: $(TESTS)
	@$(PYTEST) -m "not full" $(ARGS)

quick: $(TESTS)
	@$(PYTEST) -m "not full and not slow and not browser" $(ARGS)

test-full: $(TESTS)
	@$(PYTEST) -m full $(ARGS)

lint: $(TESTS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# one static site, readable without a network: docs/_build/html/index.html
book: $(LAB)
	@$(PIP) -e '.[book]'
	$(BIN)/dlseg course book

setup: $(TESTS)

$(LAB): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
	  { echo "dlseg needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is" \
	         "$$($(PYTHON) --version 2>&1 || true). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "1/3 an environment in .venv"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || \
	  { echo "Python's venv module is missing: on Debian or Ubuntu, apt install python3-venv"; exit 1; }
	@$(MAKE) --no-print-directory -j2 lab-packages pydensecrf-wheel
	@$(MAKE) --no-print-directory pydensecrf-install
	@touch $(LAB)
	@echo "3/3 ready"

$(TESTS): $(LAB)
	@echo "What the tests need: pytest, hypothesis, Sphinx, mypy; half a minute."
	@$(PIP) -e '.[dev]'
	@touch $(TESTS)

.PHONY: lab-packages pydensecrf pydensecrf-wheel pydensecrf-install
lab-packages:
	@echo "2/3 packages: PyTorch, JupyterLab and what they need; 1.7 GB on the disk, about two minutes"
	@$(PIP) -e '.[lab]'

# pydensecrf's own C++ is too old for new Pythons: it is made again from its Cython source by a Cython < 3
# (the bound is in constraints.txt). Everything but kernel="pydensecrf" works without it, so a failure is no end.
# It is built while the other packages come.
pydensecrf: pydensecrf-wheel
	@$(MAKE) --no-print-directory pydensecrf-install

pydensecrf-wheel:
	@$(BIN)/python -c 'import pydensecrf.densecrf' 2>/dev/null || ls .venv/wheels/*.whl >/dev/null 2>&1 || { \
	  command -v "$${CXX:-c++}" >/dev/null 2>&1 || { \
	    echo "    pydensecrf is left out: it needs a C++ compiler (apt install g++, or xcode-select --install)."; exit 0; }; \
	  echo "    beside them pydensecrf is built"; \
	  CYTHON_FORCE_REGEN=1 PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip wheel --quiet --no-deps \
	    --disable-pip-version-check --wheel-dir .venv/wheels pydensecrf==1.0rc3 >.venv/pydensecrf.log 2>&1 || \
	  echo "    pydensecrf is left out: it did not build (.venv/pydensecrf.log says why). All else works."; }

pydensecrf-install:
	@! ls .venv/wheels/*.whl >/dev/null 2>&1 || $(PIP) --no-deps --no-index .venv/wheels/*.whl

clean:
	rm -rf .venv
