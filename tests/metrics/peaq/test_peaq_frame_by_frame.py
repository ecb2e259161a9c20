"""All of PEAQ against `frame_by_frame`, on plain and on odd signals."""

import numpy as np
import pytest
from frame_by_frame import peaq as peaq_frame_by_frame
from frame_by_frame_ear import total_loudness

from distortion_removal.metrics.peaq import analyse, measures, patterns

RATE = 48_000
FULL_SCALE = 32_768
LENGTH = 40_000  # 0.8 s: 38 frames, of which the averages skip 24


def notes(channels=1):
  """Two notes of decaying harmonics and some noise, in 16 bit."""
  rng = np.random.RandomState(0)
  time = np.arange(LENGTH) / RATE
  since = time % 0.45
  audio = np.empty((LENGTH, channels))
  for channel, pitch_hz in enumerate((233.0, 294.0)[:channels]):
    audio[:, channel] = 0.004 * rng.standard_normal(LENGTH) * np.exp(-9 * since)
    for k in range(1, 40):
      phase = 2 * np.pi * k * pitch_hz * time + k
      audio[:, channel] += 0.5 / k * np.sin(phase) * np.exp(-0.3 * k * since)
  return np.round(FULL_SCALE * audio)


def clipped(samples):
  return np.clip(samples, -6000, 6000)


def noise(samples, amplitude):
  rng = np.random.RandomState(1)
  return np.round(amplitude * rng.standard_normal(samples.shape))


def low_passed(samples):
  padded = np.pad(samples, ((4, 0), (0, 0)))
  return np.round(sum(padded[k : k + len(samples)] for k in range(5)) / 5)


def delayed(samples, count):
  """Puts digital silence before it; the length stays."""
  return np.pad(samples, ((count, 0), (0, 0)))[: len(samples)]


def with_gap(samples, filling=0):
  time = np.arange(len(samples))[:, None]
  return np.where((time >= 12_000) & (time < 24_000), filling, samples)


def faded_in(samples):
  """From -100 dB over 20000 samples."""
  gain_db = np.minimum(np.arange(len(samples)) / 200 - 100, 0)
  return np.round(samples * 10 ** (gain_db / 20)[:, None])


def pairs():
  """Reference and test, `[time, channels]`, of every case by name."""
  R, left_right = notes(), notes(2)
  T = clipped(R)
  late, later = delayed(R, 11_000), delayed(R, 25_000)
  ends = R * (np.arange(LENGTH) < 31_000)[:, None]
  sooner = np.concatenate([R, ends], axis=1)
  barely = np.round(0.98 * R)  # heard in about half of the frames
  faint = noise(R, 1.5)  # not silent, yet too soft to have error harmonics
  left = left_right * [1, 0]
  found = {
    "clipped": (R, T),
    "noisy": (R, R + noise(R, 60)),
    "low-passed": (R, low_passed(R)),
    "softer": (R, np.round(0.8 * R)),
    "barely softer": (R, barely),
    "barely softer, then more": (R, with_gap(barely, np.round(0.8 * R))),
    "louder": (R, np.round(1.5 * R)),
    "identical": (R, R),
    "a few steps of noise": (R, R + noise(R, 3)),
    "50 dB quieter": (np.round(R / 316), np.round(T / 316)),
    "1500 samples": (R[2000:3500], T[2000:3500]),
    "silence before": (late, clipped(late)),
    "silence before, noise": (late, clipped(late) + noise(R, 2)),
    "more than 0.5 s of silence before": (later, clipped(later)),
    "silence after": (ends, clipped(ends)),
    "fade-in": (faded_in(R), clipped(faded_in(R))),
    "gap in both": (with_gap(R), with_gap(T)),
    "faint gap in both": (with_gap(R, faint), with_gap(T, faint)),
    "gap in the reference": (with_gap(R), T),
    "gap in the test": (R, with_gap(T)),
    "silent test": (R, 0 * R),
    "stereo": (left_right, clipped(left_right)),
    "one channel ends sooner": (sooner, clipped(sooner)),
    "one silent channel": (left, clipped(left)),
    "one silent in the reference": (left, clipped(left_right)),
    "one silent in the test": (left_right, clipped(left)),
  }
  # Within the buffer of 2044 samples in which the other channel starts; later.
  for count in (1900, 9000):
    two = np.concatenate([R, delayed(R, count)], axis=1)
    found[f"one channel {count} samples later"] = (two, clipped(two))
  return found


PAIRS = pairs()


@pytest.mark.parametrize("name", PAIRS)
def test_every_variable_and_the_grade(name):
  reference, test = PAIRS[name]
  expected, grade = peaq_frame_by_frame(reference, test)
  actual = analyse(
    test[None] / FULL_SCALE, reference[None] / FULL_SCALE, sample_rate=RATE
  )
  assert expected.keys() == actual.movs.keys()
  for variable, value in actual.movs.items():
    np.testing.assert_allclose(
      value, expected[variable], rtol=1e-9, atol=1e-12, err_msg=variable
    )
  np.testing.assert_allclose(actual.odg, grade, rtol=1e-9)


def test_total_loudness():
  """It decides which frames count: few of the signals come near the limit."""
  exponents = np.random.RandomState(2).uniform(-1, 7, (109, 5))
  expected = [total_loudness(column) for column in 10**exponents.T]
  actual = patterns.total_loudness(10**exponents)
  np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_bandwidth():
  target, estimate = np.full((2, 5, 1025), 1e-3)
  estimate[:, 1000] = 1.0  # the floor
  target[0, [500, 800]] = 10.0, 9.9
  target[1, 900] = estimate[1, 920] = estimate[1, 700] = 20.0
  target[2, 347] = 10.0  # the lowest that counts
  estimate[2, 20] = 3.2
  target[3, 346] = 1e6
  estimate[4] = 0.0  # digital silence: everything stands out
  of_target, of_estimate = measures.bandwidth(target, estimate)
  np.testing.assert_array_equal(of_target, [501, 901, 348, -1, 921])
  np.testing.assert_array_equal(of_estimate, [-1, 701, 21, -1, 921])
