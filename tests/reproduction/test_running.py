"""How stages are run, skipped, reported and resumed."""

import json
import os
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from distortion_removal.common.errors import UserError
from experiments.reproduction import running
from experiments.reproduction.chain import Stage

STUB = """
import pathlib, sys
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
with open(folder / "log", "a") as log:
  print(name, file=log)
if (folder / f"{name} fails").exists():
  sys.exit(3)
(folder / name).touch()
"""

ALL = ["data", "train1", "train2", "score1", "score2", "report"]
SUBJECTS = ["", "1", "2", "1", "2", "report"]


@pytest.fixture
def stages(tmp_path, monkeypatch):
  """Data, two subjects of two stages each, and a report."""
  (tmp_path / "stub_stage.py").write_text(STUB)
  monkeypatch.setenv("PYTHONPATH", str(tmp_path))
  commands = [("stub_stage", str(tmp_path), name) for name in ALL]
  return [
    Stage(name, command, tmp_path / name, subject, name != "data")
    for name, command, subject in zip(ALL, commands, SUBJECTS, strict=True)
  ]


def _run(folder, stages):
  """Runs them; returns the names of those that ran."""
  (folder / "log").unlink(missing_ok=True)
  try:
    running.run(stages, folder / "record" / "finished.json")
  finally:
    ran = (folder / "log").read_text().split()
  return ran


def test_a_second_run_only_makes_the_report(stages, tmp_path, capfd):
  assert _run(tmp_path, stages) == ALL
  assert "[3/6] train2\n  python -m stub_stage " in capfd.readouterr().out
  assert _run(tmp_path, stages) == ["report"]
  assert "[3/6] train2: finished before\n" in capfd.readouterr().out


def test_a_failure_is_recorded_and_the_same_command_resumes(stages, tmp_path):
  (tmp_path / "score1 fails").touch()
  expected = r"\[4/6\] score1 stopped with status 3: python -m stub_stage"
  with pytest.raises(UserError, match=expected):
    _run(tmp_path, stages)
  (tmp_path / "score1 fails").unlink()
  assert _run(tmp_path, stages) == ["score1", "score2", "report"]


def test_what_a_stage_makes_anew_is_used_anew(stages, tmp_path):
  _run(tmp_path, stages)
  (tmp_path / "train1").unlink()
  assert _run(tmp_path, stages) == ["train1", "score1", "report"]
  command = (*stages[1].command, "--steps=9")
  stages[1] = stages[1]._replace(command=command)
  assert _run(tmp_path, stages) == ["train1", "score1", "report"]
  (tmp_path / "data").unlink()
  assert _run(tmp_path, stages) == ALL


def test_data_that_lie_there_are_taken(stages, tmp_path):
  (tmp_path / "data").touch()
  assert _run(tmp_path, stages) == ALL[1:]
  stages[0] = stages[0]._replace(is_recorded=True)
  assert _run(tmp_path, stages) == ALL


PATIENT = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def store(*_):
  (folder / "stored").touch()
  sys.exit(0)
signal.signal(signal.SIGTERM, store)
(folder / "started").touch()
time.sleep(60)
"""

DRIVER = """
import pathlib, sys
from experiments.reproduction import running
from experiments.reproduction.chain import Stage
folder = pathlib.Path(sys.argv[1])
stage = Stage("train", ("patient", str(folder)), folder / "never")
running.run([stage], folder / "finished.json")
"""


def test_a_damaged_record_is_named(tmp_path):
  (tmp_path / "finished.json").write_text("{")
  with pytest.raises(UserError, match=r"finished\.json: damaged; remove it"):
    running.run([], tmp_path / "finished.json")


@pytest.mark.e2e
def test_a_stage_may_store_where_it_is_before_it_ends(tmp_path):
  (tmp_path / "patient.py").write_text(PATIENT)
  process = subprocess.Popen(
    [sys.executable, "-c", DRIVER, str(tmp_path)],
    cwd=ROOT,
    env=os.environ | {"PYTHONPATH": str(tmp_path)},
    stderr=subprocess.PIPE,
    text=True,
  )
  for _ in range(600):
    if (tmp_path / "started").exists():
      break
    time.sleep(0.05)
  process.terminate()
  _, errors = process.communicate(timeout=30)
  assert process.returncode == 1
  assert (tmp_path / "stored").exists()
  assert "[1/1] train stopped with status 143" in errors
  assert json.loads((tmp_path / "finished.json").read_text()) == {}
