PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := runs/quickstart
TASK := ceg_hard_clip
LISTEN := $(RUN)/evaluation/plucked_strings_overdrive/listen

.PHONY: quickstart reproduce-smoke test test-all lint wheel lock audit

# The versions, and the very files, that were tested; setup.cfg has the bounds
# within which others may do.
$(BIN)/.installed: setup.cfg pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

quickstart: $(BIN)/.installed
	$(BIN)/python -m distortion_removal.main --config=configs/quickstart.py
	$(BIN)/python -m distortion_removal.main --mode=evaluate --workdir=$(RUN)
	$(BIN)/python -m distortion_removal.restore $(LISTEN)/000_35dB_distorted.wav \
	  -o $(RUN)/restored.wav --model=$(RUN) --overwrite
	@echo "Listen: $(LISTEN)/000_35dB_distorted.wav, then $(RUN)/restored.wav"
	@echo "Look:   $(RUN)/evaluation/plucked_strings_overdrive/si_sdr.png"

reproduce-smoke: $(BIN)/.installed
	$(BIN)/python experiments/reproduce.py --task=$(TASK) --smoke

# What one test has compiled, another need not: it takes half of their time.
test test-all: export JAX_COMPILATION_CACHE_DIR ?= $(abspath $(VENV))/jax-cache
test test-all: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0.2

# The fast suite: every test that takes less than a CPU-second.
test: $(BIN)/.installed
	$(BIN)/pytest -n auto

test-all: $(BIN)/.installed
	$(BIN)/pytest -n auto -m "e2e or not e2e"

lint: $(BIN)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

# setuptools would put into a wheel whatever an older build has left there.
wheel: $(BIN)/.installed
	rm -rf build dist
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

# Adds to requirements.lock what setup.cfg asks for by now; with
# UPGRADE=--upgrade, takes the newest versions of all.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --quiet $(UPGRADE) --universal \
	  --python-version 3.11 --generate-hashes --extra test \
	  --custom-compile-command "make lock" --output-file requirements.lock \
	  setup.cfg

# Asks PyPI for known vulnerabilities of what is locked.
audit:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet pip-audit
	$(VENV)-lock/bin/pip-audit --disable-pip --require-hashes \
	  --requirement requirements.lock
