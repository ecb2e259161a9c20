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


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050])
@pytest.mark.parametrize("reading", [FITTED, PAPER])
def test_agrees_with_the_definition(rate, reading):
  target = _music(1.3, rate=rate)
  for estimate in (_clipped(target, 0.2), target + _music(1.3, 9, rate)):
    expected = _oracle(estimate[0, :, 0], target[0, :, 0], rate, reading)
    actual = r_nonlin(estimate, target, sample_rate=rate, reading=reading)
    np.testing.assert_allclose(actual, expected, atol=2e-5)


def _tones_in_noise():
  """A tone twice, 75 dB above noise of its own that fills the other bands."""
  noise = 1e-4 * np.random.default_rng(0).standard_normal((2, 1, RATE, 1))
  tone = np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)
  return noise + tone[:, None]


NARROW = dataclasses.replace(FITTED, span_db=40.0)


def test_weights_beyond_the_span_are_negative():
  target, estimate = _tones_in_noise()
  scores = []
  for reading in (NARROW, dataclasses.replace(NARROW, clipped=True)):
    expected = _oracle(estimate[0, :, 0], target[0, :, 0], RATE, reading)
    actual = r_nonlin(estimate, target, sample_rate=RATE, reading=reading)
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    scores.append(actual[0])
  assert scores[0] < scores[1] - 0.1


@pytest.mark.parametrize("reading", [FITTED, PAPER])
def test_gain_and_lag_do_not_count(reading):
  target = np.pad(_music(), ((0, 0), (400, 400), (0, 0)))
  copies = [target, 0.01 * target, 7e5 * target]
  copies += [np.roll(target, lag, axis=1) for lag in (-80, -7, 1, 80)]
  # Cut off rather than rolled: the samples at the ends are lost.
  whole = _music()
  late = np.concatenate([np.zeros_like(whole[:, :33]), whole[:, :-33]], axis=1)
  for estimate, reference in [*((c, target) for c in copies), (late, whole)]:
    score = r_nonlin(estimate, reference, sample_rate=RATE, reading=reading)
    np.testing.assert_array_equal(score, 1.0)


def test_a_copy_scores_1_where_its_weights_do_not_sum_to_1():
  target = _tones_in_noise()[0]
  assert _oracle(target[0, :, 0], target[0, :, 0], RATE, NARROW) < 0.9
  copy = 0.5 * target
  score = r_nonlin(copy, target, sample_rate=RATE, reading=NARROW)
  assert score == 1.0
  copy[0, :, 0] += 1e-4 * np.sin(np.arange(RATE))
  score = r_nonlin(copy, target, sample_rate=RATE, reading=NARROW)
  assert score < 0.9


def test_a_lag_is_removed_before_the_frames():
  target = np.pad(_music(), ((0, 0), (400, 400), (0, 0)))
  estimate = _clipped(target, 0.2)
  expected = r_nonlin(estimate, target, sample_rate=RATE)
  late = np.roll(estimate, 60, axis=1)
  actual = r_nonlin(late, target, sample_rate=RATE)
  np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_polarity_counts():
  noise = np.random.default_rng(0).standard_normal((1, RATE, 1))
  inverted = r_nonlin(-noise, noise, sample_rate=RATE)
  assert 0.3 < inverted[0] < 0.95


def test_channels_are_scored_apart_and_averaged():
  target = _music(1.0, channels=2)
  estimate = np.concatenate(
    [_clipped(target[..., :1], 0.1), 5 * target[..., 1:]], axis=2
  )
  left = r_nonlin(estimate[..., :1], target[..., :1], sample_rate=RATE)
  both = r_nonlin(estimate, target, sample_rate=RATE)
  np.testing.assert_allclose(both, (left + 1.0) / 2)
  # A channel whose target is silent has no score of its own.
  target[..., 1] = 0.0
  one = r_nonlin(estimate, target, sample_rate=RATE)
  np.testing.assert_array_equal(one, left)


def test_silent_frames_of_both_are_left_out_and_of_one_score_0():
  target = _music()
  assert r_nonlin(0 * target, target, sample_rate=RATE) == 0.0
  estimate = _clipped(target, 0.1)
  score = r_nonlin(estimate, target, sample_rate=RATE)
  gap = ((0, 0), (60 * 240, 0), (0, 0))
  target, estimate = (np.pad(x, gap) for x in (target, estimate))
  after_silence = r_nonlin(estimate, target, sample_rate=RATE)
  np.testing.assert_allclose(after_silence, score, atol=1e-5)

  noise = np.random.default_rng(0).standard_normal((30 * 240, 1))
  estimate[:, : 30 * 240] = 0.01 * noise
  actual = r_nonlin(estimate, target, sample_rate=RATE)
  # Beyond the 30 frames of noise, the filters ring on for a few.
  sounding = RATE // 240
  bounds = score * sounding / (sounding + np.array([37, 30]))
  assert bounds[0] < actual < bounds[1]


def test_quiet_frames_are_dropped_where_a_reading_says_so():
  loud, quiet = _music(0.9), _music(0.9, seed=4)
  target = np.concatenate([loud, 1e-3 * quiet], axis=1)
  estimate = target.copy()
  estimate[:, RATE:] = 0.0
  reading = dataclasses.replace(FITTED, frame_range_db=30.0)
  kept = r_nonlin(estimate, target, sample_rate=RATE)
  dropped = r_nonlin(estimate, target, sample_rate=RATE, reading=reading)
  assert kept < 0.6 and dropped > 0.95


def test_a_frame_is_the_least():
  for time, scored in ((1, False), (239, False), (240, True)):
    target = _music()[:, :time]
    score = r_nonlin(_clipped(target, 0.2), target, sample_rate=RATE)
    assert np.isfinite(score[0]) == scored


@pytest.mark.filterwarnings("error")
def test_extremes_of_scale_and_offset():
  target = _music().astype(np.float64)
  estimate = _clipped(target, 0.2)
  expected = r_nonlin(estimate, target, sample_rate=RATE)
  for scale in (1e-300, 1e-30, 1e30, 1e300):
    actual = r_nonlin(scale * estimate, target, sample_rate=RATE)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    actual = r_nonlin(estimate, scale * target, sample_rate=RATE)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
  offset = np.full_like(target, 0.3)
  assert r_nonlin(offset, 2 * offset, sample_rate=RATE) == 1.0
  assert 0.0 <= r_nonlin(offset, target, sample_rate=RATE)[0] < 0.9
  assert expected < r_nonlin(target + 0.01, target, sample_rate=RATE) < 1.0


def test_pinned_values():
  target = _music(1.5, rate=16_000)
  estimates = np.concatenate([_clipped(target, f) for f in (0.05, 0.2, 0.5)])
  fitted = r_nonlin(estimates, target, sample_rate=16_000)
  paper = r_nonlin_paper(estimates, target, sample_rate=16_000)
  np.testing.assert_allclose(fitted, [0.52218, 0.63498, 0.91684], atol=1e-4)
  np.testing.assert_allclose(paper, [0.56633, 0.74674, 0.96022], atol=1e-4)
