"""What is scored survives, and is not scored twice; what has changed is."""

import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT, files_of

from distortion_removal import metrics
from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.evaluation import completion, evaluate, scoring
from distortion_removal.training import checkpoint

METHODS = ("distorted", "demucs", "ideal_ratio_mask")


def _stop_at(case, call):
  """The network's call by that number is interrupted."""

  def fail(degraded):
    if case.network.calls == call:
      raise KeyboardInterrupt

  case.network.fail = fail


def test_a_stopped_evaluation_goes_on_where_it_was(make_case, one_by_one):
  whole = make_case("whole")
  evaluate.evaluate(whole.workdir)
  assert whole.calls == (3, 3)
  case = make_case("stopped")
  _stop_at(case, 3)
  with pytest.raises(KeyboardInterrupt):
    evaluate.evaluate(case.workdir)
  assert case.calls == (3, 2)
  assert not list(case.folder.glob("*.jsonl"))
  case.reset()
  case.network.fail = lambda degraded: None
  evaluate.evaluate(case.workdir)
  assert case.calls == (1, 1)
  assert case.rows() == whole.rows()
  assert case.rows("systems.jsonl") == whole.rows("systems.jsonl")
  for folder in ("sounds", "listen"):
    assert [
      (path.name, content)
      for path, content in sorted(files_of(case.folder / folder).items())
    ] == [
      (path.name, content)
      for path, content in sorted(files_of(whole.folder / folder).items())
    ]
  assert not (case.folder / "parts").exists()
  assert not list(case.folder.rglob("*.partial"))


def test_the_old_results_stay_until_the_new_ones_are_complete(case, one_by_one):
  evaluate.evaluate(case.workdir)
  before = files_of(case.folder)
  case.source = case.source[::-1]
  _stop_at(case, 3 + 2)
  with pytest.raises(KeyboardInterrupt):
    evaluate.evaluate(case.workdir)
  after = files_of(case.folder)
  assert {path: after[path] for path in before} == before
  assert all("parts" in path.parts for path in after.keys() - before.keys())


def test_the_same_evaluation_again_has_nothing_to_do(case, caplog, capsys):
  caplog.set_level("INFO")
  evaluate.evaluate(case.workdir)
  before, printed = files_of(case.folder), capsys.readouterr().out
  case.reset()
  evaluate.evaluate(case.workdir)
  assert case.calls == (0, 0)
  assert capsys.readouterr().out == printed
  assert any("nothing has changed since" in x for x in caplog.messages)
  after = files_of(case.folder)
  assert after.keys() == before.keys()
  for path in before:
    if path.suffix != ".png":
      assert after[path] == before[path], path


def test_a_trained_on_network_alone_is_scored_anew(case, monkeypatch):
  evaluate.evaluate(case.workdir)
  before, systems = case.rows(), case.rows("systems.jsonl")
  case.reset()
  monkeypatch.setattr(checkpoint, "digest", lambda workdir: "other weights")
  case.network.share = 0.1
  evaluate.evaluate(case.workdir)
  assert case.calls == (2, 0)  # two lengths
  for old, new in (
    (before, case.rows()),
    (systems, case.rows("systems.jsonl")),
  ):
    assert len(old) == len(new)
    for a, b in zip(old, new, strict=True):
      assert (a == b) == (a["method"] != "demucs")
      assert a.keys() == b.keys()
  entries = json.loads((case.folder / "sounds.json").read_text())
  assert {e["method"] for e in entries} == {*METHODS, "clean"}
  assert all((case.folder / e["path"]).is_file() for e in entries)


@pytest.mark.parametrize(
  "change",
  [
    lambda config: config.update(metrics=("sdr",)),
    lambda config: config.update(listen_excerpts=2),
    lambda config: config.data.update(excerpt_seconds=3.0),
    lambda config: config.data.update(task="tanh"),
  ],
)
def test_other_settings_are_another_evaluation(case, change):
  evaluate.evaluate(case.workdir)
  case.reset()
  change(case.config)
  evaluate.evaluate(case.workdir, case.config)
  assert case.calls == (2, 2)


@pytest.mark.parametrize(
  "name", ["sounds.json", "systems.jsonl", "results.jsonl", "evaluation.json"]
)
def test_old_scores_are_never_taken_for_new_ones(case, monkeypatch, name):
  """Wherever a full disk stops the new ones from taking their place."""
  evaluate.evaluate(case.workdir)
  before = case.rows()
  monkeypatch.setattr(checkpoint, "digest", lambda workdir: "other weights")
  case.network.share = 0.1
  write, full = completion.write_whole, True

  def write_some(path, content):
    if full and path.name == name:
      raise OSError(28, "No space left on device", str(path))
    write(path, content)

  monkeypatch.setattr(completion, "write_whole", write_some)
  with pytest.raises(OSError, match="No space left"):
    evaluate.evaluate(case.workdir)
  full = False
  case.reset()
  evaluate.evaluate(case.workdir)
  assert case.network.calls == 0  # What was scored is in parts.
  for old, new in zip(before, case.rows(), strict=True):
    assert (old == new) == (old["method"] != "demucs")
  assert not (case.folder / "parts").exists()


def test_a_baseline_that_is_not_asked_for_is_not_lost(case):
  """As long as its scores hold; then it is the run's business."""
  evaluate.evaluate(case.workdir)
  before = case.rows()
  case.reset()
  case.config.baselines = ()
  evaluate.evaluate(case.workdir, case.config)
  assert case.calls == (0, 0)
  assert case.rows() == before
  case.config.metrics = ("sdr",)
  evaluate.evaluate(case.workdir, case.config)
  assert {row["method"] for row in case.rows()} == {"distorted", "demucs"}


def test_unfinished_parts_of_others_stay(case):
  evaluate.evaluate(case.workdir)
  other = case.folder / "parts" / "aspade" / "000000.json"
  other.parent.mkdir(parents=True)
  other.write_text("{}")
  case.config.metrics = ("sdr",)
  evaluate.evaluate(case.workdir, case.config)
  assert [p for p in files_of(case.folder) if "parts" in p.parts] == [other]


def test_other_code_is_another_evaluation(case, monkeypatch):
  evaluate.evaluate(case.workdir)
  case.reset()
  code = "distortion_removal.evaluation.fingerprints._code"
  monkeypatch.setattr(code, lambda: "other code")
  evaluate.evaluate(case.workdir)
  assert case.calls == (2, 2)


def test_options_of_a_baseline_are_its_own_business(case):
  evaluate.evaluate(case.workdir)
  case.reset()
  case.config.ideal_ratio_mask = {"variant": "power"}
  evaluate.evaluate(case.workdir, case.config)
  assert case.calls == (0, 2)


def test_parts_of_other_recordings_do_not_count(case, one_by_one):
  _stop_at(case, 3)
  with pytest.raises(KeyboardInterrupt):
    evaluate.evaluate(case.workdir)
  case.reset()
  case.network.fail = lambda degraded: None
  case.source[0]["clean"] = -case.source[0]["clean"]
  evaluate.evaluate(case.workdir)
  assert case.calls == (2, 2)


def _as_process(monkeypatch, rank, count):
  monkeypatch.setattr(devices, "process", lambda: (rank, count))
  monkeypatch.setattr(devices, "is_main_process", lambda: rank == 0)


def test_processes_share_the_excerpts(make_case, one_by_one, monkeypatch):
  whole = make_case("whole")
  evaluate.evaluate(whole.workdir)
  case = make_case("shared")
  _as_process(monkeypatch, 1, 2)
  evaluate.evaluate(case.workdir)
  assert case.calls == (1, 1)
  assert not list(case.folder.glob("*.json*"))
  case.reset()
  _as_process(monkeypatch, 0, 2)
  evaluate.evaluate(case.workdir)
  assert case.calls == (2, 2)
  assert case.rows() == whole.rows()
  assert case.rows("systems.jsonl") == whole.rows("systems.jsonl")


def test_processes_that_share_no_disk_are_told(case, one_by_one, monkeypatch):
  _as_process(monkeypatch, 0, 2)
  with pytest.raises(UserError, match="no scores of b; all processes"):
    evaluate.evaluate(case.workdir)


_KILLED = """
import os, pathlib, signal, sys
from distortion_removal.evaluation import methods
from distortion_removal.evaluation.evaluate import evaluate
from distortion_removal.evaluation import excerpts, store
excerpts._MOST_EXCERPTS = 1
calls, save = [], store.Store.save

def counted(self, group, part):
  save(self, group, part)
  calls.append(self.folder.name)
  if calls.count("demucs") == 2:
    os.kill(os.getpid(), signal.SIGKILL)

store.Store.save = counted
evaluate(pathlib.Path(sys.argv[1]))
"""


def test_a_killed_process_leaves_what_it_has_done(
  tiny_run, tmp_path, monkeypatch, one_by_one
):
  workdir = tmp_path / "run"
  workdir.mkdir()
  for name in ("config.json", "checkpoints"):
    (workdir / name).symlink_to(tiny_run / name)
  command = [sys.executable, "-c", _KILLED, str(workdir)]
  environment = os.environ | {"JAX_PLATFORMS": "cpu"}
  killed = subprocess.run(command, cwd=ROOT, env=environment, check=False)
  assert killed.returncode == -signal.SIGKILL
  calls, together = [], scoring._together

  def count(method, members):
    calls.append(method)
    return together(method, members)

  monkeypatch.setattr(scoring, "_together", count)
  folder = evaluate.evaluate(workdir)
  # The third excerpt by all methods, and the second by the last of them.
  assert len(calls) == 3 + 1
  assert len((folder / "results.jsonl").read_text().splitlines()) == 3 * 3 * 7
  assert metrics.get("si_sdr").label in (folder / "table.md").read_text()
