"""Descriptions of data sets against numbers that are known beforehand."""

import json

import numpy as np
import pytest
from prepared import put

from distortion_removal import prepare
from distortion_removal.datasets.preparation import description
from distortion_removal.datasets.preparation.recordings import StoredExcerpt

RATE = 16_000


def excerpt(peak, loudness_lufs, frames=RATE):
  return StoredExcerpt("a", frames, peak, loudness_lufs, "", 0, 0)


def test_describe_counts_and_percentiles():
  excerpts = [excerpt(10 ** (-i / 20), -20.0 - i) for i in range(101)]
  excerpts.append(excerpt(4.0, None, frames=RATE // 2))
  facts = description.describe(excerpts, RATE, silent=34)
  assert facts["hours"] == pytest.approx(101.5 / 3600)
  assert facts["silence"] == 0.25
  percentiles = {"5": -115.0, "25": -95.0, "50": -70.0, "75": -45.0}
  assert facts["loudness_lufs"]["percentiles"] == percentiles | {"95": -25.0}
  counts = dict(
    zip(description.EDGES_DB, facts["loudness_lufs"]["histogram"], strict=False)
  )
  # −20 lies on an edge and counts above it; below −72 all are in one bin.
  assert (counts[-20], counts[-22], counts[-70], counts[-72]) == (1, 2, 2, 50)
  assert sum(facts["peak_dbfs"]["histogram"]) == 102
  assert facts["peak_dbfs"]["percentiles"]["50"] == pytest.approx(-49.5)


def test_a_sine_is_described_as_the_standard_says(tmp_path, capsys):
  """BS.1770: a 997 Hz sine at 0 dBFS has −3.01 LUFS; a peak of −20 dB less."""
  time_s = np.arange(6 * RATE) / RATE
  for i, split in enumerate(("train", "test")):
    audio = np.sin(2 * np.pi * (997.0 + i) * time_s) / 10
    audio[2 * RATE : 4 * RATE] = 0.0
    put(tmp_path / "in" / split / "a.wav", audio)
  options = [f"--data-dir={tmp_path / 'out'}", "--excerpt-seconds=2"]
  with pytest.raises(SystemExit, match=r"not prepared.*--path=FOLDER"):
    prepare.main([*options, "--describe"])
  prepare.main([*options, f"--path={tmp_path / 'in'}"])
  capsys.readouterr()
  prepare.main([*options, "--describe"])
  lines = capsys.readouterr().out.splitlines()
  folder = tmp_path / "out/audio_folder/overdrive_2s/1.0.0"
  for split, line in zip(("train", "test"), lines[1:3], strict=True):
    assert line.split()[:4] == [split, "0.001", "2", "33.3%"]
    assert line.endswith(" -20.0 … -20.0 … -20.0")
  assert lines[3] == str(folder / "description.png")
  assert (folder / "description.png").read_bytes().startswith(b"\x89PNG")
  stored = json.loads((folder / "description.json").read_text())["train"]
  assert stored["silent_excerpts"] == 1
  loudness = stored["loudness_lufs"]["percentiles"]["50"]
  assert loudness == pytest.approx(-23.01, abs=0.1)
