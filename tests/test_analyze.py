"""The command `analyze`: its JSON about recordings whose faults are known."""

import json

import numpy as np
import pytest
import soundfile
from overdriven import notes

from distortion_removal import analyze
from distortion_removal.effects.overdrive import overdrive

RATE = 16_000


@pytest.mark.e2e
def test_clipping_and_overdrive_are_told_apart(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  clean = notes(RATE)
  driven = 0.6 * np.asarray(overdrive(clean[None], 32.0))[0]
  clipped = np.clip(clean, -0.2, 0.3)
  soundfile.write("clipped.wav", clipped, RATE, subtype="PCM_24")
  soundfile.write("driven.wav", driven, RATE, subtype="PCM_24")
  analyze.main(["clipped.wav", "driven.wav", "--json"])
  first, second = map(json.loads, capsys.readouterr().out.splitlines())
  clipping = first["clipping"]
  levels = clipping["low"] + clipping["high"]
  np.testing.assert_allclose(levels, [-0.2, 0.3], atol=2**-23)
  is_clipped = (clean < -0.2) | (clean > 0.3)
  assert abs(clipping["clipped_samples"] - is_clipped.sum()) <= 2
  assert not first["effects"][0]["is_certain"]
  (effect,) = second["effects"]
  assert effect["is_certain"] and effect["effect"] == "overdrive"
  assert effect["gain_db"] == pytest.approx(32.0, abs=0.1)
  assert effect["scale"] == pytest.approx(0.6, rel=5e-4)
  assert effect["colour"] == pytest.approx(0.0, abs=1.0)
