"""What is scored survives, and is not scored twice; what has changed is."""

import json
import os
import shutil
import signal
import subprocess
import sys
from unittest import mock

import pytest
from conftest import ROOT, files_of
from evaluation_case import METHODS, make_case

from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.evaluation import plan, run, store
from distortion_removal.evaluation.evaluate import evaluate
from distortion_removal.report import overview
from distortion_removal.training import checkpoint


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


def _content(case):
  """The files of the results, but for times, fingerprints and pictures."""
  others = "results.jsonl", "evaluation.json"
  files = {
    path.relative_to(case.folder): content
    for path, content in files_of(case.folder).items()
    if path.suffix != ".png" and path.name not in others
  }
  return files | {"rows": case.rows()}


def test_a_stopped_evaluation_goes_on_where_it_was(case, whole, one_by_one):
  _stop_at(case, 3)
  assert case.calls == (3, 2)
  assert not list(case.workdir.rglob("*.jsonl"))
  case.evaluate()
  assert case.calls == (1, 1)
  assert _content(case) == _content(whole)
  assert not list(case.workdir.rglob("*.partial"))
  # The old results stay until the new ones are complete. Scores of other
  # recordings do not count.
  before = files_of(case.folder)
  for k in (0, 2):
    case.source[k]["clean"] = -case.source[k]["clean"]
  _stop_at(case, 2)
  assert files_of(case.folder) == before
  case.evaluate()
  assert case.calls == (1, 1)


def test_the_same_evaluation_again_has_nothing_to_do(case, capsys, monkeypatch):
  """The results are made of the stored scores, if need be anew.

  Baselines that are not asked for stay as long as their scores are valid.
  """
  folder = case.evaluate()
  before, times = _content(case), case.rows(times=True)
  printed = capsys.readouterr().out
  # Sounds take their place on the disk once, where it can be shared.
  paths = (folder / "sounds").iterdir()
  assert {path.stat().st_nlink for path in paths} == {2}
  shutil.rmtree(folder)

  monkeypatch.setattr(os, "link", mock.Mock(side_effect=OSError))
  case.config.baselines = ()
  case.evaluate()
  assert case.calls == (0, 0)
  assert capsys.readouterr().out == printed
  assert (_content(case), case.rows(times=True)) == (before, times)
  case.config.metrics = ("sdr",)
  case.evaluate()
  assert {row["method"] for row in case.rows()} == {"distorted", "demucs"}


def test_other_code_settings_or_options_are_another_evaluation(
  case, monkeypatch
):
  case.source = case.source[:1]
  case.evaluate()
  for fields, calls in (
    ({"ideal_ratio_mask": {"option": 1}}, (0, 1)),
    ({"metrics": ("sdr",)}, (1, 1)),
    ({"listen_excerpts": 2}, (1, 1)),
    ({"data": {"excerpt_seconds": 3.0}}, (1, 1)),
  ):
    case.config.update(fields)
    case.evaluate()
    assert case.calls == calls, fields
  monkeypatch.setattr(plan, "_code", lambda: "other code")
  case.evaluate()
  assert case.calls == (1, 1)


def test_a_trained_on_network_alone_is_scored_anew(case, monkeypatch):
  """Its old scores are never taken for new ones, also when a disk gets full."""
  case.evaluate()
  before, files = case.rows(), files_of(case.folder)
  monkeypatch.setattr(checkpoint, "digest", lambda workdir: "other weights")
  case.network.share = 0.1
  full = mock.Mock(side_effect=OSError(28, "No space left on device"))
  for module, name in ((store, "write_whole"), (overview, "write_overview")):
    with monkeypatch.context() as patched:
      patched.setattr(module, name, full)
      with pytest.raises(OSError, match="No space left"):
        case.evaluate()
    assert files_of(case.folder) == files
  assert case.calls == (2, 0)  # There are two lengths.
  case.evaluate()
  assert case.calls == (0, 0)
  for old, new in zip(before, case.rows(), strict=True):
    assert (old == new) == (old["method"] != "demucs")
    assert old.keys() == new.keys()
  entries = json.loads((case.folder / "sounds.json").read_text())
  assert {e["method"] for e in entries} == {*METHODS, "clean"}
  assert all((case.folder / e["path"]).is_file() for e in entries)


def test_processes_share_the_excerpts(case, whole, one_by_one, monkeypatch):
  rank = 0
  monkeypatch.setattr(devices, "process", lambda: (rank, 2))
  monkeypatch.setattr(devices, "is_main_process", lambda: rank == 0)
  with pytest.raises(UserError, match="no scores of b; all processes"):
    case.evaluate()  # The other's scores are not on this disk.
  assert case.calls == (2, 2)
  rank = 1
  case.evaluate()
  assert case.calls == (1, 1)
  assert not list(case.workdir.rglob("*.jsonl"))
  rank = 0
  case.evaluate()
  assert case.calls == (0, 0)
  assert _content(case) == _content(whole)


_KILLED = """
import os, pathlib, signal, sys
from distortion_removal.evaluation import plan, store
from distortion_removal.evaluation.evaluate import evaluate
plan._MAX_BLOCK_EXCERPTS = 1
calls, save = [], store.ScoreStore.save

def counted(self, excerpt, scores):
  save(self, excerpt, scores)
  calls.append(self.folder.name)
  if calls.count("demucs") == 2:
    os.kill(os.getpid(), signal.SIGKILL)

store.ScoreStore.save = counted
evaluate(pathlib.Path(sys.argv[1]))
"""


@pytest.mark.e2e
def test_a_real_run_goes_on_where_its_evaluation_was_killed(
  tiny_run, tmp_path, monkeypatch, one_by_one
):
  for name in ("config.json", "checkpoints"):
    (tmp_path / name).symlink_to(tiny_run / name)
  command = [sys.executable, "-c", _KILLED, str(tmp_path)]
  environment = os.environ | {"JAX_PLATFORMS": "cpu"}
  killed = subprocess.run(command, cwd=ROOT, env=environment, check=False)
  assert killed.returncode == -signal.SIGKILL
  together = mock.Mock(wraps=run._call_together)
  monkeypatch.setattr(run, "_call_together", together)
  lines = (evaluate(tmp_path) / "results.jsonl").read_text().splitlines()
  # The third excerpt by all methods, and the second by the last of them.
  assert together.call_count == 3 + 1
  files = ["test/00.wav#000", "test/01.wav#000", "test/01.wav#001"]
  assert [json.loads(line)["file"] for line in lines[:: 3 * 7]] == files
  assert len(lines) == 3 * 3 * 7
