"""The experiment that calibrates what the inverse expects of itself."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from overdriven import rounded, strings

from distortion_removal.inversion.quality import Evidence
from experiments import inversion_quality
from experiments.inversion_quality import fit, spoilt

RATE = 16_000


def evidence(count):
  """Random evidence of as many results."""
  generator = np.random.default_rng(0)
  low = np.array([55.0, -3.0, 5.0, 10.0, 10.0, 0.0])
  high = np.array([68.0, 0.0, 55.0, 60.0, 65.0, 1.0])
  values = generator.uniform(low, high, (count, 6))
  values[:, 5] = values[:, 5].round()
  return [Evidence(*map(float, row)) for row in values]


def test_the_fit_finds_the_rule_that_made_the_scores():
  seen = evidence(400)

  def rule(one):
    is_exact = one.log_sharpness + 0.04 * one.flat_median_db > 0.3
    return one.limit_db if is_exact else 0.8 * one.flat_mean_db - 2.0

  rows = [{"evidence": x._asdict(), "si_sdr": rule(x)} for x in seen[:300]]
  coefficients = fit(rows)
  error = [abs(x.expected_db(*coefficients) - rule(x)) for x in seen[300:]]
  assert np.mean(np.array(error) < 1.0) > 0.85


@pytest.mark.parametrize("kind", list(inversion_quality._KINDS))
def test_what_follows_the_overdrive(kind):
  """Length and timing stay, and the error has the size that its kind has."""
  if "kbit/s" in kind and not shutil.which("ffmpeg"):
    pytest.skip("needs the program ffmpeg")
  audio, other = rounded(strings(2.0)), strings(1.0, 3)
  generator = np.random.default_rng(1)
  result = spoilt(kind, audio, other, RATE, generator)
  assert result.shape == audio.shape
  error_db = 10.0 * np.log10(
    np.mean((result - audio) ** 2) / np.mean(audio**2) + 1e-20
  )
  if kind == "nothing":
    assert error_db == -200.0
  else:
    assert -75.0 < error_db < -5.0


@pytest.mark.e2e
def test_scores_resume_and_are_reported(tmp_path, capsys):
  folder, output = tmp_path / "clean", tmp_path / "out"
  folder.mkdir()
  for index in range(2):
    soundfile.write(folder / f"{index}.wav", strings(3.0, index), RATE)
  words = [f"--path={folder}", f"--output={output}", "--seconds=2"]
  inversion_quality.main([*words, "--examples=2"])
  first = (output / "scores.jsonl").read_text()
  inversion_quality.main([*words, "--examples=3"])
  lines = (output / "scores.jsonl").read_text().splitlines()
  assert lines[:2] == first.splitlines()
  for row in map(json.loads, lines):
    assert row["si_sdr"] <= Evidence(**row["evidence"]).rounding_db + 1.0
  report = (output / "report.md").read_text()
  assert "| all | 3 |" in report
  assert report.strip() in capsys.readouterr().out
  assert (output / "si_sdr.png").stat().st_size > 10_000
