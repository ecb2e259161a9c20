"""An evaluation of three excerpts, whose calls of methods are counted."""

import json

import numpy as np
from conftest import pluck


class Counted:
  """A method that tells what it is called with; it can be made to fail."""

  def __init__(self, share):
    self.share, self.calls, self.fail = share, 0, lambda degraded: None

  def __call__(self, degraded, clean, **_):
    self.calls += 1
    self.fail(degraded)
    share = np.float32(self.share)
    return share * degraded + (1 - share) * clean


class Case:
  """A run in `workdir` with a network and a baseline, and its data."""

  def __init__(self, workdir, config):
    self.workdir, self.config = workdir, config
    self.network, self.mask = Counted(0.5), Counted(0.25)
    self.source = [
      {
        "clean": np.float32(pluck(seconds, pitch_hz) / 0.8),
        "peak": np.float32(0.8),
        "id": name.encode(),
      }
      for name, seconds, pitch_hz in (
        ("a", 2.0, 110.0),
        ("b", 1.25, 196.0),
        ("c", 2.0, 147.0),
      )
    ]

  @property
  def calls(self):
    return self.network.calls, self.mask.calls

  def reset(self):
    self.network.calls = self.mask.calls = 0

  @property
  def folder(self):
    (folder,) = (self.workdir / "evaluation").iterdir()
    return folder

  def rows(self, name="results.jsonl"):
    """Without the times, which no two evaluations have in common."""
    return [
      {k: v for k, v in json.loads(x).items() if not k.endswith("_seconds")}
      | {"audio_seconds": json.loads(x).get("audio_seconds")}
      for x in (self.folder / name).open()
    ]
