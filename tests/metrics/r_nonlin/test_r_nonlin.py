"""R_nonlin against its definition, written out loop by loop."""

import dataclasses

import numpy as np
import pytest
import scipy.signal

from distortion_removal.metrics.r_nonlin import (
  FITTED,
  PAPER,
  ear,
  r_nonlin,
  r_nonlin_paper,
)

RATE = 8000


def _music(seconds=1.0, seed=0, rate=RATE, channels=1):
  """Notes of a few partials over faint noise, `[1, time, channels]`."""
  rng = np.random.default_rng(seed)
  time = np.arange(round(seconds * rate)) / rate
  signal = 1e-4 * rng.standard_normal((len(time), channels))
  for onset in np.arange(0.0, seconds, 0.25):
    pitch = 110.0 * 2 ** (rng.integers(0, 36, channels) / 12)
    since = np.maximum(time - onset, 0.0)[:, None]
    for partial in range(1, 6):
      phase = rng.uniform(0, 2 * np.pi, channels)
      tone = np.sin(2 * np.pi * partial * pitch * since + phase)
      signal += (since > 0) * np.exp(-4 * partial * since) * tone / partial
  return (0.2 * signal[None]).astype(np.float32)


def _clipped(audio, fraction):
  rail = fraction * np.abs(audio).max()
  return np.clip(audio, -rail, rail)


def _oracle(estimate, target, rate, reading=FITTED):
  """The definition for `[time]` in float64, no lag between the two."""
  frame, lag = round(0.03 * rate), round(0.01 * rate)
  centres = ear.centre_frequencies(rate)
  filters = ear.sections(rate, centres)
  gain_db = ear.gain_db(centres, reading.outer_ear, reading.middle_ear)
  e, t = (
    [scipy.signal.sosfilt(sos, np.float64(x)) for sos in filters]
    for x in (estimate, target)
  )
  scores, target_db = [], []
  for start in range(0, len(target) - frame + 1, frame):
    part = slice(start, start + frame)
    r, level_db, loudness_db = np.zeros(40), np.zeros(40), np.zeros(40)
    for band in range(40):
      a, b = t[band][part], e[band][part]
      sums = np.correlate(b, a, "full")[frame - 1 - lag : frame + lag]
      r[band] = max(sums) / np.sqrt((a @ a) * (b @ b))
      level_db[band] = 10 * np.log10(b @ b) + gain_db[band]
      loudness_db[band] = 10 * np.log10(a @ a) + gain_db[band]
    weight = 1 - (level_db.max() - level_db) / reading.span_db
    if reading.clipped:
      weight[weight < 0] = 0.0
    scores.append(sum(weight * r) / sum(abs(weight)))
    target_db.append(loudness_db.max())
  kept = np.array(target_db) >= max(target_db) - reading.frame_range_db
  return np.mean(np.array(scores)[kept])


def _score(estimate, target, reading=FITTED, rate=RATE):
  return r_nonlin(estimate, target, sample_rate=rate, reading=reading)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050])
@pytest.mark.parametrize("reading", [FITTED, PAPER])
def test_agrees_with_the_definition(rate, reading):
  target = _music(1.3, rate=rate)
  for estimate in (_clipped(target, 0.2), target + _music(1.3, 9, rate)):
    expected = _oracle(estimate[0, :, 0], target[0, :, 0], rate, reading)
    actual = _score(estimate, target, reading, rate)
    np.testing.assert_allclose(actual, expected, atol=2e-5)


def test_weights_beyond_the_span_are_negative():
  """A tone twice, 75 dB above noise of its own that fills the other bands."""
  noise = 1e-4 * np.random.default_rng(0).standard_normal((2, 1, RATE, 1))
  tone = np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)
  target, estimate = noise + tone[:, None]
  narrow = dataclasses.replace(FITTED, span_db=40.0)
  scores = []
  for reading in (narrow, dataclasses.replace(narrow, clipped=True)):
    expected = _oracle(estimate[0, :, 0], target[0, :, 0], RATE, reading)
    scores.append(_score(estimate, target, reading)[0])
    np.testing.assert_allclose(scores[-1], expected, atol=1e-4)
  assert scores[0] < scores[1] - 0.1
  # A copy has weights that do not sum to 1, and yet scores 1.
  assert _oracle(target[0, :, 0], target[0, :, 0], RATE, narrow) < 0.9
  copy = 0.5 * target
  assert _score(copy, target, narrow) == 1.0
  copy[0, :, 0] += 1e-4 * np.sin(np.arange(RATE))
  assert _score(copy, target, narrow) < 0.9


@pytest.mark.parametrize("reading", [FITTED, PAPER])
def test_gain_and_lag_do_not_count(reading):
  target = np.pad(_music(), ((0, 0), (400, 400), (0, 0)))
  copies = [target, 0.01 * target, 7e5 * target]
  copies += [np.roll(target, lag, axis=1) for lag in (-80, -7, 1, 80)]
  for estimate in copies:
    assert _score(estimate, target, reading) == 1.0
  # Cut off rather than rolled: the samples at the ends are lost.
  whole = _music()
  late = np.concatenate([np.zeros_like(whole[:, :33]), whole[:, :-33]], axis=1)
  assert _score(late, whole, reading) == 1.0


def test_a_lag_is_removed_before_the_frames():
  target = np.pad(_music(), ((0, 0), (400, 400), (0, 0)))
  estimate = _clipped(target, 0.2)
  actual = _score(np.roll(estimate, 60, axis=1), target)
  np.testing.assert_allclose(actual, _score(estimate, target), atol=1e-6)


def test_polarity_counts():
  noise = np.random.default_rng(0).standard_normal((1, RATE, 1))
  assert 0.3 < _score(-noise, noise) < 0.95


def test_channels_are_scored_apart_and_averaged():
  target = _music(1.0, channels=2)
  clipped = _clipped(target[..., :1], 0.1)
  estimate = np.concatenate([clipped, 5 * target[..., 1:]], axis=2)
  left = _score(clipped, target[..., :1])
  np.testing.assert_allclose(_score(estimate, target), (left + 1.0) / 2)
  # A channel whose target is silent has no score of its own.
  target[..., 1] = 0.0
  np.testing.assert_array_equal(_score(estimate, target), left)


def test_silent_frames_of_both_are_left_out_and_of_one_score_0():
  target = _music()
  assert _score(0 * target, target) == 0.0
  estimate = _clipped(target, 0.1)
  score = _score(estimate, target)
  gap = ((0, 0), (60 * 240, 0), (0, 0))
  target, estimate = (np.pad(x, gap) for x in (target, estimate))
  np.testing.assert_allclose(_score(estimate, target), score, atol=1e-5)

  noise = np.random.default_rng(0).standard_normal((30 * 240, 1))
  estimate[:, : 30 * 240] = 0.01 * noise
  # Beyond the 30 frames of noise, the filters ring on for a few.
  sounding = RATE // 240
  bounds = score * sounding / (sounding + np.array([37, 30]))
  assert bounds[0] < _score(estimate, target) < bounds[1]


def test_quiet_frames_are_dropped_where_a_reading_says_so():
  loud, quiet = _music(0.9), _music(0.9, seed=4)
  target = np.concatenate([loud, 1e-3 * quiet], axis=1)
  estimate = target.copy()
  estimate[:, RATE:] = 0.0
  reading = dataclasses.replace(FITTED, frame_range_db=30.0)
  assert _score(estimate, target) < 0.6
  assert _score(estimate, target, reading) > 0.95


@pytest.mark.parametrize(("time", "scored"), [(239, False), (240, True)])
def test_a_frame_is_the_least(time, scored):
  target = _music()[:, :time]
  assert np.isfinite(_score(_clipped(target, 0.2), target)[0]) == scored


@pytest.mark.filterwarnings("error")
def test_extremes_of_scale_and_offset():
  target = _music().astype(np.float64)
  estimate = _clipped(target, 0.2)
  expected = _score(estimate, target)
  for scale in (1e-300, 1e-30, 1e30, 1e300):
    for pair in ((scale * estimate, target), (estimate, scale * target)):
      np.testing.assert_allclose(_score(*pair), expected, atol=1e-5)
  offset = np.full_like(target, 0.3)
  assert _score(offset, 2 * offset) == 1.0
  assert 0.0 <= _score(offset, target)[0] < 0.9
  assert expected < _score(target + 0.01, target) < 1.0


def test_pinned_values():
  """They hold the table of the ear's gains, which the oracle shares."""
  target = _music(1.5, rate=16_000)
  estimates = np.concatenate([_clipped(target, f) for f in (0.05, 0.2, 0.5)])
  fitted = _score(estimates, target, rate=16_000)
  paper = r_nonlin_paper(estimates, target, sample_rate=16_000)
  np.testing.assert_allclose(fitted, [0.52218, 0.63498, 0.91684], atol=1e-4)
  np.testing.assert_allclose(paper, [0.56633, 0.74674, 0.96022], atol=1e-4)
