"""The experiment on robustness: what it reads, and what it makes of that."""

import json
from xml.etree import ElementTree

import pytest
from matplotlib.colors import to_rgba

from distortion_removal.common.errors import UserError
from experiments import robustness


def _comparison(network, devices, deviation, processes=1, case=""):
  return {
    "network": network,
    "processes": processes,
    "devices": devices,
    "case": case,
    "deviation": deviation,
  }


COMPARISONS = [
  _comparison("demucs", 2, 2e-7),
  _comparison("demucs", 8, 3e-6),
  _comparison("umx", 2, 0.0),
  _comparison("umx", 8, 4e-8),
  _comparison("demucs", 4, 1e-6, 2, "killed"),
]
CASES = ["1 × 2", "1 × 8", "2 × 4, killed"]  # noqa: RUF001
INPUTS = [("lies", 14, 0), ("random", 300, 0), ("random", 3_000, 1)]


@pytest.fixture
def findings(tmp_path):
  """Read from XML in the form that pytest 9 writes."""
  root = ElementTree.Element("testsuites")
  suite = ElementTree.SubElement(root, "testsuite", name="pytest")

  def add(name, values, child=None):
    case = ElementTree.SubElement(suite, "testcase", name=name)
    entries = ElementTree.SubElement(case, "properties")
    for key, value in values:
      words = {"name": key, "value": json.dumps(value)}
      ElementTree.SubElement(entries, "property", words)
    if child:
      ElementTree.SubElement(case, child, message="why")

  add("spread", [("comparison", row) for row in COMPARISONS])
  for k, (kind, tried, mishandled) in enumerate(INPUTS):
    counts = {"kind": kind, "tried": tried, "mishandled": mishandled}
    add(f"bad{k}", [("inputs", counts)], "failure" if mishandled else None)
  add("coverage", [], "skipped")
  ElementTree.ElementTree(root).write(tmp_path / "tests.xml")
  return robustness.read_tests(tmp_path / "tests.xml")


def _trial(kind, *, is_kept=True, wrong=()):
  steps = {"before": 5, "taken": 12, "stored": 10, "seconds": 1.25}
  return {"kind": kind, "is_kept": is_kept, "differences": list(wrong)} | steps


TRIALS = [
  _trial("train"),
  _trial("train", is_kept=False),
  _trial("train", wrong=["metrics.jsonl"]),
  _trial("stop"),
]


def test_the_tables_count_and_name_the_largest(findings):
  inputs = robustness.inputs_table(findings)
  (group,) = inputs.sections
  assert group.rows == [
    ["lies", "14", "0"],
    ["random", "3300", "1"],
    ["all", "3314", "1"],
  ]
  assert inputs.notes[1:] == ["Not run: coverage: why", "Failed: bad2"]
  spread = robustness.spread_table(findings)
  assert spread.header[1:] == ["Demucs", "UMX"]
  (group,) = spread.sections
  assert [list(row) for row in group.rows] == [
    [CASES[0], "2.0e-07", "0.0e+00"],
    [CASES[1], "3.0e-06", "4.0e-08"],
    [CASES[2], "1.0e-06", ""],
    ["largest", "3.0e-06", "4.0e-08"],
  ]


def _bars(axis):
  """Lengths by label and colour."""
  labels = [text.get_text() for text in axis.get_yticklabels()]
  return {
    (labels[round(bar.get_y() + bar.get_height() / 2)], color): bar.get_width()
    for bar in axis.patches
    for color in ("C0", "C3")
    if bar.get_facecolor() == to_rgba(color)
  }


def test_the_figure_shows_the_same_numbers(findings):
  survived, mishandled, spread = robustness.draw(TRIALS, findings).axes
  assert _bars(survived) == {
    ("kill -9 while it trains", "C0"): 1,
    ("SIGTERM while it trains", "C0"): 1,
  }
  texts = [text.get_text().strip() for text in survived.texts]
  assert texts == ["1 of 3", "1 of 1"]
  assert _bars(mishandled) == {("lies", "C3"): 0, ("random", "C3"): 1}
  assert spread.get_yscale() == "log"
  demucs, umx, allowed = spread.get_lines()
  assert list(demucs.get_ydata()) == [2e-7, 3e-6, 1e-6]
  assert [round(x) for x in demucs.get_xdata()] == [0, 1, 2]
  # No deviation stands at the bottom, and can be seen.
  assert list(umx.get_ydata()) == [1e-9, 4e-8]
  assert spread.get_ylim()[0] < 1e-9
  assert set(allowed.get_ydata()) == {1e-5}


def test_one_command_writes_the_report(findings, tmp_path, monkeypatch, capfd):
  """And fails where a test failed; the tests themselves do not run here."""
  folder, output = tmp_path / "interruptions", tmp_path / "robustness"

  def interrupt(words):
    assert words == [f"--output={folder}"]
    folder.mkdir()
    lines = (json.dumps(trial) + "\n" for trial in TRIALS)
    (folder / "trials.jsonl").write_text("".join(lines))
    (folder / "report.md").write_text("# Tries\n\nMade by `that`.\n")

  monkeypatch.setattr(robustness.interruptions, "main", interrupt)
  monkeypatch.setattr(robustness, "run_tests", lambda _: findings)
  words = [f"--interruptions={folder}", f"--output={output}"]
  with pytest.raises(SystemExit, match=r"error: .*tests\.log: a test failed"):
    robustness.main(words)
  page = (output / "report.md").read_text()
  for row in (
    "| all | 4 | 2 |",
    "| random | 3300 | 1 |",
    "| largest | 3.0e-06",
  ):
    assert row in page
  assert "Made by `that`." in page
  assert f"experiments/robustness.py {words[0]}" in page
  assert (output / "robustness.png").read_bytes().startswith(b"\x89PNG")
  assert page in capfd.readouterr().out


def test_an_unfinished_run_of_interruptions_is_named(tmp_path):
  with pytest.raises(UserError, match=r"trials\.jsonl: not there; finish"):
    robustness.read_trials(tmp_path)


@pytest.mark.e2e
def test_what_tests_publish_is_read(tmp_path, monkeypatch):
  test = "test_hostile_files.py::test_every_beginning_of_a_file_is_refused"
  monkeypatch.setattr(robustness, "TESTS", (f"tests/audio/{test}",))
  findings = robustness.run_tests(tmp_path)
  assert findings == ({"beginnings of files": (720, 0)}, [], [], [])
  monkeypatch.setattr(robustness, "TESTS", ("tests/not_there.py",))
  with pytest.raises(UserError, match=r"tests\.log: the tests do not run"):
    robustness.run_tests(tmp_path)
