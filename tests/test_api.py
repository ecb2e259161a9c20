"""The Python interface: the numbers of the commands, on arrays."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import ROOT, pluck
from overdriven import notes

import distortion_removal as dr
from distortion_removal import analyze, restore
from distortion_removal.effects.overdrive import overdrive
from distortion_removal.inference import analysis, network

RATE = 8_000


def _clipped():
  """Two channels, of which the second is not clipped, float64."""
  first, second = pluck(0.6, 110.0), pluck(0.6, 146.8)
  return np.concatenate([np.clip(first, -0.3, 0.4), 0.5 * second], axis=1)


def _by_command(folder, audio, subtype, *words, rate=RATE):
  """What the command makes of a file of that format."""
  source, target = folder / "in.wav", folder / "out.wav"
  soundfile.write(source, audio, rate, subtype=subtype)
  restore.main([str(source), f"-o{target}", "--overwrite", *words])
  return soundfile.read(target, dtype=audio.dtype.name)[0]


def test_importing_loads_nothing_and_says_nothing():
  code = (
    "import sys; before = set(sys.modules); import distortion_removal; "
    "print(*sorted(set(sys.modules) - before))"
  )
  result = subprocess.run(
    [sys.executable, "-W", "error", "-c", code],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert result.stderr == ""
  assert not {"jax", "numpy", "scipy", "soundfile"} & set(result.stdout.split())


def test_commands_and_functions_share_their_names():
  """Whichever was imported first."""
  assert callable(dr.restore) and dr.restore.main is restore.main
  assert callable(dr.analyze) and dr.analyze.main is analyze.main
  with pytest.raises(AttributeError, match="nothing"):
    _ = dr.nothing


@pytest.mark.parametrize(
  ("audio", "words"),
  [
    (np.zeros(9, np.int16), "int16.*float32.*32768"),
    (np.zeros((2, 9_000)), r"9000 channels.*\[time, channels\]"),
    (np.zeros((1, 9, 2)), r"\(1, 9, 2\).*\[time, channels\]"),
    (np.zeros((0, 2)), r"\(0, 2\)"),
    (np.array([0.0, np.nan]), "NaN"),
  ],
)
def test_audio_that_cannot_be_used(audio, words):
  for function in (dr.restore, dr.analyze):
    with pytest.raises(dr.UserError, match=words):
      function(audio, RATE)


@pytest.mark.parametrize(
  ("options", "words"),
  [
    ({"method": "magic"}, "'magic'.*auto.*best"),
    ({"method": "best", "model": "run"}, "either"),
    ({"model": "run", "knee": 0.3}, "knee"),
    ({"model": "run", "band": "half"}, "'half'.*full.*model"),
    ({"band": "full"}, "--band is for --model"),
    ({"method": "best", "order": 3}, "order"),
    ({"strength": 60}, "from 0 to 1"),
    ({"subtype": "PCM_16"}, "subtype"),
    ({"preset": "bogus"}, "'bogus'.*best.*fast"),
    ({"max_gain_db": float("nan")}, "max_gain_db"),
    ({"max_gain_db": -6.0}, "max_gain_db"),
    ({"model": "nosuch"}, "nosuch: no trained run"),
    ({"effect": "overdrive:tone=3"}, "tone"),
  ],
)
def test_options_that_cannot_be_used(options, words):
  """They are refused before there is a recording."""
  with pytest.raises(dr.UserError, match=words):
    dr.Restorer(**options)


def test_options_of_none_are_as_left_out():
  restorer = dr.Restorer(clip_level=None, preset=None, effect=None)
  assert restorer.options == {}


@pytest.mark.parametrize("rate", [44_100.5, 0, None, float("nan"), "fast"])
def test_sample_rates_are_whole(rate):
  with pytest.raises(dr.UserError, match="whole number"):
    dr.restore(_clipped(), rate)


@pytest.mark.e2e
@pytest.mark.parametrize(
  ("dtype", "subtype"), [("float32", "FLOAT"), ("float64", "DOUBLE")]
)
def test_declipping_is_the_commands(tmp_path, capfd, dtype, subtype):
  audio = _clipped().astype(dtype)
  before = audio.copy()
  options = {"method": "fast", "clip_level": (-0.3, 0.4), "strength": 0.5}
  restored = dr.restore(audio, RATE, **options)
  assert capfd.readouterr() == ("", "")
  words = "--method=fast", "--clip-level=-0.3,0.4", "--strength=50"
  expected = _by_command(tmp_path, audio, subtype, *words)
  assert (restored.dtype, restored.shape) == (dtype, audio.shape)
  np.testing.assert_array_equal(restored, expected)
  assert np.abs(restored - audio).max() > 0.01
  np.testing.assert_array_equal(audio, before)


@pytest.mark.e2e
def test_what_a_recording_calls_for_is_the_commands_choice(tmp_path):
  clean = notes(RATE)[: 2 * RATE]
  driven = np.float32(0.6) * np.asarray(overdrive(clean[None], 35.0))[0]
  restorer = dr.Restorer()
  restored = restorer(driven[:, 0], RATE)
  expected = _by_command(tmp_path, driven[:, 0], "FLOAT")
  np.testing.assert_array_equal(restored, expected)
  assert np.abs(restored - clean[:, 0]).max() < 0.01
  # Nothing is wrong with this one.
  np.testing.assert_array_equal(restorer(clean, RATE), clean)


@pytest.mark.e2e
def test_above_a_networks_band_the_numbers_are_the_commands(tmp_path, tiny_run):
  audio, rate = np.float32(_clipped()), 3 * RATE
  results = []
  for words in ({}, {"band": "model"}):
    restored = dr.restore(audio, rate, model=tiny_run, **words)
    options = (f"--{name}={value}" for name, value in words.items())
    expected = _by_command(
      tmp_path, audio, "FLOAT", f"--model={tiny_run}", *options, rate=rate
    )
    np.testing.assert_array_equal(restored, expected)
    results.append(restored)
  assert np.abs(results[0] - results[1]).max() > 0.01


@pytest.mark.e2e
def test_networks_are_compiled_once(tmp_path, tiny_run):
  audio = np.float32(_clipped())
  restorer = dr.Restorer(model=tiny_run)
  restored = restorer(audio, RATE)
  programs = network._apply._cache_size()
  np.testing.assert_array_equal(restorer(audio, RATE), restored)
  # Nor is a program compiled for another length.
  restorer(audio[: len(audio) // 2], RATE)
  expected = _by_command(tmp_path, audio, "FLOAT", f"--model={tiny_run}")
  assert network._apply._cache_size() == programs
  np.testing.assert_array_equal(restored, expected)


def test_analysis_is_the_commands(tmp_path, monkeypatch, capsys):
  # The search of effects takes seconds.
  monkeypatch.setattr(analysis.blind, "find", lambda *_: [None, None])
  audio = _clipped()
  found = dr.analyze(audio, RATE)
  path = tmp_path / "in.wav"
  soundfile.write(path, audio, RATE, subtype="DOUBLE")
  analyze.main([str(path), "--json"])
  expected = json.loads(capsys.readouterr().out)
  assert expected == {"file": str(path)} | json.loads(json.dumps(found))
  assert found["clipping"]["low"] == [[-0.3], []]
  assert found["clipping"]["high"] == [[0.4], []]


@pytest.mark.e2e
def test_the_example_of_the_docs_runs(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  soundfile.write("take.wav", _clipped(), RATE, subtype="FLOAT")
  page = (ROOT / "docs" / "api.md").read_text()
  (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
  exec(compile(code, "docs/api.md", "exec"), {})
  restored, rate = soundfile.read("restored.wav")
  assert rate == RATE
  assert restored[:, 0].max() > 0.5 and restored[:, 0].min() < -0.4
