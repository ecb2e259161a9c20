"""The command `score`: its JSON against the metrics, and its mistakes."""

import json
import os
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal
import soundfile
from conftest import ROOT, pluck

from distortion_removal import metrics, score

RATE = 16_000


@pytest.fixture
def files(tmp_path, monkeypatch):
  """Recordings by name, in the folder where the command runs."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv("VGGISH_WEIGHTS", "none.st")
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


def _words(text):
  """Arguments, the recordings by name."""
  return [x if x.startswith("-") else f"{x}.wav" for x in text.split()]


def _json(capsys, text):
  score.main([*_words(text), "--json"])
  return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_object_for_every_estimate(files, capsys):
  rows = _json(capsys, "clean clipped better --metrics=si_sdr,esr")
  si_sdr, esr = metrics.get("si_sdr"), metrics.get("esr")
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
      "settings": {"si_sdr": si_sdr.settings, "esr": esr.settings},
      "si_sdr": si_sdr.function(*pair, sample_rate=RATE)[0],
      "esr": esr.function(*pair, sample_rate=RATE)[0],
    }


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.e2e
def test_process_substitution_and_standard_input(files):
  command = f"{sys.executable} -m distortion_removal.score"
  options = "--metrics=si_sdr --no-align --json"
  command = f"{command} - <(cat clipped.wav) better.wav {options} < clean.wav"
  result = subprocess.run(
    ["bash", "-c", command],
    env=os.environ | {"PYTHONPATH": str(ROOT)},
    capture_output=True,
    text=True,
    check=True,
  )
  piped, better = map(json.loads, result.stdout.splitlines())
  assert piped["reference"] == "-"
  assert piped["estimate"].startswith("/dev/fd/")
  for row, name in ((piped, "clipped"), (better, "better")):
    pair = files[name][None], files["clean"][None]
    score = metrics.get("si_sdr").function(*pair, sample_rate=RATE)[0]
    assert row["si_sdr"] == pytest.approx(score, abs=1e-4)


def test_what_was_done_is_reported(files, capsys):
  audio = np.concatenate([files["clean"], files["clean"][::-1]])
  soundfile.write("long.wav", np.repeat(audio, 2, axis=0), 2 * RATE)
  rows = _json(capsys, "clean late long --metrics=si_sdr,peaq")
  assert (rows[0]["lag_samples"], rows[0]["si_sdr"]) == (37, 100.0)
  assert rows[0]["peaq"] > 0.1  # too late for a filter's phase
  assert rows[1]["resampled_from"] == 2 * RATE
  assert rows[1]["compared_seconds"] == 1.0
  (row,) = _json(capsys, "clean late --metrics=si_sdr --no-align")
  assert row["lag_samples"] == 0 and row["si_sdr"] < 10.0
  (row,) = _json(capsys, "clean late --max-lag-seconds=0.002")
  assert abs(row["lag_samples"]) <= 32
  (row,) = _json(capsys, "clean stereo --metrics=sdr --mono")
  assert (row["sdr"], row["channels"]) == (100.0, 1)


def test_metrics_that_need_the_degraded_input(files, capsys):
  """The input may be as late as the estimate, or not."""
  assert "delta_sdr" not in _json(capsys, "late better --metrics=all")[0]
  arguments = "late better --metrics=all --degraded=clipped.wav"
  (row,) = _json(capsys, arguments)
  assert "fad" not in row and "esr" in row
  audio = {name: files[name][None] for name in ("better", "clean", "clipped")}
  for name in ("delta_sdr", "sdr_clipped", "delta_sdr_clipped"):
    expected = metrics.get(name).score(*audio.values(), sample_rate=RATE)
    assert row[name] == pytest.approx(expected[0], abs=1e-4)
  assert row["degraded"]["file"] == "clipped.wav"
  assert row["degraded"]["lag_samples"] == row["lag_samples"] == -37


def test_the_default_metrics_and_peaqs_variables(files, capsys):
  (row,) = _json(capsys, "clean clipped --details")
  (plain,) = _json(capsys, "clean clipped")
  assert list(plain["settings"]) == ["si_sdr", "sdr", "peaq", "r_nonlin"]
  assert row["peaq"] == plain["peaq"]
  assert row.keys() - plain.keys() == {"peaq_movs"}
  score.main(_words("clean clipped --details"))
  lines = capsys.readouterr().out.splitlines()[-11:]
  printed = (line.rsplit(maxsplit=1) for line in lines)
  printed = {name: float(value) for name, value in printed}
  assert printed == pytest.approx(row["peaq_movs"], abs=1e-4)


def test_the_table(files, capsys):
  score.main(_words("clean clean clipped --metrics=sdr,esr"))
  captured = capsys.readouterr()
  head, *rows = captured.out.splitlines()
  assert head.startswith("estimate  ") and head.endswith("SDR / dB ↑  ESR ↓")
  assert rows[0].split() == ["clean.wav", "100.00", "0"]
  assert {len(row) for row in rows[:2]} == {len(head)}
  assert "SDR: scale and sign count" in rows
  assert "scored 100 % of the estimates" in captured.err


def test_odd_audio_has_stated_values(files, capsys):
  expected = {"silent clean": None, "silent silent": None, "clean silent": 0.0}
  expected |= {"offset offset": 100.0, "one one": 100.0}
  for pair, sdr in expected.items():
    (row,) = _json(capsys, f"{pair} --metrics=sdr,peaq")
    assert (row["sdr"], row["lag_samples"]) == (sdr, 0)
  assert row["peaq"] is None and row["compared_seconds"] == 1 / RATE


@pytest.mark.parametrize(
  ("arguments", "parts"),
  [
    ("clean", ["required: estimate"]),
    ("clean missing", ["missing.wav: no such file"]),
    ("text clean", ["text.wav: not audio"]),
    ("clean clean nan --json", ["nan.wav", "NaN"]),
    ("clean stereo", ["stereo.wav", "2 here and 1 in", "--mono"]),
    ("surround surround --metrics=peaq", ["PEAQ", "got 3"]),
    ("clean clean --metrics=fad", ["none.st", "import_vggish"]),
    ("clean clean --metrics=pesq", ["'pesq'", "si_sdr"]),
    ("clean clean --metrics=,", ["--metrics"]),
    ("clean clean --metrics=delta_sdr", ["--degraded=FILE"]),
    ("clean clean --metrics=sdr --details", ["add peaq"]),
    ("clean clean --max-lag-seconds=nan", ["--max-lag-seconds"]),
  ],
)
def test_mistakes_are_one_line(files, capsys, arguments, parts):
  with pytest.raises(SystemExit) as caught:
    score.main(_words(arguments))
  message = caught.value.code
  assert message.startswith("error: ") and "\n" not in message
  assert all(part in message for part in parts)
  assert capsys.readouterr().out == ""


def test_a_filters_phase_is_no_lag_to_peaq(files, capsys):
  """A minimum-phase low-pass: ratios gain by a shift, PEAQ hears the files."""
  rng = np.random.default_rng(0)
  clean = files["clean"] + 0.01 * rng.standard_normal(files["clean"].shape)
  low = scipy.signal.butter(8, 1_500, fs=RATE, output="sos")
  filtered = scipy.signal.sosfilt(low, clean, axis=0)
  soundfile.write("clean.wav", clean, RATE, subtype="FLOAT")
  soundfile.write("low.wav", filtered, RATE, subtype="FLOAT")
  arguments = "clean low --metrics=sdr,peaq,r_nonlin"
  (row,) = _json(capsys, arguments)
  (stays,) = _json(capsys, f"{arguments} --no-align")
  assert 0 < row["lag_samples"] <= 1e-3 * RATE
  assert row["sdr"] > stays["sdr"] + 3.0
  assert (row["peaq"], row["r_nonlin"]) == (stays["peaq"], stays["r_nonlin"])


def test_a_metric_of_sets_tells_of_how_many_windows(files, caplog):
  soundfile.write("long.wav", np.tile(files["clean"], (3, 1)), RATE)
  (row,) = score.score_files("long.wav", ["long.wav"], ["frechet_logmel"])
  assert row["frechet_logmel_windows"] == [3, 3]
  assert row["frechet_logmel"] == pytest.approx(0.0, abs=1e-6)
  # One warning, of these files and not of what was tried beforehand.
  (message,) = [x for x in caplog.messages if "rank-deficient" in x]
  assert "from 3 windows" in message


def test_the_module_is_a_command(files, monkeypatch):
  monkeypatch.setattr(sys, "argv", ["score", "clean.wav", "text.wav"])
  with pytest.raises(SystemExit, match=r"text\.wav: not audio"):
    runpy.run_path(score.__file__, run_name="__main__")
