"""Known lags; SciPy's correlation and a written-out GCC-PHAT as oracles."""

import tracemalloc

import numpy as np
import pytest
import scipy.signal

from distortion_removal.audio import alignment
from distortion_removal.audio.alignment import (
  correlate_parts,
  find_lag,
  find_peak,
  part_starts,
)


def _music(seed=0, length=8_000, channels=2):
  """Low-passed noise, `[time, channels]` float32."""
  noise = np.random.default_rng(seed).standard_normal((length, channels))
  return scipy.signal.lfilter([1.0], [1.0, -0.9], noise, axis=0).astype("f4")


def _delayed(audio, lag):
  """Later by `lag` samples, of the same length."""
  padded = np.pad(audio, ((max(lag, 0), max(-lag, 0)), (0, 0)))
  return padded[max(-lag, 0) :][: len(audio)]


@pytest.mark.parametrize("lag", [0, 1, -1, 37, -200, 499, 500, -500])
def test_known_lags(lag):
  """Inverted, clipped, or with noise as loud as the music, too."""
  target = _music()
  late = _delayed(target, lag)
  clipped, noisy = np.clip(late, -0.5, 0.5), late + _music(seed=1)
  for estimate in (late, -0.3 * late, clipped, noisy):
    assert find_lag(estimate, target, max_lag=500) == lag


@pytest.mark.parametrize(("first", "second"), [(7_000, 9_000), (8_000, 700)])
def test_it_is_the_largest_of_scipys_correlation(first, second, monkeypatch):
  """In several blocks, too, and with means that say nothing."""
  monkeypatch.setattr(alignment, "_BLOCK_SAMPLES", 1_000)
  common = _music(length=9_000)
  estimate = 5.0 + common[100 : 100 + first] + _music(1, first)
  target = common[:second] - 3.0
  correlation = sum(
    scipy.signal.correlate(e - e.mean(), t - t.mean())
    for e, t in zip(estimate.T, target.T, strict=True)
  )
  lags = scipy.signal.correlation_lags(first, second)
  near = np.abs(lags) <= 250
  expected = lags[near][np.abs(correlation[near]).argmax()]
  assert expected == -100
  assert find_lag(estimate, target, max_lag=250) == expected


def test_an_excerpt_is_found_in_a_longer_recording():
  """Though what no lag reaches is most of its energy, and nothing else."""
  target = _music(length=1_000)
  longer = np.concatenate([_music(1, 300), target, 50 * _music(2)])
  assert find_lag(longer, target, max_lag=300) == 300
  assert find_lag(target, longer, max_lag=300) == -300


def test_what_repeats_itself_stays():
  time = np.arange(8_000)
  tone = np.sin(2 * np.pi * time / 80)[:, None]
  rng = np.random.default_rng(0)
  noisy = tone + 0.3 * rng.standard_normal(tone.shape)
  for estimate in (tone, -tone, noisy, np.concatenate([tone, tone])):
    assert find_lag(estimate, tone, max_lag=500) == 0
  late = np.sin(2 * np.pi * (time - 10) / 80)[:, None]
  # A period is 80 samples: 30 early, inverted, is 10 late.
  assert find_lag(late, tone, max_lag=500) in (10, -30)


@pytest.mark.parametrize("lag", [0, 37])
def test_a_distorted_note_is_not_moved_by_periods(lag):
  """An overdriven decaying note, its phase turned by a pedal's tone filter.

  Its body is like the target's start, many periods before, and that is where
  the plain correlation is largest.
  """
  rate = 16_000
  time = np.arange(2 * rate)[:, None] / rate
  noise = np.random.default_rng(0).standard_normal(time.shape)
  note = sum(np.sin(2 * np.pi * 110 * k * time) / k for k in range(1, 30))
  note = np.exp(-6 * time) * note * (1 - np.exp(-time / 0.02))
  note += 0.3 * np.exp(-time / 0.01) * noise  # of the pick
  band = scipy.signal.butter(1, (900, 3000), "band", fs=rate, output="sos")
  pedal = scipy.signal.sosfilt(band, np.tanh(100 * note), axis=0)
  correlation = scipy.signal.correlate(pedal[:, 0], note[:, 0])
  assert abs(np.abs(correlation).argmax() - (len(note) - 1)) > 50
  assert abs(find_lag(_delayed(pedal, lag), note, max_lag=8_000) - lag) <= 1


def _phrase(seed, rate):
  """Changing chords of few partials, `[time, 1]`."""
  rng = np.random.default_rng(seed)
  length = round(0.3 * rate)
  time = np.arange(2 * length)[:, None] / rate
  fade = np.minimum(1, time / 0.01) * np.minimum(1, (0.6 - time) / 0.05)
  audio = np.zeros((9 * length, 1))
  pitches_hz = [82, 98, 110, 123, 147, 165, 196, 220]
  for start in range(0, 8 * length, length):
    for pitch_hz in rng.choice(pitches_hz, 2, False):
      for k in range(1, 9):
        turns = k * pitch_hz * time + rng.random()
        note = np.exp(-2 * k * time) * np.sin(2 * np.pi * turns) / k**1.5
        audio[start : start + 2 * length] += fade * note
  return audio / np.abs(audio).max()


@pytest.mark.parametrize("seed", [4, 8, 11])
@pytest.mark.parametrize("lag", [200, -300])
def test_files_cut_in_mid_sound_do_not_align_at_their_edges(seed, lag):
  """Untapered, overdriven edges win: lag 0."""
  rate = 44_100
  note = _phrase(seed, rate)
  band = scipy.signal.butter(1, (80, 5_000), "band", fs=rate, output="sos")
  pedal = scipy.signal.sosfilt(band, np.tanh(300 * note), axis=0)
  hiss = 1e-4 * np.random.default_rng(seed).standard_normal((2, *note.shape))
  note, pedal = note + hiss[0], pedal + hiss[1]
  start, length = 20_000, 2 * rate
  target = note[start : start + length]
  estimate = pedal[start - lag : start - lag + length]
  assert abs(find_lag(estimate, target, max_lag=4_000) - lag) <= 2


def test_nothing_is_found_in_strangers_and_beyond_the_largest_lag():
  for seed in range(5):
    noise = np.random.default_rng(seed).standard_normal((2, 20_000, 1))
    assert find_lag(noise[0], noise[1], max_lag=500) == 0
  late = _delayed(noise[0], 41)
  for max_lag, expected in ((41, 41), (40, 0), (0, 0)):
    assert find_lag(late, noise[0], max_lag=max_lag) == expected


def test_odd_audio_has_no_lag():
  target = _music(length=100)
  broken, flat = target.copy(), np.full_like(target, 0.3)
  broken[5] = np.nan
  for audio in (0 * target, flat, target[:1], target[:0], broken):
    assert find_lag(audio, target, max_lag=500) == 0
    assert find_lag(target, audio, max_lag=500) == 0
  # Not constant, but as far as a lag reaches.
  late = np.concatenate([0 * target, target])
  assert find_lag(late, target[:50], max_lag=5) == 0
  # A constant but for the last bit of one sample.
  nearly = np.ones_like(target)
  nearly[50, 0] = np.nextafter(np.float32(1.0), np.float32(2.0))
  assert find_lag(nearly, nearly, max_lag=500) == 0
  with pytest.raises(ValueError, match="1 and 2"):
    find_lag(target[:, :1], target, max_lag=500)


def test_memory_does_not_grow_with_the_length():
  """Five minutes of 16 kHz are 19 MB, and as spectra several times that."""
  rng = np.random.default_rng(0)
  target = rng.standard_normal((300 * 16_000, 1), dtype="f4")
  tracemalloc.start()
  found = find_lag(target[123:], target, max_lag=8_000)
  _, most = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert found == -123
  assert most < target.nbytes


def _direct(clean, output, start, length, lag, reach):
  """A transform by its definition, all lags one by one, and their RMS."""
  taper = np.sin(np.pi * np.arange(1, length + 1) / (length + 1))[:, None] ** 2
  size = length + reach
  turn = -2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size
  starts = (output, start + lag), (clean, start)
  spectra = [
    np.exp(turn[:, :length]) @ (taper * audio[k : k + length])
    for audio, k in starts
  ]
  cross = np.sum(spectra[0] * spectra[1].conj(), axis=1)
  # The mean is over the half of the transform that real signals need.
  floor = 0.01 * np.abs(cross[: size // 2 + 1]).mean()
  curve = np.exp(-turn) @ (cross / (np.abs(cross) + floor))
  curve = curve.real / np.sqrt(np.mean(curve.real**2))
  return np.concatenate([curve[-reach:], curve[: reach + 1]])


@pytest.mark.parametrize("lag", [0, 20, -10])
def test_curves_equal_those_written_out(lag):
  rng = np.random.default_rng(0)
  clean = rng.standard_normal((300, 2))
  output = np.roll(clean, 25, axis=0) + 0.3 * rng.standard_normal((300, 2))
  (found,) = correlate_parts(
    output, clean, np.array([60]), 200, max_lag=50, around=lag
  )
  expected = _direct(clean, output, 60, 200, lag, 50)
  np.testing.assert_allclose(found, expected, atol=1e-5)
  assert found.argmax() == 50 + 25 - lag


def test_silent_parts_are_zero_and_the_others_as_if_alone():
  rng = np.random.default_rng(0)
  clean = np.zeros((400, 1))
  clean[200:] = rng.standard_normal((200, 1))
  found = correlate_parts(-clean, clean, np.array([0, 200]), 200, max_lag=30)
  np.testing.assert_array_equal(found[0], 0.0)
  assert np.abs(found[1]).argmax() == 30
  assert found[1, 30] < -10


def test_parts_are_spread_evenly_and_overlap_by_half_at_most():
  assert part_starts(149, 100, 9).tolist() == [0]
  assert part_starts(150, 100, 9).tolist() == [0, 50]
  assert part_starts(1_000, 100, 4).tolist() == [0, 300, 600, 900]


def test_peaks_and_rivals_by_hand():
  """At 8 kHz the slopes of a peak are four samples."""
  curve = np.zeros(41)
  curve[[22, 26, 27, 35]] = [8.0, 7.0, -4.0, 3.0]
  assert find_peak(curve, 8_000) == (2, 8.0, 7, 0.5)
  assert find_peak(curve, 16_000) == (2, 8.0, 15, 0.375)
  assert find_peak(np.zeros(41), 8_000).rival == 1.0
