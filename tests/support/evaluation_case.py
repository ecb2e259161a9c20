"""An evaluation of three excerpts, whose calls of methods are counted."""

import json

import numpy as np
from conftest import make_tiny_config, pluck
from matplotlib.figure import Figure

from distortion_removal import metrics
from distortion_removal.config import save
from distortion_removal.datasets import opening
from distortion_removal.evaluation import baselines, methods
from distortion_removal.evaluation.evaluate import evaluate

METHODS = ("distorted", "demucs", "ideal_ratio_mask")


class Counted:
  def __init__(self, share):
    self.share, self.calls, self.fail = share, 0, lambda degraded: None

  def __call__(self, degraded, clean, **_):
    self.calls += 1
    self.fail(degraded)
    share = np.float32(self.share)
    return share * degraded + (1 - share) * clean


def toy_windows(audio, *, sample_rate):
  """The mean and the peak of every second; none of a broken item."""
  audio = audio[np.isfinite(audio).all(axis=(1, 2))]
  whole = audio.shape[1] // sample_rate * sample_rate
  cut = audio[:, :whole].reshape(-1, sample_rate)
  return np.stack([cut.mean(axis=1), cut.max(axis=1)], axis=1)


def make_record(name, seconds, pitch_hz=110.0):
  clean = np.float32(pluck(seconds, pitch_hz) / 0.8)
  return {"clean": clean, "peak": np.float32(0.8), "id": name.encode()}


class Case:
  """A run in `workdir` with a network and a baseline, and its data."""

  def __init__(self, workdir):
    self.workdir = workdir
    self.config = make_tiny_config(workdir / "data")
    self.config.metrics = ("si_sdr", "toy")
    workdir.mkdir()
    save(self.config, workdir)
    self.network, self.mask = Counted(0.5), Counted(0.25)
    recordings = ("a", 2.0, 110.0), ("b", 1.25, 196.0), ("c", 2.0, 147.0)
    self.source = [make_record(*x) for x in recordings]

  def evaluate(self):
    self.network.calls = self.mask.calls = 0
    return evaluate(self.workdir, self.config)

  @property
  def calls(self):
    return self.network.calls, self.mask.calls

  @property
  def folder(self):
    (path,) = self.workdir.glob("evaluation/*/evaluation.json")
    return path.parent

  def rows(self, name="results.jsonl", times=False):
    """Without the times, which no two evaluations have in common."""
    rows = [json.loads(line) for line in (self.folder / name).open()]
    dropped = () if times else ("compute_seconds", "metric_seconds")
    return [{k: row[k] for k in row if k not in dropped} for row in rows]


def make_case(monkeypatch, workdir):
  case = Case(workdir)
  mask = baselines.Baseline(case.mask)
  monkeypatch.setitem(baselines.BASELINES, "ideal_ratio_mask", mask)
  toy = metrics.Metric(None, "", "lower", 0, np.inf, "", embed=toy_windows)
  monkeypatch.setitem(metrics.METRICS, "toy", toy)
  monkeypatch.setattr(methods, "network", lambda *_: case.network)
  monkeypatch.setattr(opening, "open_dataset", lambda data: None)
  monkeypatch.setattr(opening, "read_split", lambda *_: case.source)
  # Drawing takes longer than all else.
  monkeypatch.setattr(Figure, "savefig", lambda _, path, **__: path.touch())
  return case
