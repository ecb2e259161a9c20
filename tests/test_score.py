"""The command `score`: its JSON against the metrics, and its mistakes."""

import json
import runpy
import sys

import numpy as np
import pytest
import scipy.signal
import soundfile
from conftest import pluck

from distortion_removal import metrics, score
from distortion_removal.common.errors import UserError
from distortion_removal.metrics import Metric

RATE = 16_000


@pytest.fixture
def files(tmp_path, monkeypatch):
  """Recordings by name, in the folder where the command runs."""
  monkeypatch.chdir(tmp_path)
  audio = pluck(1.0, 110.0, RATE).astype(np.float32)
  hard = np.clip(audio, -0.3, 0.3)
  found = {
    "clean": audio,
    "clipped": hard,
    "better": 0.5 * (audio + hard),
    "late": np.concatenate([np.zeros((37, 1), "f4"), audio]),
    "stereo": np.repeat(audio, 2, axis=1),
    "surround": np.repeat(audio, 3, axis=1),
    "silent": 0 * audio,
    "offset": 0 * audio + np.float32(0.5),
    "one": audio[100:101],
    "nan": np.where(audio == audio[-1], np.float32(np.nan), audio),
  }
  for name, samples in found.items():
    soundfile.write(f"{name}.wav", samples, RATE, subtype="FLOAT")
  (tmp_path / "text.wav").write_text("not music")
  return found


def _json(capsys, *arguments):
  score.main([*arguments, "--json"])
  return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_object_for_every_estimate(files, capsys):
  rows = _json(
    capsys, "clean.wav", "clipped.wav", "better.wav", "--metrics=si_sdr, esr"
  )
  chosen = {name: metrics.get(name) for name in ("si_sdr", "esr")}
  for row, name in zip(rows, ("clipped", "better"), strict=True):
    pair = files[name][None], files["clean"][None]
    assert row == {
      "reference": "clean.wav",
      "estimate": f"{name}.wav",
      "sample_rate": RATE,
      "channels": 1,
      "compared_seconds": 1.0,
      "resampled_from": None,
      "lag_samples": 0,
      "settings": {metric: chosen[metric].settings for metric in chosen},
    } | {x: chosen[x].function(*pair, sample_rate=RATE)[0] for x in chosen}
  assert rows[0]["si_sdr"] < rows[1]["si_sdr"]


def test_what_was_done_is_reported(files, capsys):
  audio = np.concatenate([files["clean"], files["clean"][::-1]])
  soundfile.write("long.wav", np.repeat(audio, 2, axis=0), 2 * RATE)
  rows = _json(capsys, "clean.wav", "late.wav", "long.wav", "--metrics=si_sdr")
  assert (rows[0]["lag_samples"], rows[0]["si_sdr"]) == (37, 100.0)
  assert rows[1]["resampled_from"] == 2 * RATE
  assert rows[1]["compared_seconds"] == 1.0
  arguments = "clean.wav", "late.wav", "--metrics=si_sdr"
  (row,) = _json(capsys, *arguments, "--no-align")
  assert row["lag_samples"] == 0 and row["si_sdr"] < 10.0
  (row,) = _json(capsys, *arguments, "--max-lag-seconds=0.002")
  assert abs(row["lag_samples"]) <= 32


def test_the_default_metrics_of_the_same_file(files, capsys):
  (row,) = _json(capsys, "clean.wav", "clean.wav")
  expected = {"si_sdr": 100.0, "sdr": 100.0, "peaq": 0.2, "r_nonlin": 1.0}
  assert list(row["settings"]) == list(expected)
  for name, value in expected.items():
    assert row[name] == pytest.approx(value, abs=0.1), name


def test_metrics_that_need_the_degraded_input(files, capsys):
  """The input may be as late as the estimate, or not."""
  arguments = "late.wav", "better.wav", "--metrics=all"
  assert "delta_sdr" not in _json(capsys, *arguments)[0]
  (row,) = _json(capsys, *arguments, "--degraded=clipped.wav")
  assert "fad" not in row and "esr" in row
  audio = {name: files[name][None] for name in ("better", "clean", "clipped")}
  for name in ("delta_sdr", "sdr_clipped", "delta_sdr_clipped"):
    expected = metrics.get(name).score(*audio.values(), sample_rate=RATE)
    assert row[name] == pytest.approx(expected[0], abs=1e-4)
  # Halving the error, where a sample is clipped and everywhere.
  assert row["delta_sdr"] == pytest.approx(20 * np.log10(2), abs=1e-3)
  assert row["degraded"]["file"] == "clipped.wav"
  assert row["degraded"]["lag_samples"] == row["lag_samples"] == -37


def test_details_are_peaqs_variables(files, capsys):
  arguments = "clean.wav", "clipped.wav", "--metrics=peaq"
  (row,) = _json(capsys, *arguments, "--details")
  (plain,) = _json(capsys, *arguments)
  assert row["peaq"] == plain["peaq"]
  assert row.keys() - plain.keys() == {"peaq_movs"}
  score.main([*arguments, "--details"])
  lines = capsys.readouterr().out.splitlines()[-12:]
  printed = dict(line.rsplit(maxsplit=1) for line in lines)
  assert printed["PEAQ"] == "clipped.wav"
  for name, value in row["peaq_movs"].items():
    assert float(printed[name]) == pytest.approx(value, abs=1e-4)


def test_the_table(files, capsys):
  score.main(["clean.wav", "clean.wav", "clipped.wav", "--metrics=sdr,esr"])
  captured = capsys.readouterr()
  head, *rows = captured.out.splitlines()
  assert head.split("  ", 1)[0] == "estimate"
  assert head.endswith("SDR / dB ↑  ESR ↓")
  assert rows[0].split() == ["clean.wav", "100.00", "0"]
  assert rows[1].startswith("clipped.wav  ")
  assert {len(row) for row in rows[:2]} == {len(head)}
  assert rows[2:] == ["", "SDR: scale and sign count", rows[4]]
  assert "scored 100 % of the estimates" in captured.err


def test_odd_audio_has_stated_values(files, capsys):
  for reference, estimate, expected in (
    ("silent", "clean", None),
    ("silent", "silent", None),
    ("clean", "silent", 0.0),
    ("offset", "offset", 100.0),
    ("one", "one", 100.0),
  ):
    arguments = f"{reference}.wav", f"{estimate}.wav", "--metrics=sdr"
    (row,) = _json(capsys, *arguments)
    assert (row["sdr"], row["lag_samples"]) == (expected, 0)
  (row,) = _json(capsys, "clean.wav", "one.wav", "--metrics=all")
  assert row["compared_seconds"] == 1 / RATE
  assert row["peaq"] is row["log_spectral_distance"] is None


@pytest.mark.parametrize(
  ("arguments", "parts"),
  [
    (["clean"], ["required: estimate"]),
    (["clean", "missing"], ["missing.wav: no such file"]),
    (["text", "clean"], ["text.wav: not audio"]),
    (["clean", "nan"], ["nan.wav", "NaN"]),
    (["clean", "stereo"], ["stereo.wav", "2 here and 1 in", "--mono"]),
    (["surround", "surround", "--metrics=peaq"], ["PEAQ", "got 3"]),
    (["clean", "clean", "--metrics=pesq"], ["'pesq'", "si_sdr"]),
    (["clean", "clean", "--metrics=,"], ["--metrics"]),
    (["clean", "clean", "--metrics=delta_sdr"], ["--degraded=FILE"]),
    (["clean", "clean", "--metrics=sdr", "--details"], ["add peaq"]),
    (["clean", "clean", "--max-lag-seconds=nan"], ["--max-lag-seconds"]),
    (["clean", "clean", "--det"], ["--det"]),
  ],
)
def test_mistakes_are_one_line(files, capsys, arguments, parts):
  words = [x if x.startswith("-") else f"{x}.wav" for x in arguments]
  with pytest.raises(SystemExit) as caught:
    score.main(words)
  message = caught.value.code
  assert message.startswith("error: ") and "\n" not in message
  assert all(part in message for part in parts)
  assert capsys.readouterr().out == ""


def test_files_and_metrics_are_checked_before_any_work(files, monkeypatch):
  def lacking(estimate, target, *, sample_rate):
    assert not estimate.any()
    raise UserError("no weights; run x")

  metric = Metric(lacking, "", "lower", 0.0, 1.0, "Lacking")
  monkeypatch.setitem(metrics.METRICS, "lacking", metric)
  rows = score.score_files("clean.wav", ["clean.wav"], ["sdr", "lacking"])
  with pytest.raises(UserError, match="no weights; run x"):
    next(rows)
  rows = score.score_files("clean.wav", ["clean.wav", "nan.wav"], ["lacking"])
  with pytest.raises(UserError, match="NaN"):
    next(rows)


def test_a_filters_phase_is_no_lag_to_peaq(files, capsys):
  """A minimum-phase low-pass: ratios gain by a shift, PEAQ hears the files."""
  rng = np.random.default_rng(0)
  clean = files["clean"] + 0.01 * rng.standard_normal(files["clean"].shape)
  low = scipy.signal.butter(8, 1_500, fs=RATE, output="sos")
  filtered = scipy.signal.sosfilt(low, clean, axis=0)
  for name, audio in (("clean", clean), ("low", filtered)):
    soundfile.write(f"{name}.wav", audio, RATE, subtype="FLOAT")
  arguments = "clean.wav", "low.wav", "--metrics=sdr,peaq,r_nonlin"
  (row,) = _json(capsys, *arguments)
  (stays,) = _json(capsys, *arguments, "--no-align")
  assert 0 < row["lag_samples"] <= 1e-3 * RATE
  assert row["sdr"] > stays["sdr"] + 3.0
  assert (row["peaq"], row["r_nonlin"]) == (stays["peaq"], stays["r_nonlin"])
  late = np.concatenate([np.zeros((37, 1)), filtered])
  soundfile.write("low.wav", late, RATE, subtype="FLOAT")
  (row,) = _json(capsys, "clean.wav", "low.wav", "--metrics=peaq")
  assert row["lag_samples"] > 37
  assert row["peaq"] == pytest.approx(stays["peaq"], abs=0.3)


def test_a_metric_of_sets_tells_of_how_many_windows(files, caplog):
  soundfile.write("long.wav", np.tile(files["clean"], (3, 1)), RATE)
  (row,) = score.score_files("long.wav", ["long.wav"], ["frechet_logmel"])
  assert row["frechet_logmel_windows"] == [3, 3]
  assert row["frechet_logmel"] == pytest.approx(0.0, abs=1e-6)
  # One warning, of these files and not of what was tried beforehand.
  (message,) = [x for x in caplog.messages if "rank-deficient" in x]
  assert "from 3 windows" in message


def test_channels_are_averaged_on_demand(files, capsys):
  (row,) = _json(capsys, "clean.wav", "stereo.wav", "--metrics=sdr", "--mono")
  assert (row["sdr"], row["channels"]) == (100.0, 1)


def test_the_module_is_a_command(files, monkeypatch):
  monkeypatch.setattr(sys, "argv", ["score", "clean.wav", "text.wav"])
  with pytest.raises(SystemExit, match=r"text\.wav: not audio"):
    runpy.run_path(score.__file__, run_name="__main__")
