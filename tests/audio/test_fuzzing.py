"""Damaged files by the thousand: no crash, no hang, no growth of memory.

Each run is a process, see fuzzing.py, which dies of the first input that is
mishandled; segmentation faults of libsndfile end it, too.
"""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

_INPUTS = 300
_SLOWEST_S, _GROWN_BYTES = 2.0, 64 << 20


@pytest.fixture
def fuzz(record_property):
  """Runs it and publishes, for experiments/robustness.py, how that went."""

  def run(kind, inputs, *words):
    result = subprocess.run(
      [
        *(sys.executable, "tests/support/fuzzing.py", f"--inputs={inputs}"),
        *map(str, words),
      ],
      cwd=ROOT,
      env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
      capture_output=True,
      text=True,
      errors="replace",  # libmpg123 repeats what it reads.
      check=False,
    )
    has_counts = result.returncode == 0 and "--coverage" not in words
    found = json.loads(result.stdout) if has_counts else {}
    sizes = ("slowest_s", "grown_bytes")
    slowest_s, grown = map(found.pop, sizes) if found else (0.0, 0)
    is_cheap = slowest_s < _SLOWEST_S and grown < _GROWN_BYTES
    is_good = result.returncode == 0 and is_cheap
    counts = {"tried": inputs, "mishandled": int(not is_good)}
    record_property("inputs", json.dumps({"kind": kind} | counts))
    assert result.returncode == 0, result.stderr[-4_000:]
    assert is_cheap, (slowest_s, grown)
    return found, result.stderr

  return run


def _check(found, inputs):
  assert sum(found.values()) == inputs
  # Damage that nothing ever notices, or that always shows, tests nothing.
  assert min(found["read"], found["refused"]) > inputs / 20


def test_files_damaged_at_random(fuzz):
  found, _ = fuzz("damaged at random", _INPUTS)
  _check(found, _INPUTS)


@pytest.mark.e2e
@pytest.mark.parametrize(
  ("kind", "inputs", "words"),
  [
    ("damaged at random", 10_000, ["--seed=1"]),
    ("damaged at random, by ffmpeg", 60, ["--seed=2", "--ffmpeg"]),
  ],
)
def test_more_files_damaged_at_random(fuzz, kind, inputs, words):
  found, _ = fuzz(kind, inputs, *words)
  _check(found, inputs)


@pytest.mark.e2e
def test_files_damaged_where_it_reaches_new_lines(fuzz, tmp_path):
  if importlib.util.find_spec("atheris") is None:
    pytest.skip("atheris is not installed")
  kind = "damaged where new lines run"
  _, errors = fuzz(kind, 2_000, "--coverage", tmp_path)
  assert "number_of_executed_units: 2000" in errors
