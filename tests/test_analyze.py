"""The command `analyze`: recordings whose faults are known."""

import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import soundfile
from overdriven import notes

from distortion_removal import analyze
from distortion_removal.effects.overdrive import overdrive
from distortion_removal.inference import analysis

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
  levels = [*clipping["low"][0], *clipping["high"][0]]
  np.testing.assert_allclose(levels, [-0.2, 0.3], atol=2**-23)
  is_clipped = (clean < -0.2) | (clean > 0.3)
  assert abs(clipping["clipped_samples"] - is_clipped.sum()) <= 2
  assert not first["effects"][0]["is_certain"]
  (effect,) = second["effects"]
  assert effect["is_certain"] and effect["effect"] == "overdrive"
  assert effect["gain_db"] == pytest.approx(32.0, abs=0.1)
  assert effect["scale"] == pytest.approx(0.6, rel=5e-4)
  assert effect["colour"] == pytest.approx(0.0, abs=1.0)


@pytest.fixture
def no_search(monkeypatch):
  """Leaves out the search of effects, which takes seconds."""
  monkeypatch.setattr(analysis.blind, "find", lambda *_: [None])


def test_a_bad_file_does_not_stop_the_others(
  tmp_path, monkeypatch, capsys, no_search
):
  monkeypatch.chdir(tmp_path)
  Path("bad.wav").write_text("no sound")
  for name in ("a.wav", "b.wav"):
    soundfile.write(name, np.clip(notes(RATE), -0.2, 0.3), RATE)
  with pytest.raises(SystemExit) as status:
    analyze.main(["none.wav", "a.wav", "bad.wav", "b.wav", "--json"])
  out, err = capsys.readouterr()
  assert status.value.code == 1
  assert [json.loads(x)["file"] for x in out.splitlines()] == ["a.wav", "b.wav"]
  first, second = err.splitlines()
  assert first.startswith("error: none.wav") and "bad.wav" in second


def test_text_names_levels_and_places(tmp_path, monkeypatch, capsys, no_search):
  monkeypatch.chdir(tmp_path)
  audio = 0.4 * notes(RATE)
  audio[2 * RATE : 3 * RATE] = np.clip(
    notes(RATE)[2 * RATE : 3 * RATE], -1, 0.3
  )
  soundfile.write("take.wav", audio, RATE, subtype="FLOAT")
  analyze.main(["take.wav"])
  text = capsys.readouterr().out
  clipped = np.count_nonzero(audio == np.float32(0.3))
  for words in (
    "take.wav",
    "clipped at 0.3",
    f"{clipped} above",
    "0:02.",
    "LUFS",
  ):
    assert words in text


@pytest.mark.parametrize(
  ("words", "reason"),
  [
    (["a.wav", "b.wav", "--plot=p.png"], "one recording"),
    (["a.wav", "--plot=p.pdf"], "png"),
    (["a.wav", "--plot=none/p.png"], "folder"),
  ],
)
def test_plots_that_cannot_be(words, reason):
  with pytest.raises(SystemExit, match=reason):
    analyze.main(words)


@pytest.mark.e2e
def test_plot(tmp_path, monkeypatch, no_search):
  monkeypatch.chdir(tmp_path)
  soundfile.write("take.wav", np.clip(notes(RATE), -0.2, 0.3), RATE)
  analyze.main(["take.wav", "--plot=p.png"])
  with pytest.raises(SystemExit, match="exists"):
    analyze.main(["take.wav", "--plot=p.png"])
  image = matplotlib.image.imread("p.png")
  assert image.shape[1] == 2100
  # Red is what is clipped: at the top and the bottom, not in between.
  is_red = np.all(abs(image[..., :3] - [0.84, 0.15, 0.16]) < 0.02, axis=-1)
  rows = np.flatnonzero(is_red.sum(axis=1) > 400)
  assert len(rows) and np.ptp(rows) > 100
