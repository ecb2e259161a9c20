"""PEAQ's patterns over time against plain loops over frames and bands."""

import numpy as np

from distortion_removal.metrics.peaq import ear_model, patterns

FRAMES_PER_SECOND = 48_000 / 1024


def excitations(seed, frames=12):
  rng = np.random.default_rng(seed)
  return 10 ** rng.uniform(0, 7, (109, frames))


def decay(at_100_hz_s, band):
  time_s = 0.008 + 100 / ear_model.CENTRES_HZ[band] * (at_100_hz_s - 0.008)
  return np.exp(-1 / (FRAMES_PER_SECOND * time_s))


def smoothed(signal, at_100_hz_s):
  out = np.zeros_like(signal)
  for band in range(len(signal)):
    a, state = decay(at_100_hz_s, band), 0.0
    for n, value in enumerate(signal[band]):
      state = a * state + (1 - a) * value
      out[band, n] = state
  return out


def test_patterns_are_their_recursions():
  unsmeared = excitations(0)
  actual = patterns.patterns(unsmeared)
  excitation = np.maximum(unsmeared, smoothed(unsmeared, 0.030))
  loudness = unsmeared**0.3
  before = np.concatenate([np.zeros((109, 1)), loudness[:, :-1]], axis=1)
  change = smoothed(FRAMES_PER_SECOND * abs(loudness - before), 0.050)
  envelope = smoothed(loudness, 0.050)
  for value, expected in (
    (actual.excitation, excitation),
    (actual.level, smoothed(excitation, 0.050)),
    (actual.envelope, envelope),
    (actual.modulation, change / (1 + envelope / 0.3)),
  ):
    np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_total_loudness_of_a_band():
  """All bands but one below their threshold, where loudness is 0."""
  excitation = np.zeros((109, 1))
  excitation[36] = 1e6
  khz = ear_model.CENTRES_HZ[36] / 1000
  threshold = 10 ** (0.364 * khz**-0.8)
  index_db = -2 - 2.05 * np.arctan(khz / 4) - 0.75 * np.arctan((khz / 1.6) ** 2)
  s = 10 ** (index_db / 10)
  specific = 1.07664 * (threshold / s / 1e4) ** 0.23
  specific *= (1 - s + s * 1e6 / threshold) ** 0.23 - 1
  actual = patterns.total_loudness(excitation)
  np.testing.assert_allclose(actual, 24 / 109 * specific, rtol=1e-12)


def adapted_in_loops(target, estimate):
  """Level, then pattern adaptation, frame by frame."""
  a = np.array([decay(0.050, band) for band in range(109)])
  own, cross = np.zeros((2, 109))
  corrections = np.zeros((2, 109))
  frames = []
  for n in range(target.excitation.shape[1]):
    levels = target.level[:, n], estimate.level[:, n]
    ratio = (np.sqrt(levels[0] * levels[1]).sum() / levels[1].sum()) ** 2
    t, e = target.excitation[:, n], estimate.excitation[:, n]
    t, e = (t / ratio, e) if ratio > 1 else (t, e * ratio)
    own, cross = a * own + t * t, a * cross + e * t
    for band in range(109):
      near = slice(max(band - 3, 0), min(band + 4, 108) + 1)
      means = (
        np.minimum(cross / own, 1)[near].mean(),
        np.minimum(own / cross, 1)[near].mean(),
      )
      for side, mean in enumerate(means):
        kept = a[band] * corrections[side, band]
        corrections[side, band] = kept + (1 - a[band]) * mean
    frames.append((t * corrections[0], e * corrections[1]))
  return np.array(frames).transpose(1, 2, 0)


def test_adaptation_is_its_recursion():
  """Once with a louder, once with a softer estimate."""
  target = patterns.patterns(excitations(0))
  for gain in (0.01, 1.0, 100.0):
    estimate = patterns.patterns(gain * excitations(1))
    actual = patterns.adapt(target, estimate)
    expected = adapted_in_loops(target, estimate)
    np.testing.assert_allclose(actual, expected, rtol=1e-11)


def test_adaptation_removes_a_gain():
  same = patterns.patterns(np.repeat(excitations(0, 1), 60, axis=1))
  louder = patterns.patterns(np.repeat(10 * excitations(0, 1), 60, axis=1))
  target, estimate = patterns.adapt(same, louder)
  np.testing.assert_allclose(estimate, target, rtol=1e-12)
