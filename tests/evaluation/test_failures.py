"""What goes wrong with one excerpt is told, and counted, and no more."""

import errno
import json
import os

import numpy as np
import pytest
from conftest import files_of

from distortion_removal import metrics
from distortion_removal.common.errors import UserError
from distortion_removal.evaluation import evaluate, store
from distortion_removal.report import failures

_SHORT = 10_000  # samples of excerpt b, 1.25 s


def _refuse_short(degraded):
  if degraded.shape[1] == _SHORT:
    raise FloatingPointError("too short\nby far")


def test_a_method_that_fails_on_an_excerpt(case, caplog):
  case.network.fail = _refuse_short
  folder = evaluate.evaluate(case.workdir)
  rows = case.rows()
  assert len(rows) == 3 * 3 * 7
  for row in rows:
    if (row["method"], row["file"]) == ("demucs", "b"):
      assert row["error"] == "FloatingPointError: too short"
      assert row["si_sdr"] is None
      assert row["audio_seconds"] == 1.25
    else:
      assert "error" not in row
      assert row["si_sdr"] is not None
  told = [x for x in caplog.messages if "demucs" in x]
  assert told == ["demucs failed on b: FloatingPointError: too short"]
  table = (folder / "table.md").read_text()
  assert "1 of 3 excerpts failed for Demucs: see results.jsonl." in table
  systems = case.rows("systems.jsonl")
  windows = {r["method"]: r["frechet_logmel_windows"] for r in systems}
  assert windows["distorted"] == [7 * 5, 5]
  assert windows["demucs"] == [7 * 4, 5]


def test_one_of_many_is_found_out(case):
  """Excerpts that go through a method together fail by themselves."""
  case.source[2]["clean"][:100] = 0.0

  def fail(degraded):
    if not degraded[:, :100].any(axis=(1, 2)).all():
      raise ValueError

  case.network.fail = fail
  evaluate.evaluate(case.workdir)
  failed = {
    (row["method"], row["file"], row["error"])
    for row in case.rows()
    if "error" in row
  }
  assert failed == {("demucs", "c", "ValueError()")}


def test_what_failed_is_tried_again_and_nothing_else(case):
  case.network.fail = _refuse_short
  evaluate.evaluate(case.workdir)
  case.reset()
  case.network.fail = lambda degraded: None
  evaluate.evaluate(case.workdir)
  assert case.calls == (2, 0)
  assert not any("error" in row for row in case.rows())


def test_a_method_that_always_fails_is_an_error_at_the_end(case):
  def fail(degraded):
    raise MemoryError("too much")

  case.network.fail = fail
  message = r"demucs failed on every excerpt \(MemoryError: too much\); see "
  with pytest.raises(UserError, match=message):
    evaluate.evaluate(case.workdir)
  rows = case.rows()
  assert sum("error" in row for row in rows) == 3 * 7
  assert "3 of 3 excerpts failed" in (case.folder / "table.md").read_text()
  assert "| Demucs | n/a |" in (case.folder / "table.md").read_text()
  systems = case.rows("systems.jsonl")
  assert {row["method"] for row in systems} == {"distorted", "ideal_ratio_mask"}


def test_a_metric_that_fails_is_recorded_beside_the_others(case, monkeypatch):
  def broken(estimate, target, *, sample_rate):
    if estimate.shape[1] == _SHORT:
      raise ZeroDivisionError("nothing there")
    return np.ones(len(estimate))

  described = "", "lower", 0.0, 9.0, "Broken", "as it is"
  monkeypatch.setitem(
    metrics.METRICS, "broken", metrics.Metric(broken, *described)
  )
  case.config.metrics = ("si_sdr", "broken")
  folder = evaluate.evaluate(case.workdir, case.config)
  for row in case.rows():
    assert row["si_sdr"] is not None
    if row["file"] == "b":
      assert row["broken"] is None
      why = "broken: ZeroDivisionError: nothing there"
      assert row["metric_errors"] == why
    else:
      assert row["broken"] == 1.0
      assert "metric_errors" not in row
    assert "error" not in row  # The methods have done their work.
  table = (folder / "table.md").read_text()
  assert "Metrics failed on 1 of 3 excerpts" in table
  assert "failed for" not in table
  case.reset()
  evaluate.evaluate(case.workdir, case.config)
  assert case.calls == (2, 2)  # It is tried again, the methods with it.


class _Damaged(list):
  def __getitem__(self, index):
    if index == 1:
      raise RuntimeError("crc mismatch")
    return super().__getitem__(index)


def test_a_record_that_cannot_be_read(case, caplog):
  case.source = _Damaged(case.source)
  folder = evaluate.evaluate(case.workdir)
  failed = [row for row in case.rows() if "error" in row]
  assert len(failed) == 3 * 7
  assert {row["file"] for row in failed} == {"record 1"}
  assert {row["error"] for row in failed} == {"RuntimeError: crc mismatch"}
  assert {row["audio_seconds"] for row in failed} == {None}
  told = [x for x in caplog.messages if "crc" in x]
  assert told == ["record 1 cannot be read: RuntimeError: crc mismatch"]
  table = (folder / "table.md").read_text()
  for method in ("distorted", "Demucs", "ideal ratio mask"):
    assert f"1 of 3 excerpts failed for {method}" in table


def test_a_broken_estimate_is_scored_but_not_heard(case, caplog):
  """What is not finite has no score, which is no failure."""

  def fail(degraded):
    degraded[:, 5] = np.nan

  case.network.fail = fail
  folder = evaluate.evaluate(case.workdir)
  rows = [row for row in case.rows() if row["method"] == "demucs"]
  assert {row["si_sdr"] for row in rows} == {None}
  assert not any("error" in row for row in rows)
  entries = json.loads((folder / "sounds.json").read_text())
  assert "demucs" not in {entry["method"] for entry in entries}
  assert any("not finite" in x for x in caplog.messages)


def test_a_full_disk_ends_the_evaluation(case, monkeypatch):
  evaluate.evaluate(case.workdir)
  before = files_of(case.folder)
  case.source = case.source[:2]

  def full(path, content):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

  monkeypatch.setattr(store, "write_whole", full)
  with pytest.raises(OSError, match="No space left"):
    evaluate.evaluate(case.workdir)
  after = files_of(case.folder)
  assert {path: after[path] for path in before} == before


def test_reasons_are_one_line():
  assert failures.reason(ValueError("a\nb")) == "ValueError: a"
  assert failures.reason(ValueError()) == "ValueError()"
  long = failures.reason(ValueError("x" * 1000))
  assert len(long) == 300
  assert long.endswith("…")
