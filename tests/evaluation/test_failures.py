"""What goes wrong with one excerpt is told, and counted, and no more."""

import json
from unittest import mock

import numpy as np
import pytest

from distortion_removal import metrics
from distortion_removal.common.errors import UserError


def test_a_method_that_fails_on_an_excerpt(case, caplog):
  """It is reported everywhere, and the next command tries it again.

  Excerpts that go through a method together, a and c, fail by themselves.
  """
  case.source[2]["clean"][:100] = 0.0

  def refuse_silence(degraded):
    if not degraded[:, :100].any(axis=(1, 2)).all():
      raise FloatingPointError("too silent\nby far")

  case.network.fail = refuse_silence
  folder = case.evaluate()
  rows = case.rows()
  assert len(rows) == 3 * 3 * 7
  for row in rows:
    has_failed = (row["method"], row["file"]) == ("demucs", "c")
    error = "FloatingPointError: too silent" if has_failed else None
    assert row.get("error") == error
    assert (row["si_sdr"] is None) == has_failed
    assert row["audio_seconds"] == (1.25 if row["file"] == "b" else 2.0)
  assert "demucs failed on c: FloatingPointError: too silent" in caplog.messages
  table = (folder / "table.md").read_text().lower()
  assert "1 of 3 excerpts failed for demucs" in table
  windows = {x["method"]: x["toy_windows"] for x in case.rows("systems.jsonl")}
  assert windows["distorted"] == [7 * 5, 5]
  assert windows["demucs"] == [7 * 3, 5]
  case.network.fail = lambda degraded: None
  case.evaluate()
  assert case.calls == (1, 0)
  assert not any("error" in row for row in case.rows())


def test_a_method_that_always_fails_is_an_error_at_the_end(case):
  case.network.fail = mock.Mock(side_effect=MemoryError("too much"))
  with pytest.raises(UserError, match=r"every excerpt \(MemoryError: too much"):
    case.evaluate()
  assert "3 of 3 excerpts failed" in (case.folder / "table.md").read_text()
  systems = case.rows("systems.jsonl")
  assert {row["method"] for row in systems} == {"distorted", "ideal_ratio_mask"}


def test_a_metric_that_fails_is_recorded_beside_the_others(case, monkeypatch):
  def broken(estimate, target, *, sample_rate):
    if estimate.shape[1] == 10_000:  # 1.25 s, excerpt b
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
  sets = [x for x in case.rows("systems.jsonl") if x["method"] == "demucs"]
  assert all((x["toy"], x["toy_windows"][0]) == (None, 0) for x in sets)
  entries = json.loads((folder / "sounds.json").read_text())
  assert "demucs" not in {entry["method"] for entry in entries}
  assert any("not finite" in x for x in caplog.messages)
