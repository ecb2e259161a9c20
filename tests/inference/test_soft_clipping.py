"""Soft clipping in files: left and named, or declipped where asked for."""

import re

import numpy as np
import pytest
import soundfile
from support.saturated import RATE, limited_both_ways, music

from distortion_removal.common.errors import UserError
from distortion_removal.declipping import declipper
from distortion_removal.inference import clipping, declip
from distortion_removal.inference.declip import declip_file, survey

KNEE, TOP = 0.12, 0.2


def _sound(channels=1, seconds=6):
  """Limited chords, at other times in each channel, `[time, channels]`."""
  one = music(seconds=seconds)
  parts = [one, -np.roll(one, RATE // 3)][:channels]
  return limited_both_ways(np.stack(parts, axis=1), KNEE, TOP)


@pytest.fixture
def paths(tmp_path):
  """A source and a target."""
  return tmp_path / "in.wav", tmp_path / "out.wav"


def _write(path, sound):
  soundfile.write(path, sound, RATE, subtype="DOUBLE")


def _restored(paths, sound, knee, **options):
  _write(paths[0], sound)
  options = {"frame": 256, "iterations": 9} | options
  line = declip_file(*paths, "nmf", knee=knee, **options).line
  return soundfile.read(paths[1], always_2d=True)[0], line


@pytest.mark.parametrize("channels", [1, 2])
def test_unless_asked_it_stays_and_is_named(paths, channels):
  sound = _sound(channels)
  restored, line = _restored(paths, sound, None)
  np.testing.assert_array_equal(restored, sound)
  low, high = re.search(
    r"looks softly clipped .*beyond -(\S+) and ([\d.]+).*--knee=", line
  ).groups()
  assert 0.55 * TOP < float(low) < 0.76 * TOP
  assert 0.55 * TOP < float(high) < 0.76 * TOP


def test_clean_music_gets_no_hint(paths):
  sound = music(seconds=3)[:, None]
  restored, line = _restored(paths, sound, None)
  np.testing.assert_array_equal(restored, sound)
  assert "soft" not in line
  assert "--knee" not in line


@pytest.mark.parametrize(
  ("knee", "low", "high"),
  [
    (0.15, -0.15, 0.15),
    ((-0.1, 0.16), -0.1, 0.16),
    ((-np.inf, 0.15), -9, 0.15),
  ],
)
def test_what_lies_beyond_a_knee_is_at_its_value_or_farther_out(
  paths, knee, low, high
):
  sound = _sound(2, seconds=1)
  if low == -9:
    sound[sound < 0] *= 0.1
  restored, line = _restored(paths, sound, knee)
  above, below = sound >= high, sound <= low
  is_within = ~(above | below)
  np.testing.assert_array_equal(restored[is_within], sound[is_within])
  assert np.all(restored[above] >= sound[above])
  assert np.all(restored[below] <= sound[below])
  assert np.mean(abs(restored) > abs(sound) + 1e-3) > 0.01
  names = " and ".join(f"{x:.3g}" for x in (low, high) if x > -9)
  share = 100 * np.mean(~is_within)
  assert line == f"softly clipped beyond {names}: {share:.3g} % of the samples"


def test_a_channel_that_does_not_reach_the_knee_stays(paths):
  sound = _sound(2, seconds=1)
  sound[:, 1] = 0.01 * music(2, seconds=1)
  restored, _ = _restored(paths, sound, 0.15)
  np.testing.assert_array_equal(restored[:, 1], sound[:, 1])
  assert np.any(restored[:, 0] != sound[:, 0])
  sound[:, 1] = 0.0
  restored, _ = _restored(paths, sound, 0.15)
  np.testing.assert_array_equal(restored[:, 1], sound[:, 1])


@pytest.mark.e2e
def test_a_knee_brings_the_sound_nearer(paths):
  clean = music(seconds=3)[:, None]
  sound = limited_both_ways(clean, KNEE, TOP)
  restored, _ = _restored(paths, sound, 0.14, frame=4096, iterations=100)

  def sdr_db(estimate):
    return 10 * np.log10(np.sum(clean**2) / np.sum((estimate - clean) ** 2))

  assert sdr_db(restored) > sdr_db(sound) + 6


def test_each_channel_has_its_own_knees_if_they_are_to_be_found(paths):
  sound = np.stack([_sound()[:, 0], 0.1 * music(2)], axis=1)
  _write(paths[0], sound)
  found = survey(paths[0], knee="find")
  low, high = (x[0] for x in found.knee[:2])
  assert -0.76 * TOP < low[0] < -0.55 * TOP
  assert 0.55 * TOP < high[0] < 0.76 * TOP
  assert np.isinf([low[1], high[1]]).all()
  is_beyond = (sound[:, 0] <= low[0]) | (sound[:, 0] >= high[0])
  assert found.count == np.sum(is_beyond)
  assert "channel 1" in found.levels
  assert "channel 2" not in found.levels


def test_a_knee_that_is_not_found_is_asked_for(paths):
  sound = 0.8 * music(seconds=3)[:, None]
  restored, line = _restored(paths, sound, "find")
  np.testing.assert_array_equal(restored, sound)
  assert "--knee=LEVEL, such as three quarters of the peak, 0.6" in line


def test_hard_and_soft_clipping_are_told_apart(paths):
  """In one channel a clipper follows the limiter, in the other not."""
  sound = _sound(2, seconds=3)
  sound[:, 0] = sound[:, 0].clip(-0.18, 0.17)
  _write(paths[0], sound)
  found = survey(paths[0], knee=0.15)
  hard, soft = found.levels.split(", and ")
  assert hard == "clipped at -0.18 and 0.17 (channel 1); no level (channel 2)"
  assert soft == "softly clipped beyond -0.15 and 0.15"
  assert found.count == np.sum(abs(sound) >= 0.15)


@pytest.mark.parametrize("is_blurred", [False, True])
def test_hard_clipping_is_declipped_as_ever_without_a_knee(paths, is_blurred):
  clean = np.stack([music(seed, 1) for seed in (0, 3)], axis=1)
  sound = np.clip(clean, -0.2, 0.15)
  if is_blurred:
    sound += 2e-5 * np.random.default_rng(1).standard_normal(sound.shape)
  restored, line = _restored(paths, sound, None)
  assert "soft" not in line
  expected, _ = declipper("nmf")(sound[None], frame=256, hop=64, iterations=9)
  np.testing.assert_array_equal(restored, expected[0])


def test_chunks_are_marked_as_the_whole(paths, monkeypatch):
  monkeypatch.setattr(declip, "_CHUNK", 1)
  sound = _sound(2, seconds=1)

  def double(audio, clip_level, *, frame=8, hop=2, **_):
    return np.where(clip_level.marks != 0, 2 * audio, audio), None

  monkeypatch.setattr(declip.declipping, "declipper", lambda name: double)
  monkeypatch.setattr(declip.declipping, "check_options", lambda *_: None)
  _write(paths[0], sound)
  declip_file(*paths, "aspade", knee=0.15, subtype="DOUBLE")
  restored, _ = soundfile.read(paths[1])
  expected = np.where(abs(sound) >= 0.15, 2 * sound, sound)
  np.testing.assert_allclose(restored, expected, rtol=1e-6)


def test_a_knee_that_cannot_be_used_is_refused_before_any_work(
  paths, monkeypatch
):
  monkeypatch.setattr(clipping, "find_plateaus", None)
  _write(paths[0], _sound(seconds=1))
  for knee in (0.0, -0.3, (0.3, -0.3), float("nan")):
    with pytest.raises(UserError, match=r"knee .*: give one above 0, or low"):
      survey(paths[0], knee=knee)
  with pytest.raises(UserError, match="not both"):
    survey(paths[0], 0.5, 0.3)
