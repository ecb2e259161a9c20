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


def _run(*words):
  result = subprocess.run(
    [sys.executable, "tests/support/fuzzing.py", *map(str, words)],
    cwd=ROOT,
    env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    capture_output=True,
    text=True,
    errors="replace",  # libmpg123 repeats what it reads.
    check=False,
  )
  assert result.returncode == 0, result.stderr[-4_000:]
  return result


def _check(result, inputs):
  found = json.loads(result.stdout)
  assert found.pop("slowest_s") < 2.0
  assert found.pop("grown_bytes") < 64 << 20
  assert sum(found.values()) == inputs
  # Damage that nothing ever notices, or that always shows, tests nothing.
  assert min(found["read"], found["refused"]) > inputs / 20


def test_files_damaged_at_random():
  _check(_run(f"--inputs={_INPUTS}"), _INPUTS)


@pytest.mark.e2e
@pytest.mark.parametrize(
  ("inputs", "others"),
  [(3_000, ["--seed=1"]), (60, ["--seed=2", "--ffmpeg"])],
)
def test_more_files_damaged_at_random(inputs, others):
  _check(_run(f"--inputs={inputs}", *others), inputs)


@pytest.mark.e2e
def test_files_damaged_where_it_reaches_new_lines(tmp_path):
  if importlib.util.find_spec("atheris") is None:
    pytest.skip("atheris is not installed")
  result = _run("--inputs=2000", "--coverage", tmp_path)
  assert "number_of_executed_units: 2000" in result.stderr
