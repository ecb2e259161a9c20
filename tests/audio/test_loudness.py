"""Loudness against the values that ITU-R BS.1770-4 itself states."""

import functools

import numpy as np
import pytest
import scipy.signal

from distortion_removal.audio.loudness import (
  integrated_loudness,
  normalise_loudness,
)

RATE = 48_000
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
    (1, 0.1, -23.01),
    (2, 10 ** (-23 / 20), -23.0),  # EBU Tech 3341, case 1
    (2, 10 ** (-33 / 20), -33.0),  # EBU Tech 3341, case 2
  ],
)
def test_sines_of_the_standard(channels, peak, lufs):
  audio = _sine(peak, channels=channels)
  measured = integrated_loudness(audio, sample_rate=RATE)
  assert abs(measured - lufs) < 0.1


def test_quiet_passages_are_gated_out():
  """EBU Tech 3341, case 3: -36, -23 and -36 dBFS of 10, 60, 10 s are -23."""
  parts = [
    _sine(10 ** (-36 / 20), 10.0, 2),
    _sine(10 ** (-23 / 20), 60.0, 2),
    _sine(10 ** (-36 / 20), 10.0, 2),
  ]
  measured = integrated_loudness(np.concatenate(parts), sample_rate=RATE)
  assert abs(measured + 23.0) < 0.1


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
  measured = integrated_loudness(audio, sample_rate=RATE)
  assert abs(measured - _standard(audio)) < 0.1


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
  broken = _sine(0.5)
  broken[7] = np.nan
  hiss = _sine(10 ** (-70 / 20))
  cases = [
    (_sine(0.0), -np.inf),
    (_sine(0.0, 0.3), -np.inf),
    (_sine(0.5, 0.049), -np.inf),
    (_sine(0.5)[:1], -np.inf),
    (_sine(0.5)[:0], -np.inf),
    (hiss, -np.inf),
    (broken, np.nan),
  ]
  for audio, expected in cases:
    measured = integrated_loudness(audio, sample_rate=RATE)
    np.testing.assert_equal(measured, expected)
    same, limited = normalise(audio)
    np.testing.assert_array_equal(same, audio)
    assert not limited


def test_there_are_weights_for_five_channels():
  with pytest.raises(ValueError, match="got 6"):
    integrated_loudness(_sine(0.5, channels=6), sample_rate=RATE)


@pytest.mark.parametrize("seconds", [5.0, 0.3])
def test_normalising_scales_to_the_loudness(seconds):
  audio = _sine(0.01, seconds)
  scaled, limited = normalise(audio)
  assert not limited
  measured = integrated_loudness(scaled, sample_rate=RATE)
  assert abs(measured + 19.0) < 0.01
  np.testing.assert_allclose(
    scaled / scaled.max(), audio / audio.max(), atol=1e-6
  )


def test_the_peak_stays_below_full_scale():
  audio = _sine(0.01)
  audio[1_000] = 0.5
  scaled, limited = normalise(audio)
  assert limited
  np.testing.assert_allclose(scaled[1_000], 0.99, rtol=1e-6)
