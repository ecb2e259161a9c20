"""What goes wrong with one excerpt is told, and counted, and no more."""

import json
from unittest import mock

import numpy as np
import pytest
from conftest import files_of

from distortion_removal import metrics
from distortion_removal.common.errors import UserError
from distortion_removal.evaluation import store

_SHORT = 10_000  # samples of excerpt b, 1.25 s


def test_a_method_that_fails_on_an_excerpt(case, caplog):
  """It is reported everywhere, and the next command tries it again."""

  def refuse_short(degraded):
    if degraded.shape[1] == _SHORT:
      raise FloatingPointError("too short\nby far")

  case.network.fail = refuse_short
  folder = case.evaluate()
  rows = case.rows()
  assert len(rows) == 3 * 3 * 7
  for row in rows:
    has_failed = (row["method"], row["file"]) == ("demucs", "b")
    error = "FloatingPointError: too short" if has_failed else None
    assert row.get("error") == error
    assert (row["si_sdr"] is None) == has_failed
    assert row["audio_seconds"] == (1.25 if row["file"] == "b" else 2.0)
  assert "demucs failed on b: FloatingPointError: too short" in caplog.messages
  note = "1 of 3 excerpts failed for demucs"
  assert note in (folder / "table.md").read_text().lower()
  windows = {x["method"]: x["toy_windows"] for x in case.rows("systems.jsonl")}
  assert windows["distorted"] == [7 * 5, 5]
  assert windows["demucs"] == [7 * 4, 5]
  case.network.fail = lambda degraded: None
  case.evaluate()
  assert case.calls == (1, 0)
  assert not any("error" in row for row in case.rows())


def test_one_of_many_is_found_out(case):
  """Excerpts that go through a method together fail by themselves."""
  case.source[2]["clean"][:100] = 0.0

  def fail(degraded):
    if not degraded[:, :100].any(axis=(1, 2)).all():
      raise ValueError

  case.network.fail = fail
  case.evaluate()
  failed = [row for row in case.rows() if "error" in row]
  found = {(row["method"], row["file"], row["error"]) for row in failed}
  assert found == {("demucs", "c", "ValueError()")}


def test_a_method_that_always_fails_is_an_error_at_the_end(case):
  case.network.fail = mock.Mock(side_effect=MemoryError("too much"))
  with pytest.raises(UserError, match=r"every excerpt \(MemoryError: too much"):
    case.evaluate()
  assert "3 of 3 excerpts failed" in (case.folder / "table.md").read_text()
  systems = case.rows("systems.jsonl")
  assert {row["method"] for row in systems} == {"distorted", "ideal_ratio_mask"}


def test_a_metric_that_fails_is_recorded_beside_the_others(case, monkeypatch):
  def broken(estimate, target, *, sample_rate):
    if estimate.shape[1] == _SHORT:
      raise ZeroDivisionError("nothing there")
    return np.ones(len(estimate))

  metric = metrics.Metric(broken, "", "lower", 0.0, 9.0, "Broken")
  monkeypatch.setitem(metrics.METRICS, "broken", metric)
  case.config.metrics = ("si_sdr", "broken")
  folder = case.evaluate()
  for row in case.rows():
    is_short = row["file"] == "b"
    why = "broken: ZeroDivisionError: nothing there" if is_short else None
    assert row.get("metric_errors") == why
    assert row["broken"] == (None if is_short else 1.0)
    assert row["si_sdr"] is not None
    assert "error" not in row  # The methods have done their work.
  note = "Metrics failed on 1 of 3 excerpts"
  assert note in (folder / "table.md").read_text()
  case.evaluate()
  assert case.calls == (1, 1)  # It is tried again, the methods with it.


class _Damaged(list):
  def __getitem__(self, index):
    if index == 1:
      raise RuntimeError("crc mismatch")
    return super().__getitem__(index)


def test_a_record_that_cannot_be_read(case, caplog):
  case.source = _Damaged(case.source)
  folder = case.evaluate()
  failed = [row for row in case.rows() if row["file"] == "record 1"]
  assert len(failed) == 3 * 7
  for row in failed:
    assert row["error"] == "RuntimeError: crc mismatch"
    assert row["audio_seconds"] is None
  assert any("record 1 cannot be read" in x for x in caplog.messages)
  table = (folder / "table.md").read_text()
  assert table.count("1 of 3 excerpts failed for") == 3


def test_a_broken_estimate_is_scored_but_not_heard(case, caplog):
  """What is not finite has no score, which is no failure."""
  case.network.fail = lambda degraded: degraded.fill(np.nan)
  folder = case.evaluate()
  rows = [row for row in case.rows() if row["method"] == "demucs"]
  assert {row["si_sdr"] for row in rows} == {None}
  assert not any("error" in row for row in rows)
  entries = json.loads((folder / "sounds.json").read_text())
  assert "demucs" not in {entry["method"] for entry in entries}
  assert any("not finite" in x for x in caplog.messages)


def test_a_full_disk_ends_the_evaluation(case, monkeypatch):
  case.evaluate()
  before = files_of(case.folder)
  case.source[0]["id"] = b"other"

  full = OSError(28, "No space left on device")
  with monkeypatch.context() as patched:
    patched.setattr(store, "write_whole", mock.Mock(side_effect=full))
    with pytest.raises(OSError, match="No space left"):
      case.evaluate()
  assert files_of(case.folder) == before
  case.evaluate()
  assert {row["file"] for row in case.rows()} == {"other", "b", "c"}
