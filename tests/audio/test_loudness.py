"""Loudness against the values that ITU-R BS.1770-4 itself states."""

import functools

import numpy as np
import pytest
import scipy.signal

from distortion_removal.audio.loudness import (
  integrated_loudness,
  loudness_of_blocks,
  normalise_loudness,
  true_peak,
)

RATE = 48_000
_loudness = functools.partial(integrated_loudness, sample_rate=RATE)
normalise = functools.partial(
  normalise_loudness, sample_rate=RATE, loudness_lufs=-19.0
)


def _sine(peak, seconds=5.0, channels=1, rate=RATE):
  time = np.arange(round(seconds * rate)) / rate
  tone = peak * np.sin(2 * np.pi * 997.0 * time)
  return np.repeat(tone[:, None], channels, axis=1).astype(np.float32)


@pytest.mark.parametrize(
  ("channels", "peak", "lufs"),
  [
    (1, 1.0, -3.01),  # the standard's own sentence on 997 Hz at full scale
    (2, 1.0, 0.0),
    (2, 10 ** (-23 / 20), -23.0),  # EBU Tech 3341, case 1
    (2, 10 ** (-33 / 20), -33.0),  # EBU Tech 3341, case 2
  ],
)
def test_sines_of_the_standard(channels, peak, lufs):
  """Passages of 10 s at −36 dBFS around them are gated out (case 3)."""
  sine = _sine(peak, 60.0 if lufs == -23.0 else 5.0, channels)
  assert abs(_loudness(sine) - lufs) < 0.1
  if lufs == -23.0:
    quiet = _sine(10 ** (-36 / 20), 10.0, channels)
    assert abs(_loudness(np.concatenate([quiet, sine, quiet])) - lufs) < 0.1


# Table 1 and 2 of BS.1770-4, for 48 kHz.
_SHELF = (
  [1.53512485958697, -2.69169618940638, 1.19839281085285],
  [1.0, -1.69065929318241, 0.73248077421585],
)
_HIGH_PASS = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])


def _standard(audio):
  """BS.1770-4 written out, equations 1 to 7, at 48 kHz."""
  weights = np.array([1.0, 1.0, 1.0, 1.41, 1.41])[: audio.shape[1]]
  weighted = scipy.signal.lfilter(*_SHELF, audio.astype(float), axis=0)
  weighted = scipy.signal.lfilter(*_HIGH_PASS, weighted, axis=0)
  squares = weighted**2
  starts = range(0, len(audio) - 19_200 + 1, 4_800)
  power = np.array([squares[k : k + 19_200].mean(0) @ weights for k in starts])
  loudness = -0.691 + 10 * np.log10(power)
  relative = -0.691 + 10 * np.log10(power[loudness > -70].mean()) - 10
  gated = power[(loudness > -70) & (loudness > relative)]
  return -0.691 + 10 * np.log10(gated.mean())


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("seconds", [0.4, 0.449, 0.46, 0.55, 4.07])
def test_the_standard_written_out(seconds, channels):
  """Bursts of noise: some below one gate, some below the other."""
  rng = np.random.default_rng(channels)
  audio = rng.standard_normal((round(seconds * RATE), channels))
  audio = scipy.signal.lfilter([0.1], [1.0, -0.95], audio, axis=0)
  time = np.arange(len(audio)) / RATE
  level_db = np.where(time < 1.3, -20.0, np.where(time < 2.0, -40.0, -90.0))
  audio *= 10 ** (level_db[:, None] / 20)
  assert abs(_loudness(audio) - _standard(audio)) < 0.1


@pytest.mark.parametrize("rate", [8_000, 11_111, 44_100, 48_000])
def test_short_files_are_as_loud_as_long_ones(rate):
  whole = integrated_loudness(_sine(0.1, 1.0, rate=rate), sample_rate=rate)
  # Among them are lengths whose seconds do not come back as samples.
  lengths = [*range(rate // 20 + 1, rate // 20 + 100, 9), round(0.3 * rate)]
  for length in [*lengths, round(0.4 * rate) - 1, round(0.4 * rate)]:
    audio = _sine(0.1, 1.0, rate=rate)[:length]
    measured = integrated_loudness(audio, sample_rate=rate)
    assert abs(measured - whole) < 0.05


def test_what_has_no_loudness_comes_back_as_it_is():
  broken, below_the_gate = _sine(0.5), _sine(10 ** (-70 / 20))
  broken[7] = np.nan
  silent = [_sine(0.0), _sine(0.0, 0.3), below_the_gate]
  short = [_sine(0.5)[:length] for length in (0, 1, round(0.049 * RATE))]
  for audio in (*silent, *short, broken):
    expected = np.nan if audio is broken else -np.inf
    np.testing.assert_equal(_loudness(audio), expected)
    same, limited = normalise(audio)
    np.testing.assert_array_equal(same, audio)
    assert not limited


@pytest.mark.parametrize("seconds", [5.0, 0.3])
def test_normalising_scales_to_the_loudness_below_full_scale(seconds):
  audio = _sine(0.01, seconds)
  scaled, limited = normalise(audio)
  assert not limited
  assert abs(_loudness(scaled) + 19.0) < 0.01
  np.testing.assert_allclose(
    scaled / scaled.max(), audio / audio.max(), atol=1e-6
  )
  audio[1_000] = 0.5
  scaled, limited = normalise(audio)
  assert limited
  np.testing.assert_allclose(scaled[1_000], 0.99, rtol=1e-6)


@pytest.mark.parametrize("seconds", [0.02, 0.3, 0.77, 4.0])
@pytest.mark.parametrize("channels", [1, 5])
def test_blocks_are_as_loud_as_the_whole(seconds, channels):
  rng = np.random.default_rng(0)
  audio = rng.standard_normal((round(seconds * RATE), channels))
  # Loud and quiet passages, so that both gates matter.
  audio *= 10.0 ** np.linspace(-5.0, 0.0, len(audio))[:, None]
  blocks = np.array_split(audio, [7, len(audio) // 3, len(audio) // 2])
  found = loudness_of_blocks(iter(blocks), sample_rate=RATE)
  if seconds < 0.05:
    assert found == _loudness(audio) == -np.inf
  else:
    assert found == pytest.approx(_loudness(audio), abs=1e-3)


def test_silent_blocks_have_no_loudness():
  blocks = iter([np.zeros((RATE, 2))])
  assert loudness_of_blocks(blocks, sample_rate=RATE) == -np.inf


def test_true_peak():
  """EBU Tech 3341, case 15: a quarter of the rate, 45 degrees off."""
  time = np.arange(RATE)
  fade = np.minimum(1.0, np.minimum(time, time[::-1]) / 1000)
  sine = 0.5 * fade * np.sin(np.pi / 2 * time + np.pi / 4)
  blocks = iter(np.array_split(sine[:, None], 3))
  assert true_peak(blocks, sample_rate=RATE) == pytest.approx(0.5, rel=1e-3)
  impulse = np.zeros((100, 1))
  impulse[50] = -0.7  # Oversampling alone leaves out none of the samples.
  assert true_peak(iter([impulse]), sample_rate=RATE) >= 0.7
