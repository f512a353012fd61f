# Two commands do all the set-up:
#   make lab     JupyterLab on the first notebook     (PORT=8890 ARGS="--no-browser" pass through)
#   make test    the whole test suite                 (ARGS="-k crf -x" passes through)
# and `make book` makes the course and its guides into a static site.
# PYTHON=… names another interpreter (3.11, 3.12 or 3.13).

PYTHON ?= python3
PORT   ?= 8888
ARGS   ?=
BIN    := .venv/bin
READY  := .venv/ready

.PHONY: lab test setup lint book clean
.DELETE_ON_ERROR:

lab: setup
	$(BIN)/jupyter lab --port=$(PORT) $(ARGS) notebooks/00_tour.ipynb

test: setup
	@$(BIN)/python -m pytest $(ARGS)

# one static site, readable without a network: docs/_build/html/index.html
book: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[book]'
	$(BIN)/dlseg course book

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

# The set-up is done when $(READY) exists; an interrupted one has none and is finished by the next call.
setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
	  { echo "dlseg needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is" \
	         "$$($(PYTHON) --version 2>&1 || true). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || \
	  { echo "Python's venv module is missing: on Debian or Ubuntu, apt install python3-venv"; exit 1; }
	@echo "Setting up .venv: a few minutes the first time."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(MAKE) --no-print-directory pydensecrf
	@touch $(READY)

# pydensecrf's own C++ is too old for new Pythons: it is made again from its Cython source by a Cython < 3
# (the bound is in constraints.txt). Everything but kernel="pydensecrf" works without it, so a failure is no end.
.PHONY: pydensecrf
pydensecrf:
	@$(BIN)/python -c 'import pydensecrf.densecrf' 2>/dev/null || { \
	  command -v "$${CXX:-c++}" >/dev/null 2>&1 || { \
	    echo "pydensecrf is left out: it needs a C++ compiler (apt install g++, or xcode-select --install)."; exit 0; }; \
	  echo "Building pydensecrf: about a minute."; \
	  CYTHON_FORCE_REGEN=1 PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet \
	    --disable-pip-version-check pydensecrf==1.0rc3 >.venv/pydensecrf.log 2>&1 || \
	  echo "pydensecrf is left out: it did not build (.venv/pydensecrf.log says why). All else works."; }

clean:
	rm -rf .venv
