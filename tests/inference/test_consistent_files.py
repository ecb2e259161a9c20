"""Restoring files with networks that are told where these are clipped."""

import functools
import shutil

import numpy as np
import pytest
import soundfile
from conftest import RATE, pluck, shipped_config

from distortion_removal import config as run_config
from distortion_removal.declipping.estimates import estimates
from distortion_removal.evaluation import methods
from distortion_removal.inference import consistent
from distortion_removal.inference.restoration import restore_file
from distortion_removal.training.train import train

GAIN = 1.5


def _network(inputs):
  """Takes the last estimate, and spoils reliable samples, too."""
  assert inputs.dtype == np.float32
  return inputs[..., -1:] + 0.1


def _estimates(audio, rails, declippers, octaves):
  """Clipped samples as they are, and GAIN times; all in units of the rail."""
  if not declippers:
    return np.empty((0, *audio.shape))
  assert set(declippers) == {"nmf", "aspade"}
  sides = np.concatenate([-rails.low, rails.high], axis=1)
  assert np.all(np.isinf(sides) | (sides.max(axis=1, keepdims=True) == 1))
  is_clipped = (audio <= rails.low[:, None]) | (audio >= rails.high[:, None])
  return np.stack([audio, np.where(is_clipped, GAIN * audio, audio)])


@pytest.fixture
def run(tmp_path, monkeypatch):
  """A run whose network and declippers are the functions above."""
  config = shipped_config("hybrid_hard_clip", "smoke")
  config.data.sample_rate = RATE
  (tmp_path / "run").mkdir()
  run_config.save(config, tmp_path / "run")
  monkeypatch.setattr(consistent.network, "load_network", lambda *_: _network)
  monkeypatch.setattr(consistent, "estimates", _estimates)
  return tmp_path / "run"


@pytest.fixture
def paths(tmp_path):
  """A source and a target."""
  return tmp_path / "in.wav", tmp_path / "out.wav"


def _clipped(rails, seconds=3.3):
  """`[time, channels]` of 16 bits; each channel has rails of its own."""
  sounds = np.hstack(
    [pluck(seconds, 220.0 * (k + 1)) for k in range(len(rails))]
  )
  lows, highs = np.array(rails).T
  return np.round(np.clip(sounds, lows, highs) * 2**15) / 2**15


@pytest.mark.parametrize(
  "rails", [[(-0.25, 0.25)], [(-0.125, 0.25), (-0.5, 0.5), (-1.0, 1.0)]]
)
def test_clipped_samples_are_restored_and_the_others_stay(run, paths, rails):
  """Over some chunks; each channel has its own rails, or none."""
  audio = _clipped(rails)
  soundfile.write(paths[0], audio, RATE, subtype="PCM_16")
  line = restore_file(*paths, run, subtype="DOUBLE").line
  found, rate = soundfile.read(paths[1], always_2d=True)
  lows, highs = np.array(rails).T
  is_clipped = (audio == lows) | (audio == highs)
  assert (rate, found.shape) == (RATE, audio.shape)
  assert 0.01 < np.mean(is_clipped) < 0.8
  assert f"{100 * np.mean(is_clipped):.3g} % of the samples" in line
  np.testing.assert_array_equal(found[~is_clipped], audio[~is_clipped])
  # The network's 0.1 is in units of the farther rail; nothing falls short.
  unit = np.maximum(-lows, highs)
  expected = GAIN * audio + 0.1 * unit
  np.testing.assert_allclose(found[is_clipped], expected[is_clipped], rtol=1e-6)


@pytest.mark.parametrize("level", [2.0**-6, 2.0])
def test_the_level_does_not_matter(run, paths, level):
  audio = _clipped([(-0.25, 0.25)], seconds=0.5)
  outputs = []
  for gain in (1.0, level):
    soundfile.write(paths[0], gain * audio, RATE, subtype="DOUBLE")
    restore_file(*paths, run)
    outputs.append(soundfile.read(paths[1])[0])
  np.testing.assert_array_equal(outputs[1], level * outputs[0])


def test_what_falls_short_of_the_rail_stays_at_it():
  audio = np.float32([[[0.1], [0.5], [-0.5], [0.2]]])
  rails = consistent.Rails(np.array([[-0.5]]), np.array([[0.5]]))
  restored = functools.partial(
    consistent.restore,
    function=lambda inputs: 0.0 * inputs[..., :1],
    declippers={"parabola": {"frame": 4, "hop": 1}},
  )
  np.testing.assert_array_equal(restored(audio, rails), audio)
  # Nothing is clipped: no network is asked.
  rails = consistent.Rails(np.array([[-np.inf]]), np.array([[np.inf]]))
  assert restored(audio, rails, function=None) is audio


def test_a_recording_that_is_not_clipped_is_copied(run, paths):
  audio = _clipped([(-1.0, 1.0)], seconds=0.5)
  soundfile.write(paths[0], audio, RATE, subtype="PCM_16")
  restore_file(*paths, run)
  np.testing.assert_array_equal(soundfile.read(paths[1])[0], audio[:, 0])


@pytest.mark.parametrize("rate", [2 * RATE, 11_025, 6_000])
def test_at_another_rate_the_correction_is_resampled(monkeypatch, rate):
  """It adds to the estimates, in time and in size; its input is resampled."""
  clean = np.float32(pluck(0.501, 131.0, rate)[None]) / 0.25
  audio = np.clip(clean, -1, 1)
  seen = []

  def network(inputs):
    seen.append(inputs)
    return inputs[..., 2:3] + 0.5 * inputs[..., 3:]

  def found(audio, rails, declippers, octaves):
    assert octaves == pytest.approx(np.log2(rate / RATE))
    return np.stack([clean, 1.5 * clean])

  monkeypatch.setattr(consistent, "estimates", found)
  rails = consistent.Rails(np.array([[-1.0]]), np.array([[1.0]]))
  result = consistent.restore(
    audio, rails, function=network, declippers={}, rates=(rate, RATE)
  )
  is_clipped = audio != clean
  np.testing.assert_array_equal(result[~is_clipped], audio[~is_clipped])
  # 1.25 of the clean signal is the mean, and 1.75 what the network makes of it.
  inner = is_clipped.copy()
  inner[:, :50] = inner[:, -50:] = False
  error = (result - 1.75 * clean)[inner]
  assert np.abs(error).max() < 1e-3 * np.abs(clean).max()
  (inputs,) = seen
  assert inputs.shape[1] == pytest.approx(0.501 * RATE, abs=1)
  signs = inputs[..., 1]
  assert set(np.unique(signs)) == {-1.0, 0.0, 1.0}
  assert np.mean(signs != 0) == pytest.approx(np.mean(is_clipped), abs=0.01)
  assert np.all(inputs[..., 0] * signs >= np.where(signs, 0.3, 0.0))


@pytest.mark.parametrize("rate", [2 * RATE, 11_025])
def test_a_file_of_another_rate_over_some_chunks(
  run, paths, rate, caplog, monkeypatch
):
  """A network that adds a constant, which no resampling changes, is heard."""

  def network(inputs):
    return inputs[..., 2:].mean(axis=-1, keepdims=True) + 0.1

  monkeypatch.setattr(consistent.network, "load_network", lambda *_: network)
  sounds = pluck(3.3, 220.0, rate)
  audio = np.round(np.clip(sounds, -0.25, 0.25) * 2**15) / 2**15
  soundfile.write(paths[0], audio, rate, subtype="PCM_16")
  restore_file(*paths, run, subtype="DOUBLE")
  found, found_rate = soundfile.read(paths[1], always_2d=True)
  assert (found_rate, found.shape) == (rate, audio.shape)
  is_clipped = np.abs(audio) == 0.25
  np.testing.assert_array_equal(found[~is_clipped], audio[~is_clipped])
  # Added to the mean of the estimates, in units of the rail.
  expected = 0.5 * (1 + GAIN) * audio + 0.1 * 0.25
  is_clipped[:50] = is_clipped[-50:] = False
  np.testing.assert_allclose(
    found[is_clipped], expected[is_clipped], atol=1e-3 * 0.25
  )
  assert "--method=best" in caplog.text


def test_a_consistent_network_is_given_no_estimates(run, paths):
  """Only the audio over its rail, and signs."""
  config = shipped_config("demucs_signaltrain", "smoke")
  config.data.sample_rate = RATE
  config.model.consistent = True
  run_config.save(config, run)
  audio = _clipped([(-0.25, 0.25)], seconds=0.5)
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  restore_file(*paths, run)
  found, _ = soundfile.read(paths[1], always_2d=True)
  # `_network` returns the signs, and 0.1 more.
  is_high, is_low = audio == 0.25, audio == -0.25
  expected = np.where(is_high, 1.1 * 0.25, np.where(is_low, -0.25, audio))
  np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.e2e
def test_a_trained_run_restores_files_and_excerpts_alike(
  tiny_data, tmp_path, paths
):
  """After two steps it is about the mean of its declippers."""
  config = shipped_config("hybrid_hard_clip", "smoke")
  # Pairs are stored next to the data, which are shared.
  config.data.data_dir = str(shutil.copytree(tiny_data, tmp_path / "data"))
  config.data.dataset = "audio_folder"
  config.data.sample_rate = RATE
  config.model.fields.update(channels=(4,), dilations=(1,))
  config.data.clipped.minutes = 16 * config.data.clipped.seconds / 60
  config.steps = config.checkpoint_every = config.validate_every = 2
  train(config, tmp_path / "run")

  clean = pluck(1.0, 131.0)
  rail = 0.2
  clipped = np.float32(np.clip(clean, -rail, rail))
  soundfile.write(paths[0], clipped, RATE, subtype="FLOAT")
  restore_file(*paths, tmp_path / "run")
  found, _ = soundfile.read(paths[1], always_2d=True)
  is_clipped = np.abs(clipped) == np.float32(rail)
  np.testing.assert_array_equal(found[~is_clipped], clipped[~is_clipped])
  declippers = config.model.declippers
  mean = np.mean(estimates(clipped[None], np.float32([rail]), declippers), 0)[0]
  missing = np.linalg.norm(mean - clipped)
  assert missing > 0.1 * np.linalg.norm(clipped)
  assert np.linalg.norm(found - mean) < 0.1 * missing

  method = methods.network(tmp_path / "run", config, batch=2)
  excerpts = np.stack([clipped / np.float32(rail), 0.25 * np.float32(clean)])
  restored = method(excerpts, None)
  # The task fixes the clean peak; what is not clipped is the input.
  scaled = found * (0.5 / np.abs(found).max())
  np.testing.assert_allclose(restored[0], scaled, atol=5e-3)
  np.testing.assert_allclose(restored[1], clean * (0.5 / 0.8), atol=1e-6)
