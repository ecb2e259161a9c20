"""What is scored survives, and is not scored twice; what has changed is."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, files_of
from evaluation_case import make_case

from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.evaluation import plan, run
from distortion_removal.evaluation.evaluate import evaluate
from distortion_removal.training import checkpoint

METHODS = ("distorted", "demucs", "ideal_ratio_mask")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """A case that has been evaluated without a break."""
  with pytest.MonkeyPatch.context() as monkeypatch:
    case = make_case(monkeypatch, tmp_path_factory.mktemp("whole") / "run")
    case.evaluate()
  return case


def _stop_at(case, call):
  """Interrupts the network's call by that number."""

  def fail(degraded):
    if case.network.calls == call:
      raise KeyboardInterrupt

  case.network.fail = fail
  with pytest.raises(KeyboardInterrupt):
    case.evaluate()
  case.network.fail = lambda degraded: None


def _without_pictures(folder):
  return {
    path.relative_to(folder): content
    for path, content in files_of(folder).items()
    if path.suffix != ".png"
  }


def test_a_stopped_evaluation_goes_on_where_it_was(case, whole, one_by_one):
  _stop_at(case, 3)
  assert case.calls == (3, 2)
  assert not list(case.workdir.rglob("*.jsonl"))
  case.evaluate()
  assert case.calls == (1, 1)
  assert case.rows() == whole.rows()
  assert case.rows("systems.jsonl") == whole.rows("systems.jsonl")
  for name in ("sounds", "listen"):
    found, expected = (files_of(x.folder / name) for x in (case, whole))
    assert {p.name: x for p, x in found.items()} == {
      p.name: x for p, x in expected.items()
    }
  assert not list(case.workdir.rglob("*.partial"))


def test_the_old_results_stay_until_the_new_ones_are_complete(case, one_by_one):
  case.evaluate()
  before = files_of(case.folder)
  case.source = case.source[::-1]
  _stop_at(case, 2)
  assert files_of(case.folder) == before


def test_the_same_evaluation_again_has_nothing_to_do(case, caplog, capsys):
  caplog.set_level("INFO")
  case.evaluate()
  before, printed = _without_pictures(case.folder), capsys.readouterr().out
  case.evaluate()
  assert case.calls == (0, 0)
  assert capsys.readouterr().out == printed
  assert any("nothing has changed since" in x for x in caplog.messages)
  assert _without_pictures(case.folder) == before


def test_results_are_made_anew_of_stored_scores(case, monkeypatch):
  case.evaluate()
  before = _without_pictures(case.folder)
  paths = list((case.folder / "sounds").iterdir())
  # Sounds take their place on the disk once, where it can be shared.
  assert {path.stat().st_nlink for path in paths} == {2}
  shutil.rmtree(case.folder)

  def refuse(*_):
    raise OSError("no hard links here")

  monkeypatch.setattr(os, "link", refuse)
  case.evaluate()
  assert case.calls == (0, 0)
  assert _without_pictures(case.folder) == before


def test_a_trained_on_network_alone_is_scored_anew(case, monkeypatch):
  case.evaluate()
  before, systems = case.rows(), case.rows("systems.jsonl")
  monkeypatch.setattr(checkpoint, "digest", lambda workdir: "other weights")
  case.network.share = 0.1
  case.evaluate()
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


def test_other_code_settings_or_options_are_another_evaluation(
  case, monkeypatch
):
  case.evaluate()
  case.config.ideal_ratio_mask = {"option": 1}
  case.evaluate()
  assert case.calls == (0, 2)  # It is the mask's alone.
  for fields in (
    {"metrics": ("sdr",)},
    {"listen_excerpts": 2},
    {"data": {"excerpt_seconds": 3.0}},
  ):
    case.config.update(fields)
    case.evaluate()
    assert case.calls == (2, 2), fields
  monkeypatch.setattr(plan, "_code", lambda: "other code")
  case.evaluate()
  assert case.calls == (2, 2)


def test_another_task_is_an_evaluation_beside_the_first(case):
  first = case.evaluate()
  before = files_of(first)
  case.config.data.effect.rail = 0.5
  assert case.evaluate() != first
  assert case.calls == (2, 2)
  assert files_of(first) == before


def test_old_scores_are_never_taken_for_new_ones(case, monkeypatch):
  """Wherever a full disk stops the new ones from taking their place."""
  case.evaluate()
  before, rows = files_of(case.folder), case.rows()
  monkeypatch.setattr(checkpoint, "digest", lambda workdir: "other weights")
  case.network.share = 0.1
  for name in ("sounds.json", "results.jsonl", "evaluation.json"):
    with monkeypatch.context() as full:
      write = Path.write_text

      def write_some(path, content, name=name, write=write):
        if path.name == name:
          raise OSError(28, "No space left on device", str(path))
        return write(path, content)

      full.setattr(Path, "write_text", write_some)
      with pytest.raises(OSError, match="No space left"):
        case.evaluate()
    assert files_of(case.folder) == before
  case.evaluate()
  assert case.network.calls == 0  # It was scored before the first failure.
  for old, new in zip(rows, case.rows(), strict=True):
    assert (old == new) == (old["method"] != "demucs")


def test_a_baseline_that_is_not_asked_for_is_not_lost(case):
  """As long as its scores are valid."""
  case.evaluate()
  before = case.rows()
  case.config.baselines = ()
  case.evaluate()
  assert case.calls == (0, 0)
  assert case.rows() == before
  case.config.metrics = ("sdr",)
  case.evaluate()
  assert {row["method"] for row in case.rows()} == {"distorted", "demucs"}


def test_scores_of_other_recordings_do_not_count(case, one_by_one):
  _stop_at(case, 3)
  case.source[0]["clean"] = -case.source[0]["clean"]
  case.evaluate()
  assert case.calls == (2, 2)


def _as_process(monkeypatch, rank, count):
  monkeypatch.setattr(devices, "process", lambda: (rank, count))
  monkeypatch.setattr(devices, "is_main_process", lambda: rank == 0)


def test_processes_share_the_excerpts(case, whole, one_by_one, monkeypatch):
  _as_process(monkeypatch, 0, 2)
  with pytest.raises(UserError, match="no scores of b; all processes"):
    case.evaluate()  # The other's scores are not on this disk.
  assert case.calls == (2, 2)
  _as_process(monkeypatch, 1, 2)
  case.evaluate()
  assert case.calls == (1, 1)
  assert not list(case.workdir.rglob("*.jsonl"))
  _as_process(monkeypatch, 0, 2)
  case.evaluate()
  assert case.calls == (0, 0)
  assert case.rows() == whole.rows()
  assert case.rows("systems.jsonl") == whole.rows("systems.jsonl")


_KILLED = """
import os, pathlib, signal, sys
from distortion_removal.evaluation import plan, store
from distortion_removal.evaluation.evaluate import evaluate
plan._MAX_BLOCK_EXCERPTS = 1
calls, save = [], store.Store.save

def counted(self, excerpt, scores):
  save(self, excerpt, scores)
  calls.append(self.folder.name)
  if calls.count("demucs") == 2:
    os.kill(os.getpid(), signal.SIGKILL)

store.Store.save = counted
evaluate(pathlib.Path(sys.argv[1]))
"""


@pytest.mark.e2e
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
  calls, together = [], run._call_together

  def count(method, members):
    calls.append(method)
    return together(method, members)

  monkeypatch.setattr(run, "_call_together", count)
  folder = evaluate(workdir)
  # The third excerpt by all methods, and the second by the last of them.
  assert len(calls) == 3 + 1
  assert len((folder / "results.jsonl").read_text().splitlines()) == 3 * 3 * 7
