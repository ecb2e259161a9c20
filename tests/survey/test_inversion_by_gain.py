"""The experiment on the blind inverse: its table, and all of it in small."""

import json

import numpy as np
import pytest
import soundfile
from overdriven import overdriven, si_sdr_db, strings

from distortion_removal.audio.loudness import integrated_loudness
from experiments import inversion_by_gain

RATE = 16_000


def row(file, gain_db, score, *, is_undone=True):
  return {
    "file": file,
    "gain_db": gain_db,
    "colour": 0.0,
    "si_sdr": score,
    "si_sdr_known": 70.0,
    "si_sdr_distorted": 3.0,
    "is_undone": is_undone,
  }


def test_the_table_has_medians_the_worst_and_those_of_the_paper():
  rows = [
    *(row(name, 20.0, x) for name, x in zip("abc", (60, 62, 69), strict=True)),
    row("a", 50.0, 2.0, is_undone=False),
    row("b", 50.0, None),
  ]
  found = inversion_by_gain.table(rows)
  assert list(found.header) == ["method", "20 dB", "50 dB", "all"]
  own, theirs = (section.rows for section in found.sections)
  assert own[0][1:] == ["62.00", "2.00", "61.00"]
  assert own[1][1:] == ["60.00", "2.00", "2.00"]
  assert own[2][1:] == ["70.00"] * 3
  assert own[3][1:] == ["3.00"] * 3
  assert ["Demucs", "", "", "37.91"] in theirs
  assert found.notes[0].startswith("1 of 5 ")
  (axis,) = inversion_by_gain.draw(rows).axes
  line = axis.get_lines()[0]
  np.testing.assert_allclose(line.get_xydata(), [[20, 62], [50, 2]])


def test_degrades_at_the_loudness_of_the_paper_in_16_bits():
  clean = strings(1.0)[:, None]
  audio, known = inversion_by_gain.degrade(clean, RATE, 35.0, 20.0)
  expected = known.scale * overdriven(clean[:, 0], 35.0, 20.0)
  np.testing.assert_allclose(audio[:, 0], expected, atol=0.51 * 2.0**-15)
  np.testing.assert_array_equal(audio * 2**15, np.rint(audio * 2**15))
  lufs = integrated_loudness(audio, sample_rate=RATE)
  assert lufs == pytest.approx(-19.0, abs=0.01)


@pytest.mark.e2e
def test_a_recording_from_end_to_end_and_again(tmp_path, monkeypatch, capsys):
  source, output = tmp_path / "recordings", tmp_path / "by_gain"
  source.mkdir()
  soundfile.write(source / "a.wav", strings(2.5), RATE, subtype="FLOAT")
  words = [f"--path={source}", f"--output={output}", "--seconds=2"]
  inversion_by_gain.main([*words, "--gains=35"])
  (scores,) = map(json.loads, (output / "scores.jsonl").open())
  assert (scores["file"], scores["gain_db"]) == ("a.wav.wav", 35.0)
  assert scores["is_undone"]
  assert scores["si_sdr"] > scores["si_sdr_known"] - 2.0 > 50.0
  assert scores["found"]["gain_db"] == pytest.approx(35.0, abs=0.1)
  clean = 0.5 * soundfile.read(output / "excerpts" / "a.wav.wav")[0]
  assert scores["si_sdr_distorted"] == pytest.approx(
    si_sdr_db(overdriven(clean, 35.0, 0.0), clean), abs=0.01
  )
  page = (output / "report.md").read_text()
  assert page in capsys.readouterr().out
  assert f"| {scores['si_sdr']:.2f} |" in page
  assert (output / "si_sdr.png").stat().st_size
  # What is scored is not scored again; another gain is added.
  calls = []

  def score(clean, rate, gain_db, colour):
    calls.append((len(clean), rate, gain_db, colour))
    return scores | {"gain_db": gain_db}

  monkeypatch.setattr(inversion_by_gain, "score", score)
  inversion_by_gain.main([*words, "--gains=35,40"])
  assert calls == [(2 * RATE, RATE, 40.0, 0.0)]
  assert len((output / "scores.jsonl").read_text().splitlines()) == 2
  assert "| 40 dB |" in (output / "report.md").read_text()
