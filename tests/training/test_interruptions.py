"""The experiment that interrupts trainings: its table, and some of it."""

import json

import pytest

from experiments import interruptions


def _trial(kind, *, taken, stored, is_kept=True, wrong=()):
  return {
    "kind": kind,
    "before": 5,
    "taken": taken,
    "stored": stored,
    "seconds": 1.25,
    "is_kept": is_kept,
    "differences": list(wrong),
  }


def test_the_table_counts_what_survived():
  trials = [
    _trial("train", taken=12, stored=10),
    _trial("train", taken=9, stored=5, wrong=["metrics.jsonl"]),
    _trial("save", taken=15, stored=10, is_kept=False),
    _trial("stop", taken=17, stored=17),
  ]
  (section,) = interruptions.table(trials).sections
  assert [row[1:] for row in section.rows] == [
    ["0", "0", "", ""],
    ["2", "1", "4", ""],
    ["1", "0", "5", ""],
    ["1", "1", "0", "1.2 s"],
    ["4", "2", "5", "1.2 s"],
  ]
  (axis,) = interruptions.draw(trials).axes
  assert len(axis.get_lines()) == 3  # A kind that was not tried has none.


@pytest.mark.e2e
def test_a_run_that_is_killed_and_stopped_ends_as_a_straight_one(
  tmp_path, capfd
):
  """Forty CPU-seconds, most of them for starts of Python."""
  output = tmp_path / "interruptions"
  words = ("--kills=2", "--stops=1", "--steps=60", "--per-run=3")
  interruptions.main([*words, f"--output={output}"])
  lines = (output / "trials.jsonl").read_text().splitlines()
  trials = [json.loads(line) for line in lines]
  assert len(trials) == 3
  for trial in trials:
    assert trial["is_kept"], trial
    assert trial["differences"] == []
  assert "| all | 3 | 3 |" in (output / "report.md").read_text()
  assert (output / "steps.png").exists()
