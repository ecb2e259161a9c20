"""Changes of takes against what they do to known signals."""

import dataclasses

import ml_collections
import numpy as np
import pytest
from conftest import shipped_config

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import augmentation
from distortion_removal.datasets.augmentation import Augmentation
from distortion_removal.effects import tasks

OVERDRIVE = tasks.get("overdrive")
RECORDED = tasks.get("recorded")


def _rng(seed=0):
  return np.random.default_rng(seed)


@pytest.mark.parametrize("speed", [0.5, 1.125, 2.0])
def test_a_sine_at_another_speed_is_a_sine_of_another_pitch(speed):
  """Of linear phase: the sine is where it must be, edges included."""
  length, edge = 1_000, 128

  def sines(times):
    phase = 2 * np.pi * 0.02 * times
    return np.float32(np.stack([np.sin(phase), np.cos(phase)], axis=1))

  audio = sines(np.arange(augmentation.source_length(length, speed)))
  found = augmentation.play(audio, speed, length)
  expected = sines(speed * (np.arange(length) + edge))
  assert found.shape == (length, 2)
  np.testing.assert_allclose(found, expected, atol=1e-3)
  np.testing.assert_allclose(found[200:-200], expected[200:-200], atol=1e-4)


@pytest.mark.parametrize("length", [4, 10, 25])
def test_a_sum_is_of_two_takes_at_a_peak_of_one(length):
  clean = np.float32(np.linspace(-1, 1, 10))[:, None]
  other = np.float32(np.linspace(1, 0.5, length))[:, None]
  record = {"clean": clean, "peak": np.float32(0.3), "id": b"a"}
  starts, gains = set(), []
  for seed in range(60):
    total = augmentation.add_take(record, {"clean": other}, _rng(seed))
    assert np.abs(total["clean"]).max() == 1.0
    assert (total["peak"], total["id"]) == (np.float32(0.3), b"a")
    rng = _rng(seed)
    gain = 10 ** (rng.uniform(-12.0, 0.0) / 20)
    start = int(rng.integers(abs(length - 10) + 1))
    if length < 10:
      second = np.zeros((10, 1))
      second[start : start + length] = other
    else:
      second = other[start : start + 10]
    expected = clean + gain * second
    expected /= np.abs(expected).max()
    np.testing.assert_allclose(total["clean"], expected, atol=1e-6)
    starts.add(start)
    gains.append(gain)
  assert starts == set(range(abs(length - 10) + 1))
  assert 0.25 < min(gains) < 0.3
  assert 0.9 < max(gains) < 1.0


def test_the_draws_are_the_same_on_every_version():
  """Speed, gain with its sign, and order, as when this was written."""
  options = Augmentation(6.0, True, True, (0.9, 1.0, 1.1))
  rng = _rng()
  for speed, gain, step in (
    (1.1, 0.7275654, 1),
    (0.9, -0.5127629, -1),
    (1.0, 1.1587279, -1),
    (1.1, 1.0621234, -1),
  ):
    assert augmentation.speed_of(options, rng) == speed
    found, order = augmentation.factors(options, rng)
    assert found == pytest.approx(gain, rel=1e-6)
    assert order.step == step


@pytest.mark.parametrize(
  ("options", "task", "message"),
  [
    ({"gain_db": 3.0}, OVERDRIVE, "overdrive fixes the clean peak at 0.5"),
    ({"gain_db": -1.0}, RECORDED, "gain_db is -1.0"),
    ({"swap_channels": True}, OVERDRIVE, "the audio is mono"),
    ({"speeds": (1.0, 4.0)}, OVERDRIVE, "speeds: 4.0; choose from 0.5 to 2"),
    ({"sums": 1.5}, OVERDRIVE, "sums is 1.5"),
    ({"sums": 0.5}, RECORDED, "no sum of recorded pairs"),
    ({"tilt_db": 13.0}, OVERDRIVE, "tilt_db is 13.0"),
    ({"tilt_db": 3.0}, RECORDED, "does not let a tilt pass"),
  ],
)
def test_what_would_not_keep_the_pairs_is_refused(options, task, message):
  with pytest.raises(UserError, match=f"config.data.augment.*{message}"):
    augmentation.check(Augmentation(**options), task, 1)


def test_what_keeps_the_pairs_is_allowed():
  everything = Augmentation(6.0, True, True, (0.9, 1.1), 0.5, 3.0)
  augmentation.check(everything, tasks.get("hard_clip_sdr"), 2)
  for task, off in ((RECORDED, ("sums", "tilt_db")), (OVERDRIVE, ("gain_db",))):
    allowed = dataclasses.replace(everything, **dict.fromkeys(off, 0.0))
    augmentation.check(allowed, task, 2)


def test_the_configuration_has_every_field_and_all_are_off():
  data = shipped_config("default").data
  assert augmentation.from_config(data) == Augmentation()
  assert set(data.augment) == set(dataclasses.asdict(Augmentation()))
  # As JSON stores it.
  stored = ml_collections.ConfigDict({"augment": {"speeds": [0.9, 1.1]}})
  assert augmentation.from_config(stored).speeds == (0.9, 1.1)


def test_a_tilt_is_a_slope_per_octave_at_the_same_peak():
  """Of an impulse: its filter, which has no phase. Up to 3 dB, as drawn."""
  impulse = np.zeros((4096, 1), np.float32)
  impulse[2048] = 0.3
  slopes_db = []
  for seed in range(40):
    found = augmentation.tilted(Augmentation(tilt_db=3.0), impulse, _rng(seed))
    assert np.abs(found).max() == pytest.approx(0.3, rel=1e-6)
    assert found.argmax() == 2048
    magnitude = np.abs(np.fft.rfft(found[:, 0]))
    octaves_db = 20 * np.log10(magnitude[[64, 128, 256, 512, 1024, 2048]])
    slope_db = np.diff(octaves_db)
    np.testing.assert_allclose(slope_db, slope_db.mean(), atol=0.1)
    slopes_db.append(slope_db.mean())
  assert -3.1 < min(slopes_db) < -2.5
  assert 2.5 < max(slopes_db) < 3.1
  np.testing.assert_array_equal(
    augmentation.tilted(Augmentation(), impulse, None), impulse
  )


def test_gains_signs_orders_and_speeds_are_drawn_alike():
  options = Augmentation(6.0, True, True, (0.9, 1.0, 1.1))
  rng, count = _rng(), 1000
  drawn = [augmentation.factors(options, rng) for _ in range(count)]
  gains = np.array([gain for gain, _ in drawn])
  gains_db = 20 * np.log10(np.abs(gains))
  assert -6.0 <= gains_db.min() < -5.9
  assert 5.9 < gains_db.max() <= 6.0
  counts, _ = np.histogram(gains_db, 6, (-6.0, 6.0))
  assert np.all(np.abs(counts - count / 6) < 4 * np.sqrt(count / 6))
  for chosen in (gains < 0, [order.step == -1 for _, order in drawn]):
    assert abs(np.mean(chosen) - 0.5) < 4 * 0.5 / np.sqrt(count)
  speeds = [augmentation.speed_of(options, rng) for _ in range(count)]
  for speed in options.speeds:
    assert abs(speeds.count(speed) - count / 3) < 4 * np.sqrt(count * 2 / 9)
